package broker

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/bounded"
)

func relayOf(node uint64, life uint32, sequence uint64) record.Relay {
	return record.Relay{Node: node, Life: life, Sequence: sequence}
}

func TestRelaysKnowWhatIsApplied(t *testing.T) {
	r := relays{}
	for _, sequence := range []uint64{1, 2, 3, 6, 5, 10} {
		r.applied(relayOf(7, 2, sequence))
	}
	for sequence, want := range []relayVerdict{relayUnknown, relayApplied, relayApplied, relayApplied, relayNew, relayApplied, relayApplied,
		relayNew, relayNew, relayNew, relayApplied, relayNew} {
		if got := r.verdict(relayOf(7, 2, uint64(sequence))); got != want {
			t.Errorf("sequence %d: got %d, want %d", sequence, got, want)
		}
	}
	if got := r.verdict(relayOf(8, 2, 1)); got != relayNew {
		t.Errorf("another node's: %d", got)
	}
	if got := r.verdict(relayOf(7, 1, 3)); got != relayUnknown {
		t.Errorf("of an older life: %d", got)
	}
	if got := r.verdict(relayOf(7, 3, 3)); got != relayNew {
		t.Errorf("of a newer life: %d", got)
	}
	r.applied(relayOf(7, 3, 1))
	r.applied(relayOf(7, 2, 11)) // late
	if got := r.verdict(relayOf(7, 3, 11)); got != relayNew {
		t.Errorf("what an older life sent counts for the newer one: %d", got)
	}
}

// What was applied is never told to be new, what was not never to be applied, whatever the order.
func TestRelaysAgreeWithASetOfSequences(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		r, set := relays{}, map[uint64]bool{}
		for range 300 {
			sequence := 1 + rng.Uint64N(400)
			if verdict := r.verdict(relayOf(1, 1, sequence)); verdict == relayNew {
				r.applied(relayOf(1, 1, sequence))
				set[sequence] = true
			}
			for _, probe := range []uint64{sequence, 1 + rng.Uint64N(400)} {
				verdict := r.verdict(relayOf(1, 1, probe))
				if verdict == relayNew && set[probe] || verdict == relayApplied && !set[probe] {
					t.Fatalf("sequence %d: verdict %d, applied %v", probe, verdict, set[probe])
				}
			}
			if n := len(r[1].gaps); n > maxGaps {
				t.Fatalf("%d gaps are remembered", n)
			}
		}
	}
}

func relaysState() []byte {
	p := statePartition()
	p.mu.dispatch = dispatch{next: 5}
	for _, sequence := range []uint64{1, 3, 300} {
		p.mu.relays.applied(relayOf(7, 2, sequence))
	}
	p.mu.relays.applied(relayOf(9, 1, 1))
	return p.appendStateLocked(nil)
}

func TestRelaysStateGoldenBytes(t *testing.T) {
	const want = "02" + "05" + "00" + "00" + "00" + "00" + "00" + // format, next, flags, position, pausedAt, no backlog, no channels
		"02" + "07" + "02" + "00" + "ac02" + "02" + "0202" + "04ab02" + // node 7, life 2, floor 0, highest 300, gaps 2 to 2 and 4 to 299
		"09" + "01" + "00" + "01" + "00"
	state := relaysState()
	if got := hex.EncodeToString(state); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	p := statePartition()
	if err := p.Restore(state, 9); err != nil {
		t.Fatal(err)
	}
	if p.mu.relays.verdict(relayOf(7, 2, 300)) != relayApplied || p.mu.relays.verdict(relayOf(7, 2, 4)) != relayNew {
		t.Error("the sequences are not restored")
	}
	if !bytes.Equal(p.appendStateLocked(nil), state) {
		t.Error("the state changes when it is decoded and encoded")
	}
}

func TestRepeatedBatchSharesTheOutcomeOfTheFirst(t *testing.T) {
	p := statePartition()
	log := &holdingLog{}
	p.log = log
	p.Lead(true)
	batch := func(sequence uint64) *Proposal {
		var b record.Builder
		b.Append([]byte("m"), 0)
		encoded := b.Finish(1)
		encoded.SetRelay(relayOf(3, 1, sequence))
		return &Proposal{Payload: encoded, Owner: make(waiter, 1)}
	}
	b := p.broker
	b.topics.byID = map[uint64]*Topic{0: p.topic}
	first, second := batch(1), batch(1)
	owners := []waiter{first.Owner.(waiter), second.Owner.(waiter)}
	b.Relayed(LogID{}, first)
	b.Relayed(LogID{}, second)
	if len(log.held) != 1 {
		t.Fatalf("%d proposals, want one", len(log.held))
	}
	answerProposal(log.held[0], ErrUnknown)
	for i, o := range owners {
		if _, err := o.wait(t.Context()); !errors.Is(err, ErrUnknown) {
			t.Errorf("attempt %d: %v, want ErrUnknown", i, err)
		}
	}
	third := batch(1)
	owner := third.Owner.(waiter)
	b.Relayed(LogID{}, third) // not applied: proposed anew
	p.Apply(&record.Entry{Kind: record.KindBatch, Index: 1, Payload: third.Payload})
	fourth := batch(1)
	last := fourth.Owner.(waiter)
	answerProposal(log.held[1], nil)
	b.Relayed(LogID{}, fourth)
	if len(log.held) != 2 {
		t.Fatalf("%d proposals, want two: the last is applied already", len(log.held))
	}
	for i, o := range []waiter{owner, last} {
		if _, err := o.wait(t.Context()); err != nil {
			t.Errorf("attempt %d: %v", i+2, err)
		}
	}
	if n := p.topic.messages.Load(); n != 0 || len(p.mu.underway) != 0 {
		t.Errorf("%d messages counted of batches without any, %d under way", n, len(p.mu.underway))
	}
	p.Lead(false)
	fifth := batch(2)
	owner = fifth.Owner.(waiter)
	b.Relayed(LogID{}, fifth)
	if _, err := owner.wait(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("at a follower: %v, want ErrNotLeader", err)
	}
}

// holdingLog keeps what is proposed.
type holdingLog struct {
	failedLog
	held []*Proposal
}

func (l *holdingLog) Propose(p *Proposal) { l.held = append(l.held, p) }

func TestChangeGoldenBytes(t *testing.T) {
	for _, c := range []struct {
		change change
		want   string
	}{
		{change{op: opCreateChannel, name: "mail"}, "02" + "00" + "6d61696c"},
		{change{op: opDeleteChannel, name: "mail"}, "03" + "00" + "6d61696c"},
		{change{op: opPauseChannel, name: "mail", on: true}, "04" + "01" + "6d61696c"},
		{change{op: opEmptyChannel, name: "mail"}, "05" + "00" + "6d61696c"},
		{change{op: opPauseTopic, on: true}, "06" + "01"},
		{change{op: opEmptyTopic}, "07" + "00"},
	} {
		if got := hex.EncodeToString(c.change.encode()); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.change, got, c.want)
		}
		if got, err := decodeChange(c.change.encode()); err != nil || got != c.change {
			t.Errorf("%+v is read as %+v, %v", c.change, got, err)
		}
	}
}

func FuzzDecodeChange(f *testing.F) {
	f.Add(change{op: opPauseChannel, name: "mail", on: true}.encode())
	f.Add(change{op: opEmptyTopic}.encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		bounded.Memory(t, len(p), func() { decodeChange(p) })
		c, err := decodeChange(p)
		if err == nil && !bytes.Equal(c.encode(), p) {
			t.Fatalf("%+v is encoded otherwise", c)
		}
	})
}
