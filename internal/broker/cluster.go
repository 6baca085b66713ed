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
	// Place tells who holds a partition, this node or not, local that the topic is: before Logs.Open of a log that this node holds a
	// replica of, and again for each change. The catalog's log, which all nodes hold, has no placement. It does not block.
	Place(id LogID, p catalog.Partition, local bool)
	// Displace forgets a partition whose topic is deleted, after Logs.Delete of this node's replica. It does not block.
	Displace(id LogID)
	// Leader returns the node that leads a log as far as is known here; 0 if none is known. That of a local topic's
	// partition is the one that holds it, while it can be reached. It does not block: publishers ask for each batch.
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
