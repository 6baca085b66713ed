package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/httpdoor"
)

// series are numbers in equal steps; null is unknown.
type series []*float64

// history is the last hour in equal steps, as a node keeps it.
type history struct {
	End      int64    `json:"end_ms"`
	Step     int64    `json:"step_ms"`
	In       series   `json:"in"`
	Out      series   `json:"out"`
	Requeued series   `json:"requeued"`
	TimedOut series   `json:"timed_out"`
	Depth    series   `json:"depth"`
	InFlight series   `json:"in_flight"`
	Deferred series   `json:"deferred"`
	SyncP99  series   `json:"sync_p99_ms,omitempty"`
	DiskFree series   `json:"disk_free_bytes,omitempty"`
	Warnings []string `json:"warnings"`
}

// maxPoints bounds what a node may say of one series.
const maxPoints = 720

// history is GET /api/v1/history[?topic=T[&channel=C]][&node=N]: summed over the nodes that keep one. Stock nodes keep none.
func (s *Server) history(r *http.Request) (any, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return nil, err
	}
	nodes, failures := s.client.Nodes(r.Context(), s.places(), false)
	if name := params.Get("node"); name != "" {
		nodes = slices.DeleteFunc(nodes, func(n *upstream.Node) bool { return n.Name() != name })
		if len(nodes) == 0 {
			return nil, errNoNode
		}
	}
	path := "/v1/history?" + url.Values{"topic": {params.Get("topic")}, "channel": {params.Get("channel")}}.Encode()
	answers := make([]*history, len(nodes))
	failures.Add(s.client.Each(r.Context(), nodes, func(ctx context.Context, i int, n *upstream.Node) error {
		var h history
		switch err := s.client.Get(ctx, n.Address, path, &h); {
		case upstream.NotFound(err):
			return nil // a stock node, or without the topic
		case err != nil:
			return err
		}
		if h.Step <= 0 || len(h.In) > maxPoints {
			return fmt.Errorf("%s: the answer to /v1/history makes no sense", n.Address)
		}
		answers[i] = &h
		return nil
	}))
	sum := &history{In: series{}, Out: series{}, Requeued: series{}, TimedOut: series{}, Depth: series{}, InFlight: series{}, Deferred: series{}}
	endTogether(answers)
	for _, h := range answers {
		sum.add(h)
	}
	if len(nodes) != 1 { // of one node only they mean something
		sum.SyncP99, sum.DiskFree = nil, nil
	}
	sum.Warnings = failures.Texts()
	return sum, nil
}

// endTogether takes away the newest points that not all nodes have yet: a sum without one of them would look like a fall. A node that is
// more than two steps behind the newest does not hold the others up.
func endTogether(all []*history) {
	all = slices.DeleteFunc(slices.Clone(all), func(h *history) bool { return h == nil })
	var newest int64
	for _, h := range all {
		newest = max(newest, h.End)
	}
	end := newest
	for _, h := range all {
		if newest-h.End <= 2*h.Step {
			end = min(end, h.End)
		}
	}
	for _, h := range all {
		steps := max(0, h.End-end+h.Step/2) / h.Step
		h.End -= steps * h.Step
		for _, s := range []*series{&h.In, &h.Out, &h.Requeued, &h.TimedOut, &h.Depth, &h.InFlight, &h.Deferred, &h.SyncP99, &h.DiskFree} {
			*s = (*s)[:max(0, len(*s)-int(steps))]
		}
	}
}

// add adds another node's history of the same step: points are matched by the time that they end at, to the nearest step.
func (h *history) add(other *history) {
	if other == nil || h.Step != 0 && h.Step != other.Step {
		return
	}
	if h.Step == 0 {
		warnings := h.Warnings
		*h = *other
		h.Warnings = warnings
		return
	}
	shift := int((h.End - other.End + h.Step/2) / h.Step)
	if other.End > h.End {
		shift = -int((other.End - h.End + h.Step/2) / h.Step)
	}
	for _, pair := range []struct{ to, from series }{
		{h.In, other.In}, {h.Out, other.Out}, {h.Requeued, other.Requeued}, {h.TimedOut, other.TimedOut},
		{h.Depth, other.Depth}, {h.InFlight, other.InFlight}, {h.Deferred, other.Deferred},
	} {
		pair.to.add(pair.from, shift)
	}
}

// add adds another series whose last point is shift steps older than the last of s.
func (s series) add(other series, shift int) {
	for i := range s {
		j := len(other) - (len(s) - i) + shift
		if j < 0 || j >= len(other) || other[j] == nil {
			continue
		}
		sum := *other[j]
		if s[i] != nil {
			sum += *s[i]
		}
		s[i] = &sum
	}
}

var errNoNode = &ownError{http.StatusNotFound, "NODE_NOT_FOUND", "no such node; /api/v1/nodes lists them"}
