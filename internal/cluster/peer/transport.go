package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/quiet"
)

// Transport is one node's connections to the others. It holds four goroutines for each peer and connection, none for calls that
// wait.
type Transport struct {
	opts    Options
	started time.Time // origin of the times of links
	logger  *slog.Logger
	quiet   *quiet.Log
	lives   *lives
	bulk    *bucket

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // all goroutines

	streamSlots chan struct{} // one for each stream served
	helloSlots  chan struct{} // one for each connection whose hello is awaited

	mu struct {
		sync.RWMutex
		peers    map[catalog.NodeID]*peer
		inbound  map[inboundKey]*inbound
		conns    map[net.Conn]struct{} // all that are open
		listener net.Listener
		closed   bool
	}
}

// peer is one other node, as long as it is one of SetPeers.
type peer struct {
	node  catalog.NodeID
	links [lanes]*link
}

// New returns a Transport that knows no peer and accepts nothing yet.
func New(o Options) (*Transport, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("peer options: %w", err)
	}
	o.Limits = o.Limits.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		o.TLS.DynamicRecordSizingDisabled = true // what matters here is long transfers, not a page's first byte
	}
	t := &Transport{
		opts:        o,
		started:     time.Now(),
		logger:      o.Logger,
		quiet:       quiet.New(o.Logger),
		lives:       newLives(o.Lives, o.Handler.LifeSeen),
		bulk:        newBucket(o.Limits.BulkBytes),
		streamSlots: make(chan struct{}, o.Limits.Streams),
		helloSlots:  make(chan struct{}, o.Limits.Unidentified),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.mu.peers = make(map[catalog.NodeID]*peer)
	t.mu.inbound = make(map[inboundKey]*inbound)
	t.mu.conns = make(map[net.Conn]struct{})
	return t, nil
}

// SetPeers says which other nodes there are, and at which host:port each is reached. Connections to new ones are begun, those to
// nodes that are left out end; a new address breaks the connections to the old one. This node itself is ignored. It returns at
// once, except that it waits for the handler to have been told that a node left out is down.
func (t *Transport) SetPeers(addresses map[catalog.NodeID]string) {
	var gone []*peer
	t.mu.Lock()
	if t.mu.closed {
		t.mu.Unlock()
		return
	}
	for node, p := range t.mu.peers {
		if _, ok := addresses[node]; !ok {
			gone = append(gone, p)
			delete(t.mu.peers, node)
		}
	}
	for node, address := range addresses {
		if node == t.opts.Self || node == 0 {
			continue
		}
		p := t.mu.peers[node]
		if p == nil {
			p = &peer{node: node}
			for lane := range p.links {
				p.links[lane] = newLink(t, node, Lane(lane), address)
				t.tasks.Go(p.links[lane].run)
			}
			t.mu.peers[node] = p
		}
		for _, l := range p.links {
			l.setAddress(address)
		}
	}
	t.mu.Unlock()
	for _, p := range gone {
		for _, l := range p.links {
			l.stop()
		}
		t.dropInbound(func(in *inbound) bool { return in.from == p.node })
	}
}

// known reports whether a node is one of SetPeers.
func (t *Transport) known(node catalog.NodeID) bool { return t.peer(node) != nil }

func (t *Transport) peer(node catalog.NodeID) *peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mu.peers[node]
}

// session returns the connection of a lane, nil while there is none.
func (t *Transport) session(to catalog.NodeID, lane Lane) *session {
	if lane >= lanes {
		return nil
	}
	if p := t.peer(to); p != nil {
		return p.links[lane].current.Load()
	}
	return nil
}

// Send queues a message whose bytes are head and parts, one after another. It never blocks. It copies head; the parts are kept
// until they are written and must never change. It reports false, and nothing is sent, if the peer is unknown or not connected
// or its lane is full; true promises nothing either, as the connection may break.
func (t *Transport) Send(to catalog.NodeID, lane Lane, head []byte, parts ...[]byte) bool {
	s := t.session(to, lane)
	return s != nil && s.out.add(header{kind: kindMessage}, head, parts...)
}

// Status is what a Transport can tell of a peer.
type Status struct {
	Node    catalog.NodeID
	Address string
	Up      bool
	Life    uint32        // the highest seen; 0: none
	RTT     time.Duration // of the last ping on the control lane
	Problem string        // why the control lane is not connected; "" if it is
}

// Peers returns the state of all peers, by node id.
func (t *Transport) Peers() []Status {
	t.mu.RLock()
	peers := slices.Collect(maps.Values(t.mu.peers))
	t.mu.RUnlock()
	all := make([]Status, 0, len(peers))
	for _, p := range peers {
		s := p.links[Control].status()
		s.Life = t.lives.highest(p.node).Number
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return int(a.Node) - int(b.Node) })
	return all
}

// Close breaks all connections, closes the listener and waits for all goroutines, thus for all handlers under way. Calls without
// an answer end. PeerDown is told for peers that are up.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	ln := t.mu.listener
	peers := slices.Collect(maps.Values(t.mu.peers))
	t.mu.Unlock()
	var err error
	if ln != nil { // first, so that others who dial again are refused at once
		if err = ln.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	t.cancel()
	t.mu.Lock()
	for conn := range t.mu.conns {
		conn.Close() // whoever uses it tells of the broken connection, if that matters
	}
	t.mu.Unlock()
	for _, p := range peers {
		for _, l := range p.links {
			l.stop()
		}
	}
	t.tasks.Wait()
	return err
}

// track notes an open connection so that Close breaks it; false: the Transport is closed, and so is conn now.
func (t *Transport) track(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		conn.Close()
		return false
	}
	t.mu.conns[conn] = struct{}{}
	return true
}

// release closes a tracked connection.
func (t *Transport) release(conn net.Conn) {
	conn.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.conns, conn)
}
