package upstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Options configure a Client. The zero value of a field means its default.
type Options struct {
	// ConnectTimeout and RequestTimeout bound one request. Defaults 2s and 5s.
	ConnectTimeout time.Duration
	RequestTimeout time.Duration
	// DialTLS connects for HTTPS. nil verifies against the system's roots.
	DialTLS func(ctx context.Context, network, address string) (net.Conn, error)
	// Concurrency bounds the requests that one call makes at a time. Default 64.
	Concurrency int
	// MaxAnswerBytes bounds one answer. Default 32 MiB.
	MaxAnswerBytes int64
	// UserAgent names the program.
	UserAgent string
	// Token is sent as a bearer token, unless empty, to the addresses for which TokenTo is true; nil: to all.
	Token   string
	TokenTo func(address string) bool
}

// Client asks nodes and lookup services.
type Client struct {
	options Options
	http    *http.Client
}

// NewClient returns a Client. Close it when it is not used any more.
func NewClient(o Options) *Client {
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 2*time.Second)
	o.RequestTimeout = cmp.Or(o.RequestTimeout, 5*time.Second)
	o.Concurrency = cmp.Or(o.Concurrency, 64)
	o.MaxAnswerBytes = cmp.Or(o.MaxAnswerBytes, 32<<20)
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	return &Client{options: o, http: &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DialTLSContext: o.DialTLS, TLSHandshakeTimeout: o.ConnectTimeout,
			MaxIdleConnsPerHost: 4, MaxIdleConns: 512, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
			DisableCompression: true, // nodes are near, and asked often
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RequestTimeout is how long one request may take.
func (c *Client) RequestTimeout() time.Duration { return c.options.RequestTimeout }

// AnswerError is an answer other than 200.
type AnswerError struct {
	Status int
	Word   string // of a JSON error; "" if the answer was something else
}

// Error says what was answered.
func (e *AnswerError) Error() string {
	if e.Word == "" {
		return "answered " + strconv.Itoa(e.Status)
	}
	return fmt.Sprintf("answered %d %s", e.Status, e.Word)
}

// Get asks for path (with its query) of address (host:port, or https://host:port) and decodes the JSON of a 200 into value.
func (c *Client) Get(ctx context.Context, address, path string, value any) error {
	body, err := c.call(ctx, http.MethodGet, address, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("%s: the answer to %s is malformed: %w", address, pathOnly(path), err)
	}
	return nil
}

// Post sends body, which may be nil, and wants a 200.
func (c *Client) Post(ctx context.Context, address, path string, body []byte) error {
	_, err := c.call(ctx, http.MethodPost, address, path, body)
	return err
}

// call makes one request within the time that one may take.
func (c *Client) call(ctx context.Context, method, address, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.RequestTimeout)
	defer cancel()
	answer, err := c.Open(ctx, method, address, path, "", body)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, c.options.MaxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, c.failed(address, path, err)
	case int64(len(got)) > c.options.MaxAnswerBytes:
		return nil, fmt.Errorf("%s: the answer to %s is longer than %d bytes", address, pathOnly(path), c.options.MaxAnswerBytes)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s %w", address, pathOnly(path), &AnswerError{answer.StatusCode, word(got)})
	}
	return got, nil
}

// Open makes a request and returns the answer, whatever its status, for the caller to read and close. A node that takes HTTPS only
// says so and is asked again there.
func (c *Client) Open(ctx context.Context, method, address, path, contentType string, body []byte) (*http.Response, error) {
	for base := baseURL(address); ; {
		request, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		request.Header.Set("User-Agent", c.options.UserAgent)
		request.Header.Set("Accept", "application/vnd.nsq; version=1.0")
		if contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		if c.options.Token != "" && (c.options.TokenTo == nil || c.options.TokenTo(address)) {
			request.Header.Set("Authorization", "Bearer "+c.options.Token)
		}
		answer, err := c.http.Do(request)
		if err != nil {
			return nil, c.failed(address, path, err)
		}
		if answer.StatusCode != http.StatusForbidden || strings.HasPrefix(base, "https:") {
			return answer, nil
		}
		secure, rest := httpsPort(answer)
		if secure == 0 {
			answer.Body = rest
			return answer, nil
		}
		host, _, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		base = "https://" + net.JoinHostPort(host, strconv.Itoa(secure))
	}
}

// httpsPort reads the refusal of a node that takes HTTPS only, and returns its port there, else 0 and the body unread.
func httpsPort(answer *http.Response) (int, io.ReadCloser) {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	rest := struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), answer.Body), answer.Body}
	var refusal struct {
		Port int `json:"https_port"`
	}
	if err != nil || json.Unmarshal(text, &refusal) != nil || refusal.Port < 1 || refusal.Port > 65535 {
		return 0, rest
	}
	answer.Body.Close()
	return refusal.Port, nil
}

// failed words an error of the network: who, and what, without the whole address of the request.
func (c *Client) failed(address, path string, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer to %s in time", address, pathOnly(path))
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", address, context.Canceled)
	}
	for wrapped := errors.Unwrap(err); wrapped != nil; wrapped = errors.Unwrap(wrapped) {
		if op := new(net.OpError); errors.As(wrapped, &op) && op == wrapped {
			return fmt.Errorf("%s: %s: %w", address, op.Op, op.Err)
		}
	}
	return fmt.Errorf("%s: %w", address, err)
}

func pathOnly(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// word returns the error word of a JSON answer.
func word(body []byte) string {
	var refusal struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	if len(body) > 4096 || json.Unmarshal(body, &refusal) != nil {
		return ""
	}
	return cmp.Or(refusal.Error, refusal.Message)
}

func baseURL(address string) string {
	if strings.HasPrefix(address, "https://") {
		return strings.TrimSuffix(address, "/")
	}
	return "http://" + strings.TrimPrefix(strings.TrimSuffix(address, "/"), "http://")
}
