package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster"
	"github.com/weirmq/weir/internal/cluster/gossip"
	"github.com/weirmq/weir/internal/cluster/member"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/cluster/secret"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/version"
	"github.com/weirmq/weir/internal/vfs"
)

// ClusterOptions say which cluster a node belongs to. Without Join it is alone, unless its data directory says otherwise.
type ClusterOptions struct {
	// Join names all nodes by their gossip addresses, this one included, alike and in the same order on all of them.
	Join member.JoinList
	// Name of this node, unique in the cluster. Default: the peer address that others are told.
	Name string
	// PeerAddress and GossipAddress are where the node listens for others, HOST:PORT.
	PeerAddress, GossipAddress string
	// Key is the secret of the cluster. Without one, nodes listen on loopback only.
	Key secret.Key
	// TrustDisk takes what the disk has for all there was, also after a power loss with a sync policy other than always: then
	// nobody else may know better.
	TrustDisk bool
}

// membership is a node's part in a cluster; the zero value is that of a node alone.
type membership struct {
	record   *member.Record
	identity member.Identity
	known    bool // the node was in the cluster before this process
	gossip   *gossip.Gossip
	former   *member.Former
	cluster  *cluster.Cluster
	peerLn   net.Listener
	stop     context.CancelFunc // ends what runs in the background
}

// openCluster joins the node to its cluster, if it belongs to one; it waits until that is formed.
func (n *Node) openCluster(ctx context.Context) error {
	o := &n.options
	known, err := member.Exists(vfs.Disk(), o.DataPath)
	if err != nil || !known && len(o.Cluster.Join) == 0 {
		return err
	}
	m := &n.member
	if err := errors.Join(o.Cluster.Key.CheckAddress("--peer-address", o.Cluster.PeerAddress),
		o.Cluster.Key.CheckAddress("--gossip-address", o.Cluster.GossipAddress)); err != nil {
		return err
	}
	if m.record, err = member.Open(vfs.Disk(), o.DataPath, member.BootID()); err != nil {
		return err
	}
	if m.peerLn, err = net.Listen("tcp", o.Cluster.PeerAddress); err != nil {
		return fmt.Errorf("--peer-address: %w", err)
	}
	if err := n.openGossip(); err != nil {
		return err
	}
	_, m.known = m.record.Identity()
	if m.identity, err = m.former.Run(ctx); err != nil {
		return err
	}
	if err := m.gossip.SetMeta(n.meta()); err != nil {
		o.Logger.Warn("gossip does not yet tell that this node is in the cluster", slog.Any("error", err))
	}
	return n.connect()
}

// openGossip begins to look for the other nodes.
func (n *Node) openGossip() error {
	o, m := &n.options, &n.member
	logs, err := n.logs.List()
	if err != nil {
		return err
	}
	name := cmp.Or(o.Cluster.Name, n.peerAddress())
	started := make(chan struct{})
	m.former = member.NewFormer(m.record, member.FormOptions{Name: name, List: o.Cluster.Join, Gossip: forming{n, started},
		HoldsMessages: len(logs) > 0, Logger: o.Logger})
	m.gossip, err = gossip.Start(gossip.Options{Name: name, Bind: o.Cluster.GossipAddress, Advertise: o.Advertise, Key: o.Cluster.Key.Gossip(),
		Meta: n.meta(), Join: o.Cluster.Join, Logger: o.Logger.With("part", "gossip"), Received: m.former.Received,
		Changed: func() {
			<-started
			n.membersChanged()
		}})
	if err != nil {
		return fmt.Errorf("--gossip-address: %w", err)
	}
	close(started)
	return nil
}

// forming is gossip as the forming of a cluster sees it.
type forming struct {
	node    *Node
	started chan struct{}
}

// Nodes implements member.Gossip.
func (f forming) Nodes() []member.Node {
	<-f.started
	var list []member.Node
	for _, m := range f.node.member.gossip.Members() {
		if m.State == gossip.Alive {
			list = append(list, member.Node{Name: m.Name, GossipAddress: m.Address, PeerAddress: m.Meta.PeerAddress, ClusterID: m.Meta.ClusterID, List: m.Meta.List})
		}
	}
	return list
}

// Send implements member.Gossip.
func (f forming) Send(ctx context.Context, name string, message []byte) error {
	<-f.started
	return f.node.member.gossip.Send(ctx, name, message)
}

// peerAddress returns what others are told.
func (n *Node) peerAddress() string {
	host, _, err := n.options.names()
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port(n.member.peerLn)))
}

// meta returns what gossip tells of this node.
func (n *Node) meta() gossip.Meta {
	o, m := &n.options, &n.member
	return gossip.Meta{ClusterID: m.identity.ClusterID, Node: m.identity.Self, List: o.Cluster.Join.Digest(), Life: m.record.Life().Number,
		PeerAddress: n.peerAddress(), LookupAddress: n.lookupAddress(), Version: version.Weir}
}

// lookupAddress is where other nodes register their topics, "" if this one has no lookup service.
func (n *Node) lookupAddress() string {
	_, service, err := net.SplitHostPort(n.LookupTCPAddr())
	host, _, nerr := n.options.names()
	if err != nil || nerr != nil {
		return ""
	}
	return net.JoinHostPort(host, service)
}

// connect joins the Raft groups of the node to those of the others.
func (n *Node) connect() error {
	o, m := &n.options, &n.member
	tls, err := o.Cluster.Key.TLS()
	if err != nil {
		return err
	}
	self, life := m.identity.Self, m.record.Life()
	lives := make(map[catalog.NodeID]peer.Life)
	for id, l := range m.record.Lives() {
		lives[id] = peer.Life(l)
	}
	settings := cluster.Options{Self: self, Store: n.store, FS: vfs.Disk(), Dir: o.DataPath, Alone: n.logs, Logger: o.Logger,
		Known: m.known && !o.Cluster.TrustDisk,
		Peer: peer.Options{Self: self, ClusterID: m.identity.ClusterID, Life: peer.Life(life), Lives: lives, Version: version.Weir, TLS: tls,
			Remembers: func(l peer.Life) bool { return m.record.Remembers(member.Life(l)) },
			Logger:    o.Logger, Handler: peer.Handler{LifeSeen: func(id catalog.NodeID, l peer.Life) error { return m.record.SeeLife(id, member.Life(l)) }}}}
	for _, v := range m.identity.Members {
		settings.Members = append(settings.Members, v.ID)
	}
	if m.record.LostUnsynced() && o.Store.Sync != commitlog.SyncAlways && !o.Cluster.TrustDisk {
		settings.Forgetful = fmt.Sprintf("the machine was started anew after an unclean stop with --sync=%v: acknowledged messages may be missing on this disk "+
			"(--trust-disk takes it as it is, where all nodes lost power)", o.Store.Sync)
	}
	joined, err := cluster.New(settings)
	if err != nil {
		return fmt.Errorf("%w%s", err, replaceNode)
	}
	n.joined.Lock()
	m.cluster = joined
	n.joined.Unlock()
	n.membersChanged()
	n.serving.Go(func() { n.report("peer", m.cluster.Transport().Serve(m.peerLn)) })
	o.Logger.Info("member of a cluster", "cluster", fmt.Sprintf("%016x", m.identity.ClusterID), "node", self, "nodes", len(m.identity.Members))
	return nil
}

// replaceNode is what to do where a node's disk has lost what all its replicas, or that of the catalog, must not forget.
const replaceNode = ": the other nodes go on without this one, which has to be replaced; do not put back an older copy of its disk"

// setPeers tells the connections where the other nodes are: where gossip says, else where they were when the cluster was formed.
func (n *Node) setPeers() {
	addresses := make(map[catalog.NodeID]string)
	for _, v := range n.member.identity.Members {
		addresses[v.ID] = v.PeerAddress
	}
	for _, m := range n.member.gossip.Members() {
		if _, ours := addresses[m.Meta.Node]; ours && m.Meta.ClusterID == n.member.identity.ClusterID && m.State == gossip.Alive {
			addresses[m.Meta.Node] = m.Meta.PeerAddress
		}
	}
	delete(addresses, n.member.identity.Self)
	n.member.cluster.Transport().SetPeers(addresses)
}

// membersChanged follows gossip.
func (n *Node) membersChanged() {
	n.joined.Lock()
	defer n.joined.Unlock()
	if n.member.cluster == nil {
		return
	}
	n.setPeers()
	n.registerEverywhere()
}

// registerEverywhere has the node registered with the lookup services of all nodes, so that any of them lists all leaders.
func (n *Node) registerEverywhere() {
	var others []string
	for _, m := range n.member.gossip.Members() {
		if m.State == gossip.Alive && m.Meta.ClusterID == n.member.identity.ClusterID && m.Meta.Node != n.member.identity.Self && m.Meta.LookupAddress != "" {
			others = append(others, m.Meta.LookupAddress)
		}
	}
	slices.Sort(others)
	n.setClusterLookups(others)
}

// introduceEvery is how often the node makes sure that the catalog knows it as it is: another node that knew less may have entered it last.
const introduceEvery = time.Second

// introduce makes the members of the cluster known to the catalog, with this node's ports, and keeps its own entry true.
func (n *Node) introduce(ctx context.Context) {
	o, m := &n.options, &n.member
	host, _, err := o.names()
	if err != nil {
		return
	}
	self := catalog.Node{ID: m.identity.Self, Name: cmp.Or(o.Cluster.Name, n.peerAddress()), Host: host, Ports: catalog.Ports{Peer: uint16(port(m.peerLn))}}
	ticker := time.NewTicker(introduceEvery)
	defer ticker.Stop()
	open := n.openC
	for first := true; ; first = false {
		missing := []catalog.Node{self}
		for _, v := range m.identity.Members {
			if v.ID != self.ID && !first { // at first the catalog may not have been caught up with: they know their ports
				missing = append(missing, catalog.Node{ID: v.ID, Name: v.Name, Host: hostOf(v.PeerAddress)})
			}
		}
		for _, known := range n.broker.Nodes() {
			missing = slices.DeleteFunc(missing, func(x catalog.Node) bool { return x.ID == known.ID && (x.ID != self.ID || x == known) })
		}
		for _, x := range missing {
			if _, err := m.cluster.Change(ctx, broker.LogID{}, catalog.EncodeNode(x)); err != nil && ctx.Err() == nil {
				o.Logger.Warn("the catalog does not know this node as it is", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-open:
			open = nil
			self.Ports.TCP, self.Ports.HTTP = uint16(max(port(n.tcpLn), 0)), uint16(max(port(n.httpLn), 0))
		case <-ticker.C:
		}
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// settleIn waits a while for the catalog, so that the first clients find it, and goes on in the background.
func (n *Node) settleIn(ctx context.Context) {
	const patience = 5 * time.Second
	ctx, n.member.stop = context.WithCancel(context.WithoutCancel(ctx))
	n.member.cluster.Serve(n.broker)
	n.serving.Go(func() { n.introduce(ctx) })
	for begun := time.Now(); len(n.broker.Nodes()) < len(n.member.identity.Members) && time.Since(begun) < patience; {
		time.Sleep(5 * time.Millisecond)
	}
}

// handOver hands over what this node leads. The node goes on serving.
func (n *Node) handOver(ctx context.Context) {
	if n.member.cluster == nil {
		return
	}
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n.member.cluster.Handover(ctx)
}

// closeCluster ends the node's part in the cluster, once its logs are closed.
func (n *Node) closeCluster() error {
	m := &n.member
	var errs []error
	if m.cluster != nil {
		errs = append(errs, m.cluster.Close())
	} else if m.peerLn != nil {
		m.peerLn.Close()
	}
	if m.gossip != nil {
		errs = append(errs, m.gossip.Close())
	}
	return errors.Join(errs...)
}
