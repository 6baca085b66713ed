package registrar

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	var all struct {
		sync.Mutex
		names []string
	}
	r.each(ctx, "a lookup service did not say which channels topic "+strconv.Quote(topic)+" has elsewhere; they are made when consumers come",
		func(ctx context.Context, base string) error {
			names, err := r.channels(ctx, base, topic)
			all.Lock()
			defer all.Unlock()
			all.names = append(all.names, names...)
			return err
		})
	slices.Sort(all.names)
	return slices.Compact(all.names)
}

// channels asks one service.
func (r *Registrar) channels(ctx context.Context, base, topic string) ([]string, error) {
	var answer struct{ Channels []string }
	if err := r.request(ctx, http.MethodGet, base+"/channels?topic="+url.QueryEscape(topic), maxChannelsBytes, &answer); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(answer.Channels, func(name string) bool { return !nsqwire.ValidName(name) || nsqwire.IsEphemeral(name) })
	return names[:min(len(names), maxChannels)], nil
}
