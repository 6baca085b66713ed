package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/nsqwire"
)

// soon is how soon nodes are asked again for what a new page lacks: at once to the eye, and not at once for each of many pages.
const soon = 50 * time.Millisecond

// Limits of streams.
const (
	maxStreams      = 1000
	maxStreamsOfOne = 64 // of one user, or of one address where nobody logs in
	maxWatches      = 8
)

// Errors of Subscribe.
var (
	ErrBadWatch = errors.New("watch must be one to eight of overview, topics, nodes, cluster, cluster:T, topic:T, channel:T:C")
	ErrTooMany  = errors.New("too many pages are open")
)

// Hub computes what is watched.
type Hub struct {
	interval time.Duration
	collect  collector
	turn     chan struct{} // held by who collects
	kickC    chan struct{} // somebody new waits for data
	runs     sync.WaitGroup

	mu struct {
		sync.Mutex
		boards  map[string]*board
		streams map[string]int // by whom
		running bool
		picture *Picture // the newest; nil if there is none
	}
}

// board is what is known of one watched thing.
type board struct {
	watch
	version  uint64   // counts the changes; 0 before there are data
	full     []byte   // the event with the newest data
	delta    []byte   // the event that leads from the version before to this; nil if there is none
	data     []byte   // of full, to compare with
	shown    *Picture // that data come from
	watchers map[*Stream]struct{}
}

// watch is one thing to watch.
type watch struct {
	text   string
	event  string // its name without what it is about
	target upstream.Target
}

// parseWatch reads overview, topics, nodes, cluster, cluster:T, topic:T or channel:T:C.
func parseWatch(text string) (watch, bool) {
	event, rest, _ := strings.Cut(text, ":")
	w := watch{text: text, event: event}
	switch event {
	case "overview", "topics", "nodes":
		return w, text == event
	case "cluster":
		w.target.Topic = rest
		return w, text == event || nsqwire.ValidName(rest)
	case "topic":
		w.target.Topic = rest
		return w, nsqwire.ValidName(rest)
	case "channel":
		w.target.Topic, w.target.Channel, _ = strings.Cut(rest, ":")
		return w, nsqwire.ValidName(w.target.Topic) && nsqwire.ValidName(w.target.Channel)
	}
	return w, false
}

// NewHub returns a Hub that asks the places, once in an interval while somebody watches.
func NewHub(client *upstream.Client, places func() upstream.Places, interval time.Duration) *Hub {
	h := &Hub{interval: interval, collect: collector{client: client, places: places}, turn: make(chan struct{}, 1), kickC: make(chan struct{}, 1)}
	h.mu.boards, h.mu.streams = map[string]*board{}, map[string]int{}
	return h
}

// Interval is how often data are computed.
func (h *Hub) Interval() time.Duration { return h.interval }

// Wait returns when nothing runs any more; all streams must be closed.
func (h *Hub) Wait() { h.runs.Wait() }

// Picture returns what the nodes say, not older than an interval.
func (h *Hub) Picture(ctx context.Context) (*Picture, error) { return h.newPicture(ctx, extras{}) }

// Cluster returns what the nodes say of their cluster, of one topic's partitions or with "" of all, not older than an interval.
func (h *Hub) Cluster(ctx context.Context, topic string) (*ClusterEvent, error) {
	p, err := h.newPicture(ctx, extras{cluster: true})
	if err != nil {
		return nil, err
	}
	return p.cluster.of(topic), nil
}

func (h *Hub) newPicture(ctx context.Context, more extras) (*Picture, error) {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.turn }()
	h.mu.Lock()
	last := h.mu.picture
	h.mu.Unlock()
	if last != nil && time.Since(last.Time) < h.interval && (last.cluster != nil || !more.cluster) {
		return last, nil
	}
	p := h.collect.collect(ctx, h.patience(), more)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	h.mu.Lock()
	h.mu.picture = p
	h.mu.Unlock()
	return p, nil
}

// patience is how long nodes may take: less than a request may, so that a slow one does not hold up what the others say.
func (h *Hub) patience() time.Duration {
	return min(max(h.interval, time.Second), h.collect.client.RequestTimeout())
}

// Stream is one page's.
type Stream struct {
	hub    *Hub
	who    string
	boards []*board
	sent   []uint64 // versions of boards
	moreC  chan struct{}
}

// Subscribe opens a stream of the things watched, for somebody, who may have so many. Errors: ErrBadWatch, ErrTooMany.
func (h *Hub) Subscribe(who string, watches []string) (*Stream, error) {
	slices.Sort(watches)
	watches = slices.Compact(watches)
	if len(watches) == 0 || len(watches) > maxWatches {
		return nil, ErrBadWatch
	}
	parsed := make([]watch, len(watches))
	for i, text := range watches {
		var ok bool
		if parsed[i], ok = parseWatch(text); !ok {
			return nil, ErrBadWatch
		}
	}
	s := &Stream{hub: h, who: who, sent: make([]uint64, len(parsed)), moreC: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open() >= maxStreams || h.mu.streams[who] >= maxStreamsOfOne {
		return nil, ErrTooMany
	}
	h.mu.streams[who]++
	for _, w := range parsed {
		b := h.mu.boards[w.text]
		if b == nil {
			b = &board{watch: w, watchers: map[*Stream]struct{}{}}
			h.mu.boards[w.text] = b
		}
		b.watchers[s] = struct{}{}
		s.boards = append(s.boards, b)
		if b.version > 0 {
			s.more()
		} else {
			h.kick()
		}
	}
	if !h.mu.running {
		h.mu.running = true
		h.runs.Go(h.run)
	}
	return s, nil
}

// open counts the streams; the caller holds the mutex.
func (h *Hub) open() (n int) {
	for _, of := range h.mu.streams {
		n += of
	}
	return n
}

// Close ends the stream.
func (s *Stream) Close() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.streams[s.who]--; h.mu.streams[s.who] == 0 {
		delete(h.mu.streams, s.who)
	}
	for _, b := range s.boards {
		delete(b.watchers, s)
		if len(b.watchers) == 0 {
			delete(h.mu.boards, b.text)
		}
	}
	h.kick() // the last one lets run end
}

// More returns a channel that has something when Next has.
func (s *Stream) More() <-chan struct{} { return s.moreC }

func (s *Stream) more() {
	select {
	case s.moreC <- struct{}{}:
	default:
	}
}

// Next returns the events that the page lacks. The bytes are shared: they must not be changed.
func (s *Stream) Next() [][]byte {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	var events [][]byte
	for i, b := range s.boards {
		switch {
		case b.version == s.sent[i]:
			continue
		case b.delta != nil && b.version == s.sent[i]+1 && s.sent[i] > 0:
			events = append(events, b.delta)
		default:
			events = append(events, b.full)
		}
		s.sent[i] = b.version
	}
	return events
}

func (h *Hub) kick() {
	select {
	case h.kickC <- struct{}{}:
	default:
	}
}

// run computes until nobody watches.
func (h *Hub) run() {
	for h.watched() {
		h.look()
		hurried := false
		for next := time.After(h.interval); next != nil; {
			select {
			case <-next:
				next = nil
			case <-h.kickC:
				if !h.watched() {
					return
				}
				if h.fill() && !hurried { // something needs what only the nodes can tell
					next, hurried = time.After(min(h.interval, soon)), true
				}
			}
		}
	}
}

// watched reports whether anybody watches; if not, run has ended.
func (h *Hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.running = len(h.mu.streams) > 0
	return h.mu.running
}

// look asks the nodes and updates all boards.
func (h *Hub) look() {
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	h.mu.Lock()
	var more extras
	for _, b := range h.mu.boards {
		switch b.event {
		case "channel":
			more.channels = append(more.channels, b.target)
		case "cluster":
			more.cluster = true
		}
	}
	h.mu.Unlock()
	p := h.collect.collect(context.Background(), h.patience(), more)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.picture = p
	for _, b := range h.mu.boards {
		b.update(p)
	}
}

// fill gives boards without data those of the newest picture. It reports whether one is left that it does not have.
func (h *Hub) fill() (left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.mu.boards {
		if b.version > 0 {
			continue
		}
		if h.mu.picture == nil || !h.mu.picture.has(&b.watch) {
			left = true
			continue
		}
		b.update(h.mu.picture)
	}
	return left
}

// update takes over the data of a picture if they differ from those before, and calls the watchers.
func (b *board) update(p *Picture) {
	if !p.has(&b.watch) {
		return // it began to be watched while the nodes were asked
	}
	var value any
	switch b.event {
	case "overview":
		value = p.Overview()
	case "topics":
		value = p.TopicTable()
	case "nodes":
		value = p.NodeTable()
	case "topic":
		value = p.TopicEvent(b.target.Topic)
	case "cluster":
		value = p.cluster.of(b.target.Topic)
	case "channel":
		value = p.channels[b.target]
	}
	data, err := json.Marshal(value)
	if err != nil || bytes.Equal(data, b.data) {
		return // our own types can be encoded
	}
	old := b.shown
	b.data, b.full, b.delta, b.shown = data, event(b.event, data), nil, p
	b.version++
	if old != nil {
		b.delta = b.changes(old, p, len(data))
	}
	for s := range b.watchers {
		s.more()
	}
}

// changes returns the event that leads from an older picture to a newer one; nil if there is none of less than limit bytes of data.
func (b *board) changes(old, now *Picture, limit int) []byte {
	var value any
	switch b.event {
	case "topics":
		value = now.changes(old)
	case "cluster":
		value = now.cluster.of(b.target.Topic).changes(old.cluster.of(b.target.Topic))
	default:
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil || len(data) >= limit {
		return nil
	}
	return event(b.event, data)
}

// event encodes a server-sent event.
func event(name string, data []byte) []byte {
	e := make([]byte, 0, len(name)+len(data)+16)
	e = append(append(append(e, "event: "...), name...), "\ndata: "...)
	return append(append(e, data...), "\n\n"...)
}

// Event encodes a server-sent event of a value that can be encoded as JSON.
func Event(name string, value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return event(name, data)
}
