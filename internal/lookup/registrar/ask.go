package registrar

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// http returns where the link's service answers HTTP, such as "http://host:port"; "" while that is not known. The host is the one that the broker
// registers at: nsqd asks at the service's broadcast address, which need not be one that brokers can reach.
func (l *link) http() string {
	service := l.service.Load()
	if service == nil || service.HTTPPort == 0 {
		return ""
	}
	scheme := "http://"
	registered, secure := strings.CutPrefix(l.address, tlsScheme)
	if secure {
		scheme = "https://"
	}
	host, _, err := net.SplitHostPort(registered)
	if err != nil {
		return ""
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(service.HTTPPort))
}

// request sends a request to a service and decodes the JSON that it answers, at most limit bytes, into answer, unless that is nil.
func (r *Registrar) request(ctx context.Context, method, url string, limit int64, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/vnd.nsq; version=1.0")
	response, err := r.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}

// each lets fn ask all connected services at once, and logs who fails.
func (r *Registrar) each(ctx context.Context, failed string, fn func(ctx context.Context, base string) error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.AskTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, l := range r.links() {
		base := l.http()
		if base == "" {
			continue
		}
		asking.Go(func() {
			if err := fn(ctx, base); err != nil {
				l.log.Warn(failed, slog.Any("reason", err))
				l.suspect.Store(true)
				l.nudge()
			}
		})
	}
	asking.Wait()
}
