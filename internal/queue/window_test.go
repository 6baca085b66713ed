package queue

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindowBehavesAsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := Offset(rapid.Int64Range(0, 300).Draw(t, "start"))
		w := window{base: start, read: start, limit: rapid.SampledFrom([]int{minRing, 4 * minRing}).Draw(t, "limit")}
		model := map[Offset]slot{}
		any := func(t *rapid.T) Offset {
			return Offset(rapid.Int64Range(int64(start), int64(w.read)+10).Draw(t, "offset"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"fill": func(t *rapid.T) {
				n := rapid.IntRange(1, maxTurn).Draw(t, "n")
				for i := range n {
					if _, flying := model[w.read+Offset(i)]; flying {
						t.Skip("one beyond the read position is in flight")
					}
				}
				s := slot{delivered: int64(n), attempts: 1}
				first := w.read
				w.fill(n, s)
				s.used = true
				for i := range n {
					model[first+Offset(i)] = s
				}
			},
			"pass over": func(t *rapid.T) {
				w.extend(w.read + rapid.SampledFrom([]Offset{0, 1, 50, 1000, 1 << 30}).Draw(t, "gap"))
				start = max(start, w.read-2000)
			},
			"put": func(t *rapid.T) {
				off := any(t)
				if _, flying := model[off]; !flying {
					w.put(off, slot{attempts: 2})
					model[off] = slot{attempts: 2, used: true}
				}
			},
			"touch": func(t *rapid.T) {
				off := any(t)
				if s, flying := model[off]; flying {
					w.setTouched(off)
					s.touched = true
					model[off] = s
				}
			},
			"remove": func(t *rapid.T) {
				for range 20 {
					off := any(t)
					if _, flying := model[off]; flying {
						w.remove(off)
						delete(model, off)
					}
				}
			},
			"": func(t *rapid.T) {
				got := map[Offset]slot{}
				w.each(func(off Offset, s *slot) bool {
					got[off] = *s
					return true
				})
				if !maps.Equal(got, model) || w.len() != len(model) {
					t.Fatalf("window has %v and counts %d, want %v", got, w.len(), model)
				}
				off := any(t)
				if s, flying := model[off]; flying != (w.get(off) != nil) || flying && *w.get(off) != s {
					t.Fatalf("get(%d) = %v, want %v", off, w.get(off), s)
				}
				if len(w.ring) > w.limit || int(w.read-w.base) > len(w.ring) {
					t.Fatalf("ring of %d for [%d, %d)", len(w.ring), w.base, w.read)
				}
			},
		})
	})
}

func TestOneStuckMessageHoldsNeitherRingNorTimeouts(t *testing.T) {
	c := leading(Options{})
	stuck, s := session(c, 1), session(c, 100)
	c.Take(at(0), stuck, 1, 1, nil)
	const total = 1_000_000
	now := at(1)
	var runs []Run
	for done := 1; done < total; {
		now.Mono++
		runs = c.Take(now, s, total, 64, runs[:0])
		for _, r := range runs {
			for i := range r.Count {
				wantErr(t, c.Finish(now, s, r.First+Offset(i)), nil)
			}
			done += r.Count
		}
	}
	q := c.lead
	if len(q.window.ring) > maxRing || len(q.window.strays) != 1 || cap(q.timeouts.queues[0].runs) > 4*minCompact {
		t.Fatalf("ring %d, strays %d, runs %d", len(q.window.ring), len(q.window.strays), cap(q.timeouts.queues[0].runs))
	}
	commit(t, c)
	if c.cursor.finished.mixed > 2 {
		t.Fatalf("%d bitmaps", c.cursor.finished.mixed)
	}
	if mono, _, _ := c.NextEvent(); mono != at(60_000).Mono {
		t.Fatalf("next timeout at %d", mono)
	}
	if c.Tick(at(60_000)) != 1 {
		t.Fatal("the stuck message did not time out")
	}
	wantRuns(t, c.Take(at(60_000), s, total, 1, nil), Run{0, 1, 2})
}

// Every 64th message stays in flight, so that compactions have to split runs; all of them time out, once.
func TestCompactedTimeoutsFireForAllThatIsInFlight(t *testing.T) {
	c := leading(Options{})
	s := session(c, 100_000)
	const total = 64 * 5000
	now := at(1)
	for first := Offset(0); first < total; first += 64 {
		now.Mono++
		wantRuns(t, c.Take(now, s, first+64, 64, nil), Run{first, 64, 1})
		for off := first + 1; off < first+64; off++ {
			wantErr(t, c.Finish(now, s, off), nil)
		}
	}
	if got := c.Counts(total).InFlight; got != 5000 {
		t.Fatalf("%d in flight", got)
	}
	if n := len(c.lead.timeouts.queues[0].runs); n > 2*5000+minCompact {
		t.Fatalf("%d runs for 5,000 messages", n)
	}
	first := at(60_001)
	first.Mono++ // the first was delivered 1 ns after at(1)
	if n := c.Tick(first); n != 1 {
		t.Fatalf("%d timed out first", n)
	}
	if n := c.Tick(at(60_002)); n != 4999 {
		t.Fatalf("%d timed out then", n)
	}
}

func TestTimeoutsFollowTheSessionThatHoldsTheMessage(t *testing.T) {
	c := leading(Options{})
	short, long := c.AddSession(time.Second, 0), c.AddSession(time.Hour, 0)
	c.SetReady(short, 1)
	c.SetReady(long, 1)
	c.Take(at(0), short, 1, 1, nil)
	wantErr(t, c.Requeue(at(0), short, 0, 0), nil)
	wantRuns(t, c.Take(at(0), long, 1, 1, nil), Run{0, 1, 2}) // at the very same moment
	if c.Tick(at(1000)) != 0 {
		t.Fatal("timed out by the timeout of the session before")
	}
	c.RemoveSession(at(1000), short)
	if mono, _, _ := c.NextEvent(); mono != at(3_600_000).Mono {
		t.Fatalf("next timeout at %d", mono)
	}
}
