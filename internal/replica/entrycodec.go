package replica

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/record"
)

// The Data of an entry in Raft is a header, which holds what the frame has and Raft does not know, and the payload:
//
//	0  1  kind
//	1  1  flags
//	2  8  base offset
//	10 8  append time, Unix ns
//	18    payload
//
// Raft's own entries are made by the library and have no header. On the disk they are of KindRaft: flags hold Raft's type of the
// entry, the payload its data, and base and time are those of the entry before, so that all replicas write the same frame.
const dataHeaderBytes = 18

// appendData encodes the part of an entry that Raft carries as Data.
func appendData(dst []byte, e *record.Entry) []byte {
	dst = append(dst, byte(e.Kind), byte(e.Flags))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Base))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
	return append(dst, e.Payload...)
}

// fromRaft returns the entry that goes into the log. The payload shares memory with e. Base and time of an entry of Raft's own are
// left at 0.
func fromRaft(e *raftpb.Entry) (record.Entry, error) {
	out := record.Entry{Term: record.Term(e.GetTerm()), Index: record.Index(e.GetIndex())}
	data := e.GetData()
	if e.GetType() != raftpb.EntryNormal || len(data) == 0 {
		out.Kind, out.Flags, out.Payload = record.KindRaft, record.Flags(e.GetType()), data
		return out, nil
	}
	if len(data) < dataHeaderBytes {
		return out, fmt.Errorf("entry %d has %d bytes, less than its header", e.GetIndex(), len(data))
	}
	out.Kind, out.Flags = record.Kind(data[0]), record.Flags(data[1])
	out.Base = record.Offset(binary.BigEndian.Uint64(data[2:]))
	out.Time = int64(binary.BigEndian.Uint64(data[10:]))
	out.Payload = data[dataHeaderBytes:]
	switch {
	case out.Kind < record.KindBatch || out.Kind >= record.KindRaft:
		return out, fmt.Errorf("entry %d is of the unknown kind %d", e.GetIndex(), out.Kind)
	case out.Kind == record.KindBatch:
		if _, err := record.ParseBatch(out.Payload); err != nil {
			return out, fmt.Errorf("entry %d: %w", e.GetIndex(), err)
		}
	}
	return out, nil
}

// toRaft is the inverse of fromRaft, for entries read back from the log.
func toRaft(e *record.Entry) *raftpb.Entry {
	out := &raftpb.Entry{Term: new(uint64(e.Term)), Index: new(uint64(e.Index))}
	if e.Kind == record.KindRaft {
		out.Type = raftpb.EntryType(e.Flags).Enum()
		if len(e.Payload) > 0 {
			out.Data = e.Payload
		}
		return out
	}
	out.Data = appendData(make([]byte, 0, dataHeaderBytes+len(e.Payload)), e)
	return out
}
