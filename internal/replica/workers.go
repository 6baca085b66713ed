package replica

import "sync"

// workers makes the passes of all groups of a node: a fixed number of goroutines, whatever the number of groups.
type workers struct {
	mu     sync.Mutex
	ready  *sync.Cond
	queue  []*Group
	closed bool
	runs   sync.WaitGroup
}

// schedule is a group's place in it. It is guarded by the mutex of the workers.
type schedule struct {
	workers *workers
	state   scheduleState
	idle    *sync.Cond // of the workers' mutex: no pass runs any more
}

type scheduleState uint8

const (
	scheduleIdle scheduleState = iota
	scheduleQueued
	scheduleRunning
	scheduleAgain // running, and something came meanwhile
	scheduleEnded
)

func newWorkers(n int) *workers {
	w := &workers{}
	w.ready = sync.NewCond(&w.mu)
	for range n {
		w.runs.Go(w.run)
	}
	return w
}

// enqueue has a pass of g made soon. Only one pass of a group runs at a time.
func (w *workers) enqueue(g *Group) {
	w.mu.Lock()
	switch g.schedule.state {
	case scheduleIdle:
		g.schedule.state = scheduleQueued
		w.queue = append(w.queue, g)
		w.ready.Signal()
	case scheduleRunning:
		g.schedule.state = scheduleAgain
	}
	w.mu.Unlock()
}

func (w *workers) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 {
			if w.closed {
				return
			}
			w.ready.Wait()
		}
		g := w.queue[0]
		w.queue[0] = nil
		if w.queue = w.queue[1:]; len(w.queue) == 0 {
			w.queue = nil
		}
		if g.schedule.state == scheduleEnded {
			continue
		}
		g.schedule.state = scheduleRunning
		w.mu.Unlock()
		g.pass()
		w.mu.Lock()
		switch g.schedule.state {
		case scheduleRunning:
			g.schedule.state = scheduleIdle
		case scheduleAgain:
			g.schedule.state = scheduleQueued
			w.queue = append(w.queue, g)
			w.ready.Signal()
		case scheduleEnded:
			g.schedule.idle.Broadcast()
		}
	}
}

// end waits for the pass under way; there is none afterwards.
func (s *schedule) end() {
	s.workers.mu.Lock()
	defer s.workers.mu.Unlock()
	running := s.state == scheduleRunning || s.state == scheduleAgain
	s.state = scheduleEnded
	if running {
		s.idle.Wait()
	}
}

// close ends the goroutines. No group may be open.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.ready.Broadcast()
	w.mu.Unlock()
	w.runs.Wait()
}
