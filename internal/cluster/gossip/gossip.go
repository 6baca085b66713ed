// Package gossip tells a node which other nodes are alive and at which addresses they are reached. It decides nothing: who
// leads, who is a member and where replicas lie is the catalog's and Raft's; a node's death is seen sooner by the connections
// between nodes (package peer). hashicorp/memberlist does the work; docs/decisions/0030-memberlist.md says why.
//
// A node announces a Meta of at most 512 bytes. With a key all gossip is encrypted (AES-256-GCM), and whoever has another key,
// or none, is not heard. A hard kill is agreed on by all nodes within ten seconds.
//
// All methods of a Gossip may be called from any goroutine.
package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/weirmq/weir/internal/quiet"
)

const (
	maxMembers   = 1024 // dead ones included
	maxNameBytes = 128
	// maxMessageBytes is the longest message of Send.
	maxMessageBytes = 1 << 20
	leaveTimeout    = time.Second
	updateTimeout   = time.Second
	lookupTimeout   = 2 * time.Second
	// streamTimeout is for a connection to another node and for each transfer over it.
	streamTimeout = 2 * time.Second
)

// Options are a Gossip's settings.
type Options struct {
	Name      string // of this node, unique; at most 128 bytes
	Bind      string // host:port to listen at, UDP and TCP; port 0 takes a free one
	Advertise string // host that others are told; "": that of Bind, or a private address of the machine if Bind is a wildcard
	Key       []byte // 32 bytes; nil: no encryption
	Meta      Meta   // what this node announces at first
	Join      []string
	Logger    *slog.Logger // default: none
	// Changed is told that Members gives something else now. One call at a time; it may block, and what changes meanwhile is
	// told by one more call.
	Changed func()
	// Received takes a message of another node's Send. It must not block; the message belongs to it.
	Received func(from string, message []byte)
}

// Validate names the first field that cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Name == "" || len(o.Name) > maxNameBytes:
		return fmt.Errorf("option Name: has %d bytes, must have 1 to %d", len(o.Name), maxNameBytes)
	case o.Key != nil && len(o.Key) != 32:
		return fmt.Errorf("option Key: has %d bytes, must have 32", len(o.Key))
	}
	if _, _, err := net.SplitHostPort(o.Bind); err != nil {
		return fmt.Errorf("option Bind: %w", err)
	}
	return o.Meta.validate()
}

// State is what gossip believes of a node.
type State uint8

const (
	Alive State = iota
	Left        // it said that it stops
	Dead        // it does not answer
)

func (s State) String() string { return [...]string{"alive", "left", "dead"}[s] }

// Member is one node as gossip sees it, this node included.
type Member struct {
	Name    string
	Address string // IP:port of its gossip
	State   State
	Since   time.Time // of the state
	Meta    Meta
}

// Gossip is this node's part in the gossip. It has one goroutine that looks for the nodes of the join list, one that tells of
// changes, and those of memberlist.
type Gossip struct {
	opts   Options
	logger *slog.Logger
	quiet  *quiet.Log
	list   *memberlist.Memberlist

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	changedC chan struct{}
	joinC    chan struct{}

	mu struct {
		sync.Mutex
		meta    Meta
		join    []string
		members map[string]Member
	}
}

// Start listens and begins to look for the nodes of the join list. It does not wait for them.
func Start(o Options) (*Gossip, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("gossip options: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gossip{opts: o, logger: o.Logger, quiet: quiet.New(o.Logger), changedC: make(chan struct{}, 1), joinC: make(chan struct{}, 1)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.mu.meta, g.mu.join, g.mu.members = o.Meta, o.Join, make(map[string]Member)
	settings, err := g.settings()
	if err == nil {
		g.list, err = memberlist.Create(settings)
	}
	if err != nil {
		g.cancel()
		return nil, fmt.Errorf("listen for gossip at %s: %w", o.Bind, err)
	}
	g.tasks.Go(g.tell)
	g.tasks.Go(g.keepJoining)
	return g, nil
}

// settings are memberlist's for a local network, probing twice as often: a kill is noticed by the next probe, suspected, and
// believed after at least two and at most six seconds.
func (g *Gossip) settings() (*memberlist.Config, error) {
	host, portText, err := net.SplitHostPort(g.opts.Bind)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	bind, err := g.bindIP(host)
	if err != nil {
		return nil, err
	}
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort, c.AdvertisePort = g.opts.Name, bind, int(port), int(port)
	if g.opts.Advertise != "" {
		if c.AdvertiseAddr, err = g.lookup(g.opts.Advertise); err != nil {
			return nil, fmt.Errorf("advertise %s: %w", g.opts.Advertise, err)
		}
	}
	c.SecretKey = g.opts.Key
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 300*time.Millisecond
	c.SuspicionMaxTimeoutMult, c.AwarenessMaxMultiplier = 3, 4
	c.PushPullInterval, c.TCPTimeout = 15*time.Second, streamTimeout
	c.DeadNodeReclaimTime = 5 * time.Second // a node may come back with another address
	c.Delegate, c.Events, c.Alive, c.Conflict = delegate{g}, delegate{g}, delegate{g}, delegate{g}
	c.Logger = log.New(logWriter{g}, "", 0)
	return c, nil
}

func (g *Gossip) bindIP(host string) (string, error) {
	if host == "" {
		return "0.0.0.0", nil
	}
	return g.lookup(host)
}

// lookup returns an IP address of a host, one of version 4 if it has any.
func (g *Gossip) lookup(host string) (string, error) {
	if net.ParseIP(host) != nil {
		return host, nil
	}
	ctx, cancel := context.WithTimeout(g.ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	for _, ip := range ips {
		if ip.To4() != nil {
			return ip.String(), nil
		}
	}
	return ips[0].String(), nil
}

// Address returns the IP:port that others are told.
func (g *Gossip) Address() string {
	n := g.list.LocalNode()
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}

// SetMeta announces another Meta. It may block for a second; an error means that it is announced later.
func (g *Gossip) SetMeta(m Meta) error {
	if err := m.validate(); err != nil {
		return err
	}
	g.mu.Lock()
	g.mu.meta = m
	g.mu.Unlock()
	if err := g.list.UpdateNode(updateTimeout); err != nil {
		return fmt.Errorf("announce node: %w", err)
	}
	return nil
}

// Members returns the nodes that were seen, by name: this one, those that are alive, and those that have left or died since this
// process started.
func (g *Gossip) Members() []Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Member, 0, len(g.mu.members))
	for _, m := range g.mu.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Send sends a message of at most a megabyte to a node that is alive, over TCP. nil means that it was written to the connection.
// It blocks for some seconds at most, whatever the context says.
func (g *Gossip) Send(ctx context.Context, name string, message []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(message) > maxMessageBytes {
		return fmt.Errorf("gossip message of %d bytes", len(message))
	}
	g.mu.Lock()
	m, ok := g.mu.members[name]
	g.mu.Unlock()
	if !ok || m.State != Alive {
		return fmt.Errorf("node %s is not alive", name)
	}
	to, err := net.ResolveTCPAddr("tcp", m.Address) // an IP address: nothing is looked up
	if err != nil {
		return err
	}
	envelope := append([]byte{byte(len(g.opts.Name))}, g.opts.Name...)
	node := &memberlist.Node{Name: name, Addr: to.IP, Port: uint16(to.Port)}
	return g.list.SendReliable(node, append(envelope, message...))
}

// Close says goodbye, so that others need not suspect, and waits for all goroutines of this package.
// A probe of memberlist that is under way may end some seconds later.
func (g *Gossip) Close() error {
	g.cancel()
	g.mu.Lock()
	g.mu.meta.leaving = true
	g.mu.Unlock()
	err := errors.Join(g.list.UpdateNode(updateTimeout), g.list.Leave(leaveTimeout))
	if err != nil {
		g.logger.Debug("nobody was told that this node leaves the gossip", "error", err) // they find out
	}
	err = g.list.Shutdown()
	g.tasks.Wait()
	return err
}

// tell calls Changed.
func (g *Gossip) tell() {
	for {
		select {
		case <-g.changedC:
		case <-g.ctx.Done():
			return
		}
		if g.opts.Changed != nil {
			g.opts.Changed()
		}
	}
}

// errClosed is what joining ends with.
var errClosed = errors.New("gossip is closed")
