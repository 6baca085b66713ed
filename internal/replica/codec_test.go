package replica

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/bounded"
)

func messages() []*raftpb.Message {
	return []*raftpb.Message{
		{Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(7)), Commit: new(uint64(300))},
		{Type: raftpb.MsgAppResp.Enum(), To: new(uint64(1)), From: new(uint64(3)), Term: new(uint64(7)), Index: new(uint64(1 << 40)),
			Reject: new(true), RejectHint: new(uint64(9)), LogTerm: new(uint64(6))},
		{Type: raftpb.MsgVote.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(8)), Context: []byte("CampaignTransfer")},
		{Type: raftpb.MsgSnap.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(8)),
			Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(5)), Term: new(uint64(4))}}},
		{Type: raftpb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(7)), LogTerm: new(uint64(6)), Index: new(uint64(10)),
			Commit: new(uint64(9)), Entries: []*raftpb.Entry{
				{Type: raftpb.EntryNormal.Enum(), Term: new(uint64(7)), Index: new(uint64(11))},
				{Type: raftpb.EntryNormal.Enum(), Term: new(uint64(7)), Index: new(uint64(12)), Data: bytes.Repeat([]byte("x"), 300)},
				{Type: raftpb.EntryConfChangeV2.Enum(), Term: new(uint64(7)), Index: new(uint64(13)), Data: []byte("y")},
			}},
	}
}

func TestMessagesCrossTheNetworkWhole(t *testing.T) {
	id := broker.LogID{Topic: 1<<63 + 5, Partition: 9}
	for _, m := range messages() {
		frame := bytes.Join(encodeMessage(id, m), nil)
		gotID, got, err := decodeMessage(frame)
		if err != nil || gotID != id {
			t.Fatalf("%v: %v %v", m.GetType(), gotID, err)
		}
		if !reflect.DeepEqual(bytes.Join(encodeMessage(id, got), nil), frame) || len(got.GetEntries()) != len(m.GetEntries()) {
			t.Errorf("%v comes back as %v", m, got)
		}
		for n := range frame {
			if _, _, err := decodeMessage(frame[:n]); err == nil {
				t.Fatalf("%v cut to %d of %d bytes is taken", m.GetType(), n, len(frame))
			}
		}
	}
}

func TestMessagesOfANodeItselfAreNotTakenFromOthers(t *testing.T) {
	for _, kind := range []raftpb.MessageType{raftpb.MsgHup, raftpb.MsgBeat, raftpb.MsgProp, raftpb.MsgStorageAppendResp, raftpb.MsgCheckQuorum} {
		m := &raftpb.Message{Type: kind.Enum(), To: new(uint64(1)), From: new(uint64(2))}
		if _, _, err := decodeMessage(bytes.Join(encodeMessage(broker.LogID{}, m), nil)); err == nil {
			t.Errorf("%v is taken from another node", kind)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(bytes.Join(encodeMessage(broker.LogID{Topic: 1}, m), nil))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		bounded.Memory(t, len(frame), func() { decodeMessage(frame) })
		id, m, err := decodeMessage(frame)
		if err != nil {
			return
		}
		for _, e := range m.GetEntries() {
			_, _ = fromRaft(e)
		}
		again, _, err := decodeMessage(bytes.Join(encodeMessage(id, m), nil))
		if err != nil || again != id {
			t.Fatalf("%v does not survive encoding: %v", m, err)
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	e := record.Entry{Kind: record.KindControl, Term: 2, Index: 6, Base: 3, Time: 9, Payload: []byte("change")}
	origin := commitlog.Origin{Index: 5, Term: 1, Next: 3, Time: 8}
	whole := append(appendSnapshotHead(nil, []byte("state"), 6, origin), "state"...)
	whole = append(appendSnapshotRow(whole, &e), e.Payload...)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(t *testing.T, p []byte) {
		bounded.Memory(t, len(p), func() { readSnapshot(bytes.NewReader(p)) })
		s, err := readSnapshot(bytes.NewReader(p))
		if err != nil {
			return
		}
		for next := s.origin.Index + 1; ; next++ {
			e, err := s.entry()
			if err == io.EOF && next != s.at+1 || err == nil && e.Index != next {
				t.Fatalf("the stream ends at %d of %d", next, s.at)
			}
			if err != nil {
				return
			}
		}
	})
}

func FuzzDecodeVotes(f *testing.F) {
	b := append([]byte(votesMagic), votesFormat, 0, 0, 0)
	b = appendVote(b, broker.LogID{Topic: 3, Partition: 1}, vote{1, 5, 2}, 0)
	f.Add(b)
	f.Add(appendVote(b, broker.LogID{Topic: 4}, vote{2, 9, 0}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded.Memory(t, len(b), func() { (&votes{stored: make(map[broker.LogID]vote)}).decode(b) })
		v := &votes{stored: make(map[broker.LogID]vote)}
		if err := v.decode(b); err != nil {
			return
		}
		for _, x := range v.stored {
			if x.replica == 0 {
				t.Fatal("a vote of no replica")
			}
		}
	})
}
