package gossip

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate is what memberlist calls, partly under its own lock: nothing here blocks or calls back.
type delegate struct{ g *Gossip }

var (
	_ memberlist.Delegate         = delegate{}
	_ memberlist.EventDelegate    = delegate{}
	_ memberlist.AliveDelegate    = delegate{}
	_ memberlist.ConflictDelegate = delegate{}
)

// NodeMeta gives what this node announces.
func (d delegate) NodeMeta(int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return d.g.mu.meta.encode() // short enough by validate
}

// NotifyMsg takes a message of Send.
func (d delegate) NotifyMsg(b []byte) {
	if len(b) < 1 || len(b) < 1+int(b[0]) || len(b) > 1+maxNameBytes+maxMessageBytes {
		d.g.quiet.Warn("message", "a gossip message cannot be read", "bytes", len(b))
		return
	}
	if d.g.opts.Received != nil {
		end := 1 + int(b[0])
		d.g.opts.Received(string(b[1:end]), bytes.Clone(b[end:]))
	}
}

// GetBroadcasts gives nothing: only memberlist's own messages are spread.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState gives nothing.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState takes nothing.
func (delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses nodes that do not belong here.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	m, err := decodeMeta(n.Meta)
	if err != nil {
		d.g.quiet.Warn("meta "+n.Name, "ignored a node in gossip", "node", n.Name, "address", n.Address(), "error", err)
		return err
	}
	d.g.mu.Lock()
	own := d.g.mu.meta.ClusterID
	d.g.mu.Unlock()
	if own != 0 && m.ClusterID != 0 && own != m.ClusterID {
		err := fmt.Errorf("it belongs to cluster %016x, this node to %016x", m.ClusterID, own)
		d.g.quiet.Warn("cluster "+n.Name, "ignored a node in gossip", "node", n.Name, "address", n.Address(), "error", err)
		return err
	}
	return nil
}

// NotifyConflict tells of two nodes of one name.
func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	d.g.quiet.Warn("conflict "+existing.Name, "two nodes have the same name; the second is ignored: give each its own",
		"node", existing.Name, "first", existing.Address(), "second", other.Address())
}

// NotifyJoin notes a node that is alive (again).
func (d delegate) NotifyJoin(n *memberlist.Node) { d.note(n, Alive) }

// NotifyUpdate notes another Meta.
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.note(n, Alive) }

// NotifyLeave notes a node that left or died.
func (d delegate) NotifyLeave(n *memberlist.Node) { d.note(n, Dead) }

// note enters a node's state and has Changed told.
func (d delegate) note(n *memberlist.Node, state State) {
	g := d.g
	meta, err := decodeMeta(n.Meta)
	if err != nil && state == Alive {
		return // NotifyAlive has said so
	}
	if meta.leaving {
		state = Left
	}
	g.mu.Lock()
	old, known := g.mu.members[n.Name]
	m := Member{Name: n.Name, Address: net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port))), State: state, Since: time.Now(), Meta: meta}
	if known && old.State == state {
		m.Since = old.Since
	}
	if !known && len(g.mu.members) >= maxMembers {
		g.forgetLocked()
	}
	if known || len(g.mu.members) < maxMembers {
		g.mu.members[n.Name] = m
	}
	g.mu.Unlock()
	if n.Name != g.opts.Name && (!known || old.State != state) {
		g.logger.Info("node in gossip", "name", n.Name, "address", m.Address, "node", meta.Node, "state", state.String())
	}
	select {
	case g.changedC <- struct{}{}:
	default:
	}
}

// forgetLocked makes room by dropping the node that has been gone longest, if any is gone.
func (g *Gossip) forgetLocked() {
	oldest := ""
	for name, m := range g.mu.members {
		if m.State != Alive && (oldest == "" || m.Since.Before(g.mu.members[oldest].Since)) {
			oldest = name
		}
	}
	delete(g.mu.members, oldest)
}
