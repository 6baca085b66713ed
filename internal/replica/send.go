package replica

import (
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/catalog"
)

// Lane is one of the connections between two nodes: what is small and urgent must not wait behind what is large.
type Lane uint8

// The lanes.
const (
	LaneControl Lane = iota // votes, heartbeats
	LaneAppend              // entries
)

// Peers are the connections to the other nodes. Its methods may be called from any goroutine.
type Peers interface {
	// Send passes a frame on to a node's Groups.Receive. It never blocks, keeps the parts, which nobody changes any more, and
	// reports false if it dropped the frame. Frames may get lost on the way, too.
	Send(to catalog.NodeID, lane Lane, frame [][]byte) bool
	// Up tells whether a node can be reached, as far as is known, and is not about to stop.
	Up(node catalog.NodeID) bool
	// Fetch asks a node for a snapshot of one of its logs (Groups.Snapshot there). It is called on a goroutine of its own.
	Fetch(from catalog.NodeID, id LogID) (io.ReadCloser, error)
}

// send passes a message of a pass on. Raft hears of one that could not be sent after the pass.
func (g *Group) send(m *raftpb.Message) {
	if m.GetType() == raftpb.MsgApp && g.holdBack(m) {
		return
	}
	if !g.transmit(m) && m.GetType() == raftpb.MsgApp {
		g.dropped = append(g.dropped, m.GetTo())
	}
}

// transmit passes a message on to the node of its replica.
func (g *Group) transmit(m *raftpb.Message) bool {
	node, ok := g.config.Replicas[m.GetTo()]
	return ok && g.groups.peers.Send(node, lane(m), encodeMessage(g.id, m))
}

func lane(m *raftpb.Message) Lane {
	if t := m.GetType(); t == raftpb.MsgApp || t == raftpb.MsgAppResp {
		return LaneAppend
	}
	return LaneControl
}
