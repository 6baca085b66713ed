package queue

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A hall is a channel and its sessions, run as the package comment asks: woken sessions take their turn some time later.
type hall struct {
	c     *Channel
	now   Now
	end   Offset
	all   []*Session
	woken []*Session // woken, and their turn not yet taken
	held  map[*Session][]Offset
}

// pass wakes the next session, as whoever made something ready has to.
func (h *hall) pass() {
	if s := h.c.NextWaiter(h.now, h.end); s != nil {
		h.woken = append(h.woken, s)
	}
}

// turn lets s take what it can, wait if that is nothing, and pass the turn on.
func (h *hall) turn(s *Session) {
	runs := h.c.Take(h.now, s, h.end, 8, nil)
	for _, r := range runs {
		for i := range r.Count {
			h.held[s] = append(h.held[s], r.First+Offset(i))
		}
	}
	if len(runs) == 0 {
		h.c.Wait(s)
	} else {
		h.woken = append(h.woken, s) // it looks again once it has written what it took
	}
	h.pass()
}

func (h *hall) draw(t *rapid.T) *Session {
	if len(h.all) == 0 {
		t.Skip("no session")
	}
	return rapid.SampledFrom(h.all).Draw(t, "session")
}

func (h *hall) forget(s *Session) {
	h.all = slices.DeleteFunc(h.all, func(o *Session) bool { return o == s })
	h.woken = slices.DeleteFunc(h.woken, func(o *Session) bool { return o == s })
	delete(h.held, s)
}

func (h *hall) finishOrRequeue(t *rapid.T) {
	s := h.draw(t)
	if len(h.held[s]) == 0 {
		t.Skip("holds nothing")
	}
	off := h.held[s][0]
	h.held[s] = h.held[s][1:]
	if rapid.Bool().Draw(t, "finish") {
		_ = h.c.Finish(h.now, s, off) // it may have timed out
	} else {
		_ = h.c.Requeue(h.now, s, off, time.Duration(rapid.IntRange(0, 3).Draw(t, "ms"))*time.Millisecond)
	}
	h.pass()
}

// While something is ready and a session waits that could take it, some session has been woken and will pass the turn on.
func TestNoWakeUpIsLostAndNobodyIsWokenInVain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hall{c: leading(Options{MaxUnfinished: 12}), now: at(0), held: map[*Session][]Offset{}}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				h.end += Offset(rapid.IntRange(1, 5).Draw(t, "messages"))
				h.pass()
			},
			"come": func(t *rapid.T) {
				s := h.c.AddSession(5*time.Millisecond, 0)
				h.all = append(h.all, s)
				h.c.Wait(s)
			},
			"leave": func(t *rapid.T) {
				s := h.draw(t)
				h.c.RemoveSession(h.now, s)
				h.forget(s)
				h.pass()
			},
			"set ready": func(t *rapid.T) {
				h.c.SetReady(h.draw(t), rapid.IntRange(0, 4).Draw(t, "ready"))
				h.pass()
			},
			"turn": func(t *rapid.T) {
				if len(h.woken) == 0 {
					t.Skip("nobody is woken")
				}
				s := h.woken[0]
				h.woken = h.woken[1:]
				h.turn(s)
			},
			"finish or requeue": h.finishOrRequeue,
			"time": func(t *rapid.T) {
				h.now.Mono += 2e6
				h.now.Wall += 2e6
				if h.c.Tick(h.now) > 0 {
					h.pass()
				}
			},
			"pause": func(t *rapid.T) {
				h.c.ApplyPause(rapid.Bool().Draw(t, "paused"))
				h.pass()
			},
			"": func(t *rapid.T) {
				ready := h.c.lead.anyReady(h.now, h.end)
				for _, s := range h.all {
					if open := s.waiting && s.window() > 0; open != s.listed {
						t.Fatalf("session waits %v, window %d, in the round %v", s.waiting, s.window(), s.listed)
					}
					if ready && s.listed && len(h.woken) == 0 {
						t.Fatal("something is ready, a session waits, and nobody was woken")
					}
				}
			},
		})
	})
}
