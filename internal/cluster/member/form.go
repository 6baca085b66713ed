package member

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// Node is a node as gossip sees it.
type Node struct {
	Name          string
	GossipAddress string // IP:port
	PeerAddress   string
	ClusterID     uint64 // 0: its cluster is not formed
	List          uint64 // digest of its join list
}

// Gossip is how the nodes see each other before there is a cluster.
type Gossip interface {
	// Nodes returns the nodes that are alive, this one among them.
	Nodes() []Node
	// Send sends a message to a node, which is handed to its Former's Received. It may block for a few seconds.
	Send(ctx context.Context, name string, message []byte) error
}

// FormOptions say what a Former starts from.
type FormOptions struct {
	Name   string // of this node in gossip
	List   JoinList
	Gossip Gossip
	// HoldsMessages reports that the data directory holds the topics of a lone node.
	HoldsMessages bool
	Logger        *slog.Logger // default: none
	// Interval is the time between two looks at gossip; default 250 ms.
	Interval time.Duration
	// Lookup resolves the hosts of the list; default: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)
}

const (
	formInterval    = 250 * time.Millisecond
	progressPeriod  = 10 * time.Second
	lookupTimeout   = 2 * time.Second
	waitingMessages = 64 // messages of other nodes that wait for Run
)

// Former makes a node part of a cluster. Received may be called from any goroutine, also before and after Run.
type Former struct {
	record   *Record
	opts     FormOptions
	receiveC chan received

	// Of Run's goroutine.
	promised map[string]bool   // nodes that have promised what this one offers
	refused  map[string]string // nodes that have refused it, and why
	told     string            // the last progress line
	toldAt   time.Time
}

type received struct {
	from    string
	message []byte
}

// NewFormer returns a Former for a node whose record says no cluster yet.
func NewFormer(r *Record, o FormOptions) *Former {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Interval == 0 {
		o.Interval = formInterval
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver.LookupHost
	}
	return &Former{record: r, opts: o, receiveC: make(chan received, waitingMessages),
		promised: make(map[string]bool), refused: make(map[string]string)}
}

// Received takes a message of another node's Former. It never blocks; what Run cannot take soon is dropped, and repeated by the
// sender. It keeps the message.
func (f *Former) Received(from string, message []byte) {
	select {
	case f.receiveC <- received{from, message}:
	default:
	}
}

// Run returns this node's identity, at once if the record has it. Else it waits for all nodes of the list, until the context
// ends, and logs who is missing. An error says why this node's directory cannot become part of the cluster, and what to do.
func (f *Former) Run(ctx context.Context) (Identity, error) {
	if v, ok := f.record.Identity(); ok {
		return v, nil
	}
	if err := f.check(); err != nil {
		return Identity{}, err
	}
	ticker := time.NewTicker(f.opts.Interval)
	defer ticker.Stop()
	for err := f.step(ctx); ; {
		if err != nil {
			return Identity{}, err
		}
		if v, ok := f.record.Identity(); ok {
			f.opts.Logger.Info("the cluster is formed", "cluster", fmt.Sprintf("%016x", v.ClusterID), "node", v.Self, "nodes", len(v.Members))
			return v, nil
		}
		select {
		case r := <-f.receiveC:
			err = f.handle(ctx, r)
		case <-ticker.C:
			err = f.step(ctx)
		case <-ctx.Done():
			return Identity{}, ctx.Err()
		}
	}
}

// check refuses a directory that can never join by this list.
func (f *Former) check() error {
	c := f.record.content()
	switch {
	case f.opts.HoldsMessages:
		return errors.New("--join was given, but the data directory holds the topics of a node that was alone, and a cluster cannot " +
			"take them over: start without --join and let them be consumed, or give another --data-path")
	case len(f.opts.List) == 0:
		return errors.New("the forming of a cluster was begun in this data directory: start with the same --join, or delete the directory")
	case c.state == statePromised && c.list != f.opts.List.Digest():
		return fmt.Errorf("this data directory is promised to cluster %016x, whose forming was begun with another --join list: start with "+
			"that list, or delete the data directory, which holds no messages", c.identity.ClusterID)
	}
	return nil
}

// step looks at gossip and does what this node can do now.
func (f *Former) step(ctx context.Context) error {
	nodes := f.opts.Gossip.Nodes()
	c := f.record.content()
	if c.state == statePromised && slices.ContainsFunc(nodes, func(n Node) bool { return n.ClusterID == c.identity.ClusterID }) {
		return f.record.form()
	}
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	matched := f.opts.List.match(lookup, f.opts.Lookup, nodes)
	cancel()
	problem := f.problem(nodes, matched, c)
	if problem != "" || matched[0].Name != f.opts.Name {
		f.progress(problem)
		return nil
	}
	return f.lead(ctx, matched)
}

// problem says what keeps the cluster from being formed, "" if nothing does.
func (f *Former) problem(nodes []Node, matched []*Node, c content) string {
	var missing, formed, others []string
	self := false
	names := make(map[string]bool)
	for i, n := range matched {
		switch {
		case n == nil:
			missing = append(missing, f.opts.List[i])
			continue
		case names[n.Name]:
			return fmt.Sprintf("two entries of --join mean node %s, the second is %s", n.Name, f.opts.List[i])
		case n.ClusterID != 0:
			formed = append(formed, fmt.Sprintf("%s (cluster %016x)", n.Name, n.ClusterID))
		case n.List != f.opts.List.Digest():
			others = append(others, n.Name)
		}
		names[n.Name] = true
		self = self || n.Name == f.opts.Name
	}
	switch {
	case len(formed) > 0 && c.state == stateNone:
		return "these nodes belong to a cluster and this one, whose data directory is empty, does not: " + strings.Join(formed, ", ") +
			". A node that lost its data must be replaced; a node with foreign data needs its own --data-path"
	case len(formed) > 0:
		return fmt.Sprintf("this node is promised to cluster %016x, but these belong to others: %s", c.identity.ClusterID, strings.Join(formed, ", "))
	case len(missing) > 0:
		return "waiting for these nodes of --join: " + strings.Join(missing, ", ")
	case !self:
		return fmt.Sprintf("this node, which gossips from %s, is not in its own --join list", ownAddress(nodes, f.opts.Name))
	case len(others) > 0:
		return "these nodes were started with another --join list (the order matters too): " + strings.Join(others, ", ")
	}
	return ""
}

func ownAddress(nodes []Node, name string) string {
	for _, n := range nodes {
		if n.Name == name {
			return n.GossipAddress
		}
	}
	return "an address that is not known yet"
}

// lead is what the first node of the list does once all are there: promise itself, ask all others, and form.
func (f *Former) lead(ctx context.Context, matched []*Node) error {
	c := f.record.content()
	if c.state == stateNone {
		identity := number(matched)
		if err := f.record.promise(identity, f.opts.List.Digest()); err != nil {
			return err
		}
		c = f.record.content()
	}
	open := 0
	for _, m := range c.identity.Members {
		if m.ID == c.identity.Self || f.promised[m.Name] {
			continue
		}
		open++
		v := c.identity
		v.Self = m.ID
		offer := message{kind: kindOffer, clusterID: v.ClusterID, list: c.list, identity: v}
		if err := f.opts.Gossip.Send(ctx, m.Name, offer.encode()); err != nil {
			f.refused[m.Name] = err.Error()
		}
	}
	if open == 0 {
		return f.record.form()
	}
	var refusals []string
	for name, why := range f.refused {
		refusals = append(refusals, name+": "+why)
	}
	slices.Sort(refusals)
	f.progress(fmt.Sprintf("%d nodes have not promised to join; %s", open, strings.Join(refusals, "; ")))
	return nil
}

// number gives the nodes their ids, in the order of the list, and the cluster its own.
func number(matched []*Node) Identity {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	v := Identity{ClusterID: binary.BigEndian.Uint64(id[:]) | 1, Self: 1}
	for i, n := range matched {
		v.Members = append(v.Members, Member{catalog.NodeID(i + 1), n.Name, n.GossipAddress, n.PeerAddress})
	}
	return v
}

// handle answers a message.
func (f *Former) handle(ctx context.Context, r received) error {
	m, err := decodeMessage(r.message)
	if err != nil {
		f.opts.Logger.Warn("a message about forming the cluster cannot be read", "node", r.from, "error", err)
		return nil
	}
	c := f.record.content()
	switch {
	case m.kind == kindOffer:
		return f.offered(ctx, r.from, m)
	case c.state == stateNone || m.clusterID != c.identity.ClusterID:
		return nil // about an earlier attempt
	case m.kind == kindPromise:
		f.promised[r.from] = true
		delete(f.refused, r.from)
	case m.kind == kindRefuse:
		f.refused[r.from] = m.text
	}
	return nil
}

// offered promises, if this node may.
func (f *Former) offered(ctx context.Context, from string, m *message) error {
	answer := message{kind: kindPromise, clusterID: m.clusterID, list: m.list}
	c := f.record.content()
	self := slices.IndexFunc(m.identity.Members, func(v Member) bool { return v.ID == m.identity.Self })
	switch {
	case m.list != f.opts.List.Digest():
		answer.text = "it was started with another --join list"
	case m.identity.Members[self].Name != f.opts.Name:
		answer.text = fmt.Sprintf("it is %s, not %s", f.opts.Name, m.identity.Members[self].Name)
	case c.state != stateNone && c.identity.ClusterID != m.clusterID:
		answer.text = fmt.Sprintf("its data directory is promised to cluster %016x; it holds no messages and may be deleted", c.identity.ClusterID)
	case c.state != stateNone && c.identity.Self != m.identity.Self:
		answer.text = fmt.Sprintf("it is node %d, not %d", c.identity.Self, m.identity.Self)
	}
	if answer.text != "" {
		answer.kind = kindRefuse
	} else if err := f.record.promise(m.identity, m.list); err != nil {
		return err
	}
	if err := f.opts.Gossip.Send(ctx, from, answer.encode()); err != nil {
		f.opts.Logger.Debug("answer about forming the cluster was not sent", "node", from, "error", err) // the offer is repeated
	}
	return nil
}

// progress logs what is waited for, when it changes and every progressPeriod.
func (f *Former) progress(what string) {
	if what == "" || what == f.told && time.Since(f.toldAt) < progressPeriod {
		return
	}
	f.told, f.toldAt = what, time.Now()
	f.opts.Logger.Info("forming the cluster", "state", what)
}
