package registrar

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// maxNodesBytes bounds what a service says of all brokers.
const maxNodesBytes = 64 << 20

// Withdraw reports whether a connected service has a tombstone for this broker and the topic. If one has, it gives one to all the others, too: each hides the
// broker from the topic for its own lifetime of tombstones. It takes at most Options.AskTimeout for each of the two; services that do
// not answer are logged and left out.
func (r *Registrar) Withdraw(ctx context.Context, topic string) bool {
	r.mu.Lock()
	self := r.mu.peer
	r.mu.Unlock()
	var found atomic.Bool
	r.each(ctx, "a lookup service did not say whether this node has a tombstone", func(ctx context.Context, base string) error {
		hidden, err := r.tombstoned(ctx, base, self, topic)
		if hidden {
			found.Store(true)
		}
		return err
	})
	if !found.Load() {
		return false
	}
	node := self.BroadcastAddress + ":" + strconv.Itoa(self.HTTPPort) // as nsqlookupd names a broker
	query := "?topic=" + url.QueryEscape(topic) + "&node=" + url.QueryEscape(node)
	r.each(ctx, "a lookup service was not told of a tombstone: consumers may still find this node for the topic by it",
		func(ctx context.Context, base string) error {
			return r.request(ctx, http.MethodPost, base+"/topic/tombstone"+query, maxChannelsBytes, nil)
		})
	return true
}

// tombstoned asks one service.
func (r *Registrar) tombstoned(ctx context.Context, base string, self lookupwire.Peer, topic string) (bool, error) {
	var answer struct {
		Producers []struct {
			lookupwire.Peer
			Topics     []string
			Tombstones []bool
		}
	}
	if err := r.request(ctx, http.MethodGet, base+"/nodes", maxNodesBytes, &answer); err != nil {
		return false, err
	}
	for _, p := range answer.Producers {
		if p.BroadcastAddress != self.BroadcastAddress || p.HTTPPort != self.HTTPPort {
			continue
		}
		if i := slices.Index(p.Topics, topic); i >= 0 && i < len(p.Tombstones) && p.Tombstones[i] {
			return true, nil
		}
	}
	return false, nil
}
