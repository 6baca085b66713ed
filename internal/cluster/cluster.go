package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
)

// Options configure a Cluster.
type Options struct {
	// Self is this node, Members all nodes as the cluster was formed, this one included. They hold the catalog.
	Self    catalog.NodeID
	Members []catalog.NodeID
	// Peer is handed on to the connections between the nodes, but for the handler, which is the Cluster's.
	Peer peer.Options
	// Store holds the logs, FS and Dir say where; all stay the caller's.
	Store *commitlog.Store
	FS    vfs.FS
	Dir   string
	// Alone opens local topics' logs and watches the disk.
	Alone *replica.Logs
	// Forgetful says why the disk may have lost what it had promised; "" if it has not. Replicas that hold anything do not start
	// then.
	Forgetful string
	// Known says that the node was in the cluster before: what is missing on its disk was lost.
	Known bool
	// Tick is the unit of Raft's time. Default 200ms.
	Tick time.Duration
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
}

// Cluster is a node's part in its cluster. It implements broker.Cluster and broker.Logs. All methods may be called from any
// goroutine.
type Cluster struct {
	options   Options
	self      catalog.NodeID
	logger    *slog.Logger
	transport *peer.Transport
	groups    *replica.Groups
	alone     *replica.Logs
	broker    atomic.Pointer[broker.Broker] // nil until Serve

	changes chan struct{} // one place for each change of another node that is carried out here
	runs    sync.WaitGroup

	mu       sync.RWMutex
	places   map[broker.LogID]*place
	relays   map[broker.LogID]*relay
	refusals map[broker.LogID]error // why this node's replica of a log does not start
	up       map[catalog.NodeID]bool
	stopping map[catalog.NodeID]bool // up, but about to stop
	wake     chan struct{}           // closed and replaced when a node comes up
}

var (
	_ broker.Cluster = (*Cluster)(nil)
	_ broker.Logs    = (*Cluster)(nil)
	_ replica.Peers  = (*peers)(nil)
)

// changesMax bounds the changes of other nodes that are carried out at one time.
const changesMax = 256

// New joins a node to its peers. The logs can be opened then; what other nodes ask of the broker is refused until Serve.
func New(o Options) (*Cluster, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{options: o, self: o.Self, logger: o.Logger, alone: o.Alone, changes: make(chan struct{}, changesMax),
		places: make(map[broker.LogID]*place), relays: make(map[broker.LogID]*relay),
		refusals: make(map[broker.LogID]error), up: make(map[catalog.NodeID]bool), stopping: make(map[catalog.NodeID]bool), wake: make(chan struct{})}
	c.places[catalogLog] = catalogPlace(o.Members, o.Self)
	var err error
	c.groups, err = replica.NewGroups(replica.GroupsOptions{Store: o.Store, FS: o.FS, Dir: o.Dir, Space: o.Alone.Space(),
		Self: o.Self, Peers: &peers{c}, Logger: o.Logger, Tick: o.Tick, Forgetful: o.Forgetful, Known: o.Known})
	if err != nil {
		return nil, fmt.Errorf("join cluster: %w", err)
	}
	p := o.Peer
	lifeSeen := p.Handler.LifeSeen
	p.Handler = peer.Handler{Received: c.received, Called: c.called, Streamed: c.streamed, PeerUp: c.peerUp, PeerDown: c.peerDown, LifeSeen: lifeSeen}
	if c.transport, err = peer.New(p); err != nil {
		return nil, fmt.Errorf("join cluster: %w", err)
	}
	return c, nil
}

// Transport returns the connections to the other nodes: the caller serves them, and says where the nodes are.
func (c *Cluster) Transport() *peer.Transport { return c.transport }

// Serve lets other nodes publish and change through this one's broker.
func (c *Cluster) Serve(b *broker.Broker) { c.broker.Store(b) }

// Handover tells the others that this node is about to stop, and gives them what it leads. It returns when that is done, or when ctx
// ends. The node goes on serving its clients.
func (c *Cluster) Handover(ctx context.Context) {
	for _, node := range c.options.Members {
		if node != c.self {
			c.transport.Send(node, peer.Control, []byte{frameStopping})
		}
	}
	c.groups.Handover(ctx)
}

// Close ends all connections. The broker must be closed before.
func (c *Cluster) Close() error {
	err := c.transport.Close()
	c.runs.Wait()
	if gerr := c.groups.Close(); err == nil {
		err = gerr
	}
	return err
}

// Self implements broker.Cluster.
func (c *Cluster) Self() catalog.NodeID { return c.self }

// peerUp and peerDown are told by the transport.
func (c *Cluster) peerUp(node catalog.NodeID) {
	c.logger.Info("node is connected", slog.Uint64("node", uint64(node)))
	c.mu.Lock()
	c.up[node] = true
	delete(c.stopping, node)
	close(c.wake)
	c.wake = make(chan struct{})
	c.mu.Unlock()
	c.groups.Up(node)
}

func (c *Cluster) peerDown(node catalog.NodeID) {
	c.logger.Warn("node cannot be reached", slog.Uint64("node", uint64(node)))
	c.mu.Lock()
	delete(c.up, node)
	c.mu.Unlock()
	c.groups.Down(node)
}

// reachable tells whether a node is connected.
func (c *Cluster) reachable(node catalog.NodeID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return node == c.self || c.up[node]
}
