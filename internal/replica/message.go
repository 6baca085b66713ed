package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
)

// A message between two replicas travels as one frame, docs/format/peer.md:
//
//	0   8  topic id of the log
//	8   2  partition
//	10  1  type, as Raft numbers it
//	11  1  flags: 1 = reject
//	12     uvarints: to, from, term, log term, index, commit, vote, reject hint, length of the context
//	       the context
//	       of MsgSnap: uvarints index and term of the snapshot
//	       uvarint: count of the entries; of each: type (1 byte), uvarints term and length, and the data
//
// Entries have consecutive indexes from the message's index + 1 on.

// messageHeadBytes is the fixed part.
const messageHeadBytes = 12

const flagReject = 1

var errMalformedMessage = errors.New("malformed message between replicas")

// encodeMessage returns a frame as parts; the entries' data are shared with m.
func encodeMessage(id broker.LogID, m *raftpb.Message) [][]byte {
	b := make([]byte, 0, messageHeadBytes+64+len(m.GetContext())+12*len(m.GetEntries()))
	b = binary.BigEndian.AppendUint64(b, id.Topic)
	b = binary.BigEndian.AppendUint16(b, id.Partition)
	flags := byte(0)
	if m.GetReject() {
		flags = flagReject
	}
	b = append(b, byte(m.GetType()), flags)
	for _, v := range [...]uint64{m.GetTo(), m.GetFrom(), m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetVote(),
		m.GetRejectHint(), uint64(len(m.GetContext()))} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, m.GetContext()...)
	if m.GetType() == raftpb.MsgSnap {
		b = binary.AppendUvarint(b, m.GetSnapshot().GetMetadata().GetIndex())
		b = binary.AppendUvarint(b, m.GetSnapshot().GetMetadata().GetTerm())
	}
	b = binary.AppendUvarint(b, uint64(len(m.GetEntries())))
	parts := make([][]byte, 0, 1+2*len(m.GetEntries()))
	from := 0
	for _, e := range m.GetEntries() {
		b = append(b, byte(e.GetType()))
		b = binary.AppendUvarint(b, e.GetTerm())
		b = binary.AppendUvarint(b, uint64(len(e.GetData())))
		parts = append(parts, b[from:len(b):len(b)], e.GetData())
		from = len(b)
	}
	if from < len(b) {
		parts = append(parts, b[from:])
	}
	return parts
}

// decodeMessage is the inverse. The message shares memory with the frame.
func decodeMessage(frame []byte) (broker.LogID, *raftpb.Message, error) {
	if len(frame) < messageHeadBytes {
		return broker.LogID{}, nil, fmt.Errorf("%w: %d bytes", errMalformedMessage, len(frame))
	}
	id := broker.LogID{Topic: binary.BigEndian.Uint64(frame), Partition: binary.BigEndian.Uint16(frame[8:])}
	kind := raftpb.MessageType(frame[10])
	if !betweenReplicas(kind) || frame[11]&^flagReject != 0 {
		return id, nil, fmt.Errorf("%w: type %d, flags %d", errMalformedMessage, frame[10], frame[11])
	}
	m := &raftpb.Message{Type: kind.Enum()}
	if frame[11]&flagReject != 0 {
		m.Reject = new(true)
	}
	r := messageReader{rest: frame[messageHeadBytes:]}
	m.To, m.From, m.Term, m.LogTerm = r.number(), r.number(), r.number(), r.number()
	m.Index, m.Commit, m.Vote, m.RejectHint = r.number(), r.number(), r.number(), r.number()
	if context := r.bytes(); len(context) > 0 {
		m.Context = context
	}
	if kind == raftpb.MsgSnap {
		m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: r.number(), Term: r.number()}}
	}
	r.entries(m)
	if r.failed || len(r.rest) > 0 {
		return id, nil, fmt.Errorf("%w: type %v", errMalformedMessage, kind)
	}
	return id, m, nil
}

// betweenReplicas tells which messages come from other replicas. All others are a node's own.
func betweenReplicas(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgSnap, raftpb.MsgTimeoutNow:
		return true
	}
	return false
}

// messageReader reads a frame; after an error everything reads as nothing.
type messageReader struct {
	rest   []byte
	failed bool
}

func (r *messageReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// number is a field of a message: nil for 0, as the library leaves it.
func (r *messageReader) number() *uint64 {
	if v := r.uvarint(); v != 0 {
		return &v
	}
	return nil
}

func (r *messageReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *messageReader) entries(m *raftpb.Message) {
	const minEntryBytes = 3
	n := r.uvarint()
	if n == 0 {
		return
	}
	if n > uint64(len(r.rest))/minEntryBytes {
		r.failed = true
		return
	}
	m.Entries = make([]*raftpb.Entry, n)
	for i := range m.Entries {
		if len(r.rest) == 0 {
			r.failed = true
			return
		}
		kind := raftpb.EntryType(r.rest[0])
		r.rest = r.rest[1:]
		if kind > raftpb.EntryConfChangeV2 {
			r.failed = true
			return
		}
		e := &raftpb.Entry{Type: kind.Enum(), Term: new(r.uvarint()), Index: new(m.GetIndex() + 1 + uint64(i))}
		if data := r.bytes(); len(data) > 0 {
			e.Data = data
		}
		m.Entries[i] = e
	}
}
