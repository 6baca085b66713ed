package registrar

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Bounds of what a service says of a topic.
const (
	maxChannelsBytes = 256 << 10
	maxChannels      = 1000
)

// Known returns the durable channels that the connected lookup services know of a topic, sorted: those that it has on other brokers, or
// that somebody created at a service. It takes at most Options.AskTimeout, and no time where no service is connected. Services that
// do not answer are logged and left out.
func (r *Registrar) Known(ctx context.Context, topic string) []string {
	ctx, cancel := context.WithTimeout(ctx, r.options.AskTimeout)
	defer cancel()
	var all struct {
		sync.Mutex
		names []string
	}
	var asking sync.WaitGroup
	for _, l := range r.links() {
		service := l.service.Load()
		if service == nil || service.HTTPPort == 0 {
			continue
		}
		asking.Go(func() {
			names, err := r.channels(ctx, l.address, service.HTTPPort, topic)
			if err != nil {
				l.log.Warn("a lookup service did not say which channels a new topic has; they are made when consumers come",
					slog.String("topic", topic), slog.Any("reason", err))
				l.suspect.Store(true)
				l.nudge()
			}
			all.Lock()
			all.names = append(all.names, names...)
			all.Unlock()
		})
	}
	asking.Wait()
	slices.Sort(all.names)
	return slices.Compact(all.names)
}

// channels asks one service, at the host by which it is registered with: nsqd asks at its broadcast address, which need not be one
// that brokers can reach.
func (r *Registrar) channels(ctx context.Context, registered string, httpPort int, topic string) ([]string, error) {
	scheme := "http://"
	registered, secure := strings.CutPrefix(registered, tlsScheme)
	if secure {
		scheme = "https://"
	}
	host, _, err := net.SplitHostPort(registered)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(host, strconv.Itoa(httpPort))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+address+"/channels?topic="+url.QueryEscape(topic), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/vnd.nsq; version=1.0")
	response, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxChannelsBytes))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("GET %s: %s", request.URL, response.Status)
	}
	var answer struct{ Channels []string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("GET %s: %w", request.URL, err)
	}
	names := slices.DeleteFunc(answer.Channels, func(name string) bool { return !nsqwire.ValidName(name) || nsqwire.IsEphemeral(name) })
	return names[:min(len(names), maxChannels)], nil
}
