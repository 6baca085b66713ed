package queue

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// golden holds encodings that must be readable for ever, and be written as they are.
var golden = []struct {
	name  string
	delta string // hex
	state string // hex, of New(100) after the delta
}{
	{"nothing", "0100", "01006400"},
	{"a run that raises the floor", "01 0a64 00", "01006e00"},
	{"runs above the floor", "01 0265 0303 00", "010064 0265 0303 00"},
	{"waits", "01 00 6403e807 0001 c701", "010064 00 6403e807 0001c701"},
	{"runs and waits", "01 0264 0105 00 660114 020313", "010066 016b 00 660114 020313"},
	{"the example of docs/format/channel-state.md", "01 0264 0105 00 660114 020013", "010066 016b 00 660114 020013"},
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGoldenDeltasAndStates(t *testing.T) {
	for _, g := range golden {
		c := New(100, Options{})
		if err := c.ApplyDelta(fromHex(t, g.delta)); err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		state := c.AppendState(nil)
		if want := fromHex(t, g.state); !bytes.Equal(state, want) {
			t.Errorf("%s: state %x, want %x", g.name, state, want)
		}
		again, err := Decode(fromHex(t, g.state), Options{})
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if !bytes.Equal(again.AppendState(nil), state) {
			t.Errorf("%s: decoded state differs", g.name)
		}
	}
}

func TestMalformedDeltasAreRefusedAndChangeNothing(t *testing.T) {
	for name, delta := range map[string]string{
		"empty":                  "",
		"unknown version":        "02 00",
		"cut in a run":           "01 05",
		"no end of runs":         "01 0564",
		"cut in a wait":          "01 00 6401",
		"attempts above 65535":   "01 00 64 808004 00",
		"negative due time":      "01 00 64 01 01",
		"due time out of range":  "01 00 64 01 feffffffffffffff7f",
		"offset out of range":    "01 00 80808080808080 01 01 00",
		"run out of range":       "01 02 ffffffffffff3f 00",
		"run far above the rest": "01 ffffffffffff3f 00 00",
		"number of 70 bits":      "01 ffffffffffffffffffff01 00 00",
	} {
		c := New(100, Options{})
		before := c.AppendState(nil)
		if err := c.ApplyDelta(fromHex(t, delta)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v", name, err)
		}
		if !bytes.Equal(c.AppendState(nil), before) {
			t.Errorf("%s: changed something", name)
		}
	}
}

func TestMalformedStatesAreRefused(t *testing.T) {
	for name, state := range map[string]string{
		"empty":                      "",
		"unknown version":            "020064 00",
		"unknown flag":               "010264 00",
		"no floor":                   "0100",
		"run at the floor":           "010064 0264 00",
		"run below the floor":        "010064 0263 00",
		"runs that touch":            "010064 0265 0200 00",
		"waits below the floor":      "010064 00 630100",
		"waits though finished":      "010064 0265 00 660100",
		"run far above the floor":    "010000 80808080808001 00 00",
		"cut":                        "010064 0265",
		"floor above 48 bits":        "0100 ffffffffffffff7f 00",
		"trailing byte after a wait": "010064 00 640100 00",
	} {
		if _, err := Decode(fromHex(t, state), Options{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestEntriesOfADeltaBelowTheFloorAreIgnored(t *testing.T) {
	c := New(100, Options{})
	w := changeWriter{dst: []byte{deltaVersion}}
	w.run(0, 50)
	w.run(99, 102)
	w.endRuns()
	w.wait(7, wait{1, 1})
	w.wait(99, wait{1, 1})
	w.wait(101, wait{1, 1})
	w.wait(103, wait{1, 1})
	if err := c.ApplyDelta(w.dst); err != nil {
		t.Fatal(err)
	}
	if c.Floor() != 102 || c.cursor.waiting.len() != 1 || c.cursor.finished.n != 0 {
		t.Fatalf("floor %d, %d wait, %d finished", c.Floor(), c.cursor.waiting.len(), c.cursor.finished.n)
	}
}

// A delta that finishes through the waiting set and far beyond leaves nothing behind.
func TestFinishedOffsetsLeaveTheWaitingSet(t *testing.T) {
	c := New(0, Options{})
	for off := range Offset(2000) {
		c.ApplyDefer(off*3, int64(off))
	}
	w := changeWriter{dst: []byte{deltaVersion}}
	w.run(1, 5999)
	w.endRuns()
	if err := c.ApplyDelta(w.dst); err != nil {
		t.Fatal(err)
	}
	if c.cursor.waiting.len() != 1 || c.Floor() != 0 {
		t.Fatalf("%d wait, floor %d", c.cursor.waiting.len(), c.Floor())
	}
}

func TestFlushSplitsWhatDoesNotFitAndLosesNothing(t *testing.T) {
	c := leading(Options{})
	s := session(c, 3000)
	for len(c.Take(at(0), s, 3000, 64, nil)) > 0 {
	}
	for off := range Offset(3000) {
		switch off % 3 {
		case 0:
			wantErr(t, c.Finish(at(0), s, off), nil)
		case 1:
			wantErr(t, c.Requeue(at(0), s, off, 0), nil)
		}
	}
	var finished, requeued []Offset
	for c.Pending() {
		delta := c.Flush([]byte("before"), 500)
		if !bytes.HasPrefix(delta, []byte("before")) || len(delta) > 506 {
			t.Fatalf("delta of %d bytes", len(delta))
		}
		err := readDelta(delta[6:], func(from, to Offset) {
			for off := from; off < to; off++ {
				finished = append(finished, off)
			}
		}, func(off Offset, _ wait) { requeued = append(requeued, off) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(finished) != 1000 || len(requeued) != 1000 || !slices.IsSorted(finished) || !slices.IsSorted(requeued) {
		t.Fatalf("%d finished, %d requeued", len(finished), len(requeued))
	}
}

func FuzzApplyDelta(f *testing.F) {
	for _, g := range golden {
		f.Add(fromHex(f, g.delta))
	}
	f.Fuzz(func(t *testing.T, delta []byte) {
		following, leader := New(100, Options{}), New(100, Options{})
		for _, c := range []*Channel{following, leader} {
			c.ApplyDefer(103, 5)
		}
		leader.Lead(at(0))
		s := session(leader, 10)
		leader.Take(at(0), s, 110, 10, nil)
		before := following.AppendState(nil)
		err := following.ApplyDelta(delta)
		if got := leader.ApplyDelta(delta); (got == nil) != (err == nil) {
			t.Fatalf("leader: %v, follower: %v", got, err)
		}
		leader.Refuse(delta)
		state := following.AppendState(nil)
		if err != nil && !bytes.Equal(before, state) {
			t.Fatal("a refused delta changed the state")
		}
		if !bytes.Equal(state, leader.AppendState(nil)) {
			t.Fatal("leader and follower differ")
		}
		again, err := Decode(state, Options{})
		if err != nil {
			t.Fatalf("state %x does not decode: %v", state, err)
		}
		if !bytes.Equal(again.AppendState(nil), state) {
			t.Fatal("decoded state differs")
		}
		leader.Take(at(1), s, 120, 10, nil)
		leader.Tick(at(100_000))
		leader.Flush(nil, 100)
	})
}

// stateBudget is what Decode says of itself, its 4 MiB twice, as they are with the race detector, and 1 MiB for the test.
var stateBudget = bounded.Budget{BaseBytes: 8<<20 + 1<<20, BytesPerByte: 1 << 10}

// farRuns encodes finished offsets right above the floor and far above it.
func farRuns(far Offset) []byte {
	w := changeWriter{dst: []byte{stateVersion, 0, 0}}
	w.run(1, 2)
	w.run(far-1, far)
	w.endRuns()
	return w.dst
}

func TestDecodingTakesMemoryForTheSpanOfWhatIsFinishedOnce(t *testing.T) {
	state := farRuns(maxSpan)
	stateBudget.Memory(t, len(state), func() {
		if _, err := Decode(state, Options{}); err != nil {
			t.Error(err)
		}
	})
}

func TestDecodingJudgesWhatIsFinishedBeforeItTakesMemory(t *testing.T) {
	w := changeWriter{dst: farRuns(maxSpan)}
	w.dst, w.next = w.dst[:len(w.dst)-1], maxSpan // one more run, too far
	w.run(maxSpan+1, maxSpan+2)
	w.endRuns()
	bounded.Memory(t, len(w.dst), func() {
		if _, err := Decode(w.dst, Options{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(farRuns(maxSpan))
	for _, g := range golden {
		f.Add(fromHex(f, g.state))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		stateBudget.Memory(t, len(state), func() { Decode(state, Options{}) })
		c, err := Decode(state, Options{})
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(c.AppendState(nil), Options{})
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if !bytes.Equal(again.AppendState(nil), c.AppendState(nil)) {
			t.Fatal("decoded state differs")
		}
		c.Lead(at(0))
		s := session(c, 10)
		for _, r := range c.Take(at(0), s, c.Floor()+50, 10, nil) {
			for i := range r.Count {
				if err := c.Finish(at(0), s, r.First+Offset(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := c.ApplyDelta(c.Flush(nil, 1000)); c.Counts(c.Floor()).Finished > 0 && err != nil {
			t.Fatal(err)
		}
	})
}
