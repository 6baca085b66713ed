package raftspike

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/record"
)

// A raft entry's Data is a header, which holds what the frame has and Raft does not know, and the payload:
//
//	0  1  kind
//	1  1  flags
//	2  8  base offset
//	10 8  append time, Unix ns
//	18    payload
const dataHeaderBytes = 18

// appendData encodes the part of an entry that Raft carries as Data.
func appendData(dst []byte, e *record.Entry) []byte {
	dst = append(dst, byte(e.Kind), byte(e.Flags))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Base))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
	return append(dst, e.Payload...)
}

// fromRaft returns the entry as it goes into the log. Payloads share memory with the raft entry. An entry of Raft's own
// has no header: it begins where the one before ends, at the same time, so that all replicas give it the same frame.
func fromRaft(e *raftpb.Entry, before tail) (record.Entry, error) {
	out := record.Entry{Term: record.Term(e.GetTerm()), Index: record.Index(e.GetIndex())}
	data := e.GetData()
	switch {
	case e.GetType() != raftpb.EntryNormal:
		return out, fmt.Errorf("raft entry %d is of type %v, which one voter never writes", e.GetIndex(), e.GetType())
	case len(data) == 0:
		out.Kind, out.Base, out.Time = record.KindRaft, before.next, before.time
	case len(data) < dataHeaderBytes:
		return out, fmt.Errorf("raft entry %d has %d bytes", e.GetIndex(), len(data))
	default:
		out.Kind, out.Flags = record.Kind(data[0]), record.Flags(data[1])
		out.Base = record.Offset(binary.BigEndian.Uint64(data[2:]))
		out.Time = int64(binary.BigEndian.Uint64(data[10:]))
		out.Payload = data[dataHeaderBytes:]
	}
	return out, nil
}

// toRaft is the inverse of fromRaft, for entries read back from the log. Those of Raft's own come with a header, so that
// base and time need not be derived again.
func toRaft(e *record.Entry) *raftpb.Entry {
	return &raftpb.Entry{
		Term:  new(uint64(e.Term)),
		Index: new(uint64(e.Index)),
		Data:  appendData(make([]byte, 0, dataHeaderBytes+len(e.Payload)), e),
	}
}
