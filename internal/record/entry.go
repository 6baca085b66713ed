// Package record is the vocabulary of the log: offsets, indexes, entries, and the encoding of batches and records.
package record

// Offset is the logical position of a message in a partition. Message n of a partition has offset n, for ever.
type Offset int64

// Index is the position of an entry in a partition's log, as Raft counts it: the first entry has index 1, and each entry,
// whatever its kind, takes one. 0 means none.
type Index uint64

// Term is a Raft term. A lone node writes term 1.
type Term uint64

// Kind says what an entry holds.
type Kind uint8

// The kinds of entries. The numbers are part of the disk format.
const (
	// KindBatch is a Kafka RecordBatch v2 of messages. It is the only kind that takes offsets.
	KindBatch Kind = 1
	// KindControl is a change of channel, topic or catalog state, encoded by the state machine that applies it.
	KindControl Kind = 2
	// KindCarry repeats unfinished messages of segments about to be deleted, with their old offsets and times.
	KindCarry Kind = 3
	// KindRaft is Raft's own: an empty entry of a new leader, or a configuration change.
	KindRaft Kind = 4
)

// Flags are properties of an entry that are worth knowing without decoding its payload.
type Flags uint8

// FlagDue marks a batch in which at least one record has the header weir.due.
const FlagDue Flags = 1

// Entry is one step of a partition's log.
type Entry struct {
	Kind  Kind
	Flags Flags
	Term  Term
	Index Index
	// Base is the offset of the first message of a batch; for other kinds, the offset that the next message will get.
	Base Offset
	// Time is when the entry was appended, in Unix nanoseconds; it never decreases along a log. All messages of a batch
	// have it as their NSQ timestamp.
	Time int64
	// Payload is the batch or the encoded change. It is never changed once it is part of an Entry: caches, readers and
	// replicas share it.
	Payload []byte
}

// Next returns the offset that follows the entry: that of the first message after it.
func (e *Entry) Next() Offset {
	if e.Kind != KindBatch {
		return e.Base
	}
	return e.Base + Offset(Batch(e.Payload).Count())
}
