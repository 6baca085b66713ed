package queue

import (
	"runtime"
	"testing"
	"time"
)

// drain delivers n messages from the read position on to the sessions in turn and finishes them, turn by turn.
func drain(b *testing.B, c *Channel, sessions []*Session, n int) {
	end := c.lead.window.read + Offset(n)
	var runs []Run
	now := at(1)
	turns := 0
	for done := 0; done < n; turns++ {
		s := sessions[turns%len(sessions)]
		now.Mono += 1000
		runs = c.Take(now, s, end, 64, runs[:0])
		for _, r := range runs {
			for i := range r.Count {
				if err := c.Finish(now, s, r.First+Offset(i)); err != nil {
					b.Fatal(err)
				}
			}
			done += r.Count
		}
		if turns%4096 == 4095 {
			flush(b, c)
		}
	}
}

func flush(b *testing.B, c *Channel) {
	if delta := c.Flush(nil, 1<<20); len(delta) > 0 {
		if err := c.ApplyDelta(delta); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInOrder(b *testing.B) {
	c := leading(Options{})
	s := session(c, 2500)
	b.ReportAllocs()
	b.ResetTimer()
	drain(b, c, []*Session{s}, b.N)
}

// Ten sessions hold up to 250 messages each and finish the oldest 64 before they take more.
func BenchmarkTenSessionsInterleaved(b *testing.B) {
	const sessions, hold = 10, 256
	c := leading(Options{})
	var all [sessions]*Session
	var held [sessions][]Offset
	for i := range all {
		all[i] = session(c, hold)
		held[i] = make([]Offset, 0, 2*hold)
	}
	var runs []Run
	now := at(1)
	b.ReportAllocs()
	b.ResetTimer()
	for done, turn := 0, 0; done < b.N; turn++ {
		i := turn % sessions
		s := all[i]
		now.Mono += 1000
		runs = c.Take(now, s, maxOffset, 64, runs[:0])
		for _, r := range runs {
			for k := range r.Count {
				held[i] = append(held[i], r.First+Offset(k))
			}
		}
		if len(held[i]) == hold {
			for _, off := range held[i][:64] {
				if err := c.Finish(now, s, off); err != nil {
					b.Fatal(err)
				}
			}
			held[i] = held[i][:copy(held[i], held[i][64:])]
			done += 64
		}
		if turn%4096 == 4095 {
			flush(b, c)
		}
	}
}

func BenchmarkBehindOneStuckMessage(b *testing.B) {
	c := leading(Options{})
	stuck, s := session(c, 1), session(c, 2500)
	c.Take(at(0), stuck, 1, 1, nil)
	drain(b, c, []*Session{s}, 5_000_000)
	b.ReportAllocs()
	b.ResetTimer()
	drain(b, c, []*Session{s}, b.N)
	b.StopTimer()
	q := c.lead
	b.ReportMetric(float64(len(q.timeouts.queues[0].runs)), "runs")
	if len(q.window.strays) != 1 || q.cursor.floor != 0 {
		b.Fatalf("%d strays, floor %d", len(q.window.strays), q.cursor.floor)
	}
}

// A million deferred messages wait while others flow.
func BenchmarkBesideAMillionDeferred(b *testing.B) {
	const deferred = 1_000_000
	before := heapBytes()
	c := leading(Options{})
	for off := range Offset(deferred) {
		// Dues at random within a day: the order of due times has nothing to do with that of offsets.
		c.ApplyDefer(off, at(1000+int64(uint32(off)*2654435761%86_400_000)).ms())
	}
	bytes := heapBytes() - before
	s := session(c, 2500)
	if c.Take(at(1), s, deferred+1, 1, nil)[0].First != deferred {
		b.Fatal("deferred messages are not passed over")
	}
	b.ReportAllocs()
	b.ResetTimer()
	drain(b, c, []*Session{s}, b.N)
	b.ReportMetric(float64(bytes)/deferred, "B/deferred")
	runtime.KeepAlive(c)
}

// BenchmarkDefer measures deferring, becoming due, delivering and finishing a message.
func BenchmarkDefer(b *testing.B) {
	c := leading(Options{})
	s := session(c, 2500)
	now := at(0)
	var runs []Run
	b.ReportAllocs()
	b.ResetTimer()
	for off := range Offset(b.N) {
		c.ApplyDefer(off, now.ms()+1000)
		now.Mono += int64(100 * time.Microsecond)
		now.Wall += int64(100 * time.Microsecond)
		runs = c.Take(now, s, off+1, 64, runs[:0])
		for _, r := range runs {
			for i := range r.Count {
				if err := c.Finish(now, s, r.First+Offset(i)); err != nil {
					b.Fatal(err)
				}
			}
		}
		if off%4096 == 4095 {
			flush(b, c)
		}
	}
}

func BenchmarkLeadWithAMillionWaiting(b *testing.B) {
	c := New(0, Options{})
	for off := range Offset(1_000_000) {
		c.ApplyDefer(off, int64(uint32(off)*2654435761%86_400_000))
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Follow()
		c.Lead(at(0))
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRequeue measures delivering a message and giving it back at once.
func BenchmarkRequeue(b *testing.B) {
	c := leading(Options{})
	s := session(c, 2500)
	now := at(1)
	var runs []Run
	b.ReportAllocs()
	for b.Loop() {
		runs = c.Take(now, s, 1, 1, runs[:0])
		if err := c.Requeue(now, s, runs[0].First, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTenChannels delivers each message to ten channels and finishes it in all of them, a turn of 64 at a time.
func BenchmarkTenChannels(b *testing.B) {
	const channels, turn = 10, 64
	var all [channels]*Channel
	var sessions [channels][]*Session
	for i := range all {
		all[i] = leading(Options{})
		sessions[i] = []*Session{session(all[i], 2500)}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		for i, c := range all {
			drain(b, c, sessions[i], turn)
		}
	}
}
