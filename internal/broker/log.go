package broker

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// Results of a proposal and of reads that doors translate for their clients. Implementations of Log wrap them.
var (
	// ErrNotLeader means that another node leads the partition now; the proposal is not, and will not be, in the log.
	ErrNotLeader = errors.New("not the leader of the partition")
	// ErrFull means that there is no room: the disk is full, or too much waits to be written. Nothing was appended.
	ErrFull = errors.New("no space left for new messages")
	// ErrTooManyDeferred means that a channel holds as many deferred and unfinished messages as it may; others are taken.
	ErrTooManyDeferred = errors.New("too many messages are deferred or unfinished")
	// ErrUnknown means that leadership or the disk was lost with the proposal under way: it may or may not be in the log.
	ErrUnknown = errors.New("outcome unknown")
	// ErrFailed means that the log has failed (a sync error, damage) and takes nothing until the node is restarted.
	ErrFailed = errors.New("log failed")
	// ErrClosed means that the node, the topic or the log is closing. Nothing was appended.
	ErrClosed = errors.New("closed")
	// ErrOffsetOutOfRange means that an offset is below the start of the log and not carried, or not yet committed.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrLost means that a message was lost to damage and given up by a repair; errors.As finds the LostError.
	ErrLost = errors.New("message lost to damage and given up by repair")
)

// LostError says which messages a repair has given up. It is an ErrLost.
type LostError struct {
	First, Next record.Offset // at least the messages [First, Next)
}

// Error names the range.
func (e *LostError) Error() string {
	return fmt.Sprintf("%v: offsets %d to %d", ErrLost, e.First, e.Next-1)
}

// Is reports ErrLost.
func (e *LostError) Is(target error) bool { return target == ErrLost }

func (e *LostError) contains(o record.Offset) bool { return e.First <= o && o < e.Next }

// A Proposal is one entry on its way into a log.
type Proposal struct {
	Kind  record.Kind // KindBatch, KindControl or KindCarry
	Flags record.Flags
	// Payload is the encoded batch (base offset and leader epoch not yet stamped) or change. The log owns it from Propose
	// on, may stamp it, and shares it with its cache and its readers; the caller never touches it again.
	Payload []byte
	// Owner hears of the outcome. It may be nil.
	Owner Owner
	// Messages and BodyBytes count what a batch holds, for statistics.
	Messages  int
	BodyBytes int

	// Set by the log before Owner.Proposed is called.

	Err   error         // nil once committed; else one of the errors above
	Base  record.Offset // of a committed batch, the offset of its first message
	Index record.Index  // of the committed entry

	// Set by Topic.Publish.

	topic     *Topic
	publisher Owner  // the Owner that the door had set
	size      int64  // bytes taken from the budget
	route     *route // once the batch had to look for a leader
}

// Owner is told the outcome of its proposals.
type Owner interface {
	// Proposed reports that p is committed, or why not, in p.Err. It is called exactly once for each proposal, for
	// committed ones of one log in log order, after Machine.Apply of the entry. It runs on the log's committing goroutine
	// and must not block.
	Proposed(p *Proposal)
}

// Log is one partition's log, durable and, once there are replicas, replicated. It orders proposals, commits them, and
// hands the committed entries to its Machine. A lone node's log (package replica) and a Raft group implement it; the
// tests' hostile log delays, drops and truncates what is not committed, and changes leaders.
//
// All methods may be called from any goroutine.
type Log interface {
	// Start replays the committed entries above index to the Machine, then goes live. It is called once, before anything
	// else but Checkpoint.
	Start(above record.Index) error
	// Propose hands over p. It never blocks for a network, but it may for a disk: where the log's policy answers before the sync,
	// it may write in place, whatever p is, and a batch of a publisher that is alone it may sync in place. The outcome, a refusal
	// included, goes to p.Owner, possibly before Propose returns; Machine.Apply may run within it, too, but never Machine.Lead.
	Propose(p *Proposal)
	// Bounds returns the first offset that can be read (older ones are gone or carried) and the high watermark.
	Bounds() (start, end record.Offset)
	// NewReader returns a Reader of committed messages.
	NewReader() Reader
	// Checkpoint returns the newest intact checkpoint and the index up to which it holds; nil and 0 if there is none.
	Checkpoint() (state []byte, at record.Index, err error)
	// SaveCheckpoint stores the state as applied up to index at, durably, and drops all older ones but one. It blocks
	// for the disk.
	SaveCheckpoint(state []byte, at record.Index) error
	// Segments lists the log's files, oldest first. The last is active, or sealed if nothing was appended since a restart.
	Segments() []Segment
	// Roll seals the active segment if it holds anything, so that it can be trimmed once it is finished.
	Roll() error
	// Trim deletes sealed segments all of whose messages lie below the offset and all of whose entries are covered by a
	// stored checkpoint. Deleting is done in the background.
	Trim(below record.Offset) error
	// Close stops the log cleanly: what was proposed is committed or refused, everything is synced, the end is recorded.
	Close() error
}

// Segment describes one file of a log.
type Segment struct {
	First, Next record.Offset // offsets of its messages: [First, Next)
	Bytes       int64
	LastTime    int64 // append time of its last entry, Unix ns; 0 if empty
	Sealed      bool
	// Carries tells that the segment holds carry entries: messages below First, which go with it.
	Carries bool
}

// Reader reads committed messages by offset. It may hold a buffer of its own, so it belongs to one goroutine at a time;
// Release gives the buffer back while the reader idles.
type Reader interface {
	// Batch returns the batch that holds offset, and its append time in Unix ns. Carried messages come in a batch with
	// gaps. The batch is valid until the next call of any method. Errors: ErrOffsetOutOfRange, ErrClosed, a
	// *LostError with offset in its range, or damage.
	Batch(offset record.Offset) (record.Batch, int64, error)
	// Rest lets go of what is large or scarce, since there is a pause: a small buffer may stay, so that what was read ahead is
	// not read again.
	Rest()
	// Release lets go of everything. The reader can be used again.
	Release()
}

// Machine is the state machine behind a log: a partition's channels, or the catalog.
type Machine interface {
	// Apply is given each committed entry once, in index order, by one goroutine at a time. Of a repaired log those that
	// are lost are left out: index and base offset jump. It must not block. The payload is shared: it may be kept, never
	// changed.
	Apply(e *record.Entry)
	// Lead is called when this node starts (true) or stops (false) to lead the log, between the Apply calls it concerns:
	// after Lead(true) everything of earlier terms has been applied. What the machine still has to record it proposes during
	// Lead(false): where leadership is handed over, the log takes that, and the next leader begins behind it; where leadership
	// was lost, it is refused. After a hand-over that did not succeed comes Lead(true), when all that was taken is applied.
	Lead(leading bool)
	// Restore replaces the whole state by that of a checkpoint of another replica, which holds up to index at. It comes
	// while the node does not lead, never beside Apply; Apply goes on above at. The machine may keep state and never changes
	// it. An error means that state cannot be understood: nothing was replaced, and the log must fail.
	Restore(state []byte, at record.Index) error
	// Failed reports that the log has failed for good.
	Failed(err error)
}

// LogID names a log on a node: the incarnation of a topic, and the partition. Topic 0 is the catalog.
type LogID struct {
	Topic     uint64
	Partition uint16
}

// Logs opens the logs of a node.
type Logs interface {
	// Create makes an empty log; when it returns, the log's existence is durable.
	Create(id LogID) error
	// Open recovers an existing log for machine. Nothing is applied before Start. Errors: damage, with file, position and
	// the command that repairs it.
	Open(id LogID, machine Machine) (Log, error)
	// Delete removes a closed log; the name is gone durably when it returns, the space is freed in the background.
	Delete(id LogID) error
	// List returns the logs that exist, in no order.
	List() ([]LogID, error)
	// Healthy returns nil, or why no more messages are taken: ErrFull, wrapped.
	Healthy() error
	// Tight reports whether space runs low: what is kept only for replay should go before messages have to be refused.
	Tight() bool
}
