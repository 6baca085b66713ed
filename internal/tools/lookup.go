package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// largestAnswer bounds what is read of an answer, in bytes.
const largestAnswer = 64 << 20

// Topics returns the topics that lookup services know, sorted. An error comes beside what the services that did answer know.
func Topics(ctx context.Context, client *http.Client, lookupds []string) ([]string, error) {
	var all []string
	var errs []error
	for _, address := range Distinct(lookupds) {
		var answer struct {
			Topics []string `json:"topics"`
		}
		if err := GetJSON(ctx, client, BaseURL(address)+"/topics", &answer); err != nil {
			errs = append(errs, err)
		}
		all = append(all, answer.Topics...)
	}
	slices.Sort(all)
	return slices.Compact(all), errors.Join(errs...)
}

// GetJSON gets an answer of NSQ's HTTP API. An answer other than 200 is a *StatusError.
func GetJSON(ctx context.Context, client *http.Client, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/vnd.nsq; version=1.0")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return &StatusError{URL: url, Code: response.StatusCode}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return nil
}

// StatusError is an HTTP answer that is no success.
type StatusError struct {
	URL  string
	Code int
}

// Error names both.
func (e *StatusError) Error() string { return fmt.Sprintf("%s answered %d", e.URL, e.Code) }

// Bearer sends a token with each request, as a Weir node asks for it (--http-auth-token-file). It is an http.RoundTripper.
type Bearer struct {
	Token string // empty: none is sent
	Base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b Bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.Token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+b.Token)
	}
	return b.Base.RoundTrip(request)
}
