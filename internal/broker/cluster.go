package broker

import (
	"context"
	"errors"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// ErrNoLeader means that no node leads the partition, or that the one that does cannot be reached: most replicas are down or cut
// off. Nothing was appended.
var ErrNoLeader = errors.New("no leader: a majority of the replicas cannot be reached")

// Cluster is the other nodes as one node sees them. A lone node has none. All methods may be called from any goroutine.
type Cluster interface {
	// Self returns this node's id.
	Self() catalog.NodeID
	// Leader returns the node that leads a log as far as is known here; 0 if none is known.
	Leader(id LogID) catalog.NodeID
	// Publish hands a batch to the leader of a log on another node, whoever that is by then. As with Log.Propose it does not
	// block and the outcome goes to p.Owner, exactly once; p.Base is not set. Batches for one log arrive in the order of the
	// calls. A change of leaders on the way is retried without a duplicate, for a few seconds. Errors: ErrNoLeader, ErrUnknown,
	// those of the leader.
	Publish(id LogID, p *Proposal)
	// Change has the leader of a log, which may be this node, execute a change (Broker.Change there) and returns the index up
	// to which a replica must have applied the log to show it. It finds the leader, and retries, until the context ends.
	// Changes are idempotent. Errors: ErrNoLeader, ErrUnknown, those of the leader.
	Change(ctx context.Context, id LogID, change []byte) (record.Index, error)
}

// Relay names a node that passes batches on, in one life of its process. The pair of relay and sequence makes a repeated batch
// known as such.
type Relay struct {
	Node catalog.NodeID
	// Life counts the starts of the node.
	Life uint32
}
