package broker

import (
	"slices"
	"sync/atomic"
)

// pool keeps one window, the session's ready count, over the seats of several partitions that this node leads. Each queue has
// the whole ready count, and a turn takes at most what the sum of what is in flight leaves open. When nothing is left, the
// queues' windows are shut, so that they wake others and not this session, until something lands.
type pool struct {
	led    *[]*seat    // the seats of the last Pull, nil before the first; of the goroutine that pulls
	shared bool        // there were several of them; of the goroutine that pulls
	turn   int         // the seat that is first at the next Pull; of the goroutine that pulls
	shut   atomic.Bool // the queues' windows are shut
}

// turnTo makes led the seats that are pulled from: those that do not lead any more give up their buffers and files.
func (p *pool) turnTo(led *[]*seat) {
	if p.led != nil {
		for _, seat := range *p.led {
			if !slices.Contains(*led, seat) {
				seat.pull.release()
			}
		}
	}
	p.led = led
}

// landed wakes the session if its windows are shut: there may be room now. It then pulls, and looks.
func (p *pool) landed(client Client) {
	if p.shut.Load() {
		client.Wake()
	}
}

// pullShared is Pull where there is not exactly one seat, or was not the last time.
func (s *Subscription) pullShared(led []*seat, max, maxBytes int, sink Sink) (int, error) {
	s.pool.shared = len(led) > 1
	switch len(led) {
	case 0:
		return 0, nil
	case 1:
		s.reopen(led)
		return led[0].pullAlone(max, maxBytes, sink)
	}
	room := s.room(led)
	if room <= 0 {
		room = s.shut(led)
	}
	if room > 0 && s.pool.shut.Load() {
		s.reopen(led)
	}
	n, bytes, first := 0, 0, s.pool.turn
	for i := range led {
		if n >= max || bytes >= maxBytes {
			break
		}
		at := (first + i) % len(led)
		got, size, err := led[at].deliverTurns(allowance{max - n, maxBytes - bytes, room}, n == 0, sink)
		n, bytes = n+got, bytes+size
		if err != nil {
			return n, err
		}
		if f := led[at].flights; f != nil && f.full() {
			led[at].sweepFlights()
		}
		if got > 0 {
			s.pool.turn = at + 1
			room = s.room(led)
		}
	}
	if n == 0 {
		for _, seat := range led {
			seat.rest()
		}
	}
	return n, nil
}

// room is how many messages more may be in flight to the session.
func (s *Subscription) room(led []*seat) int {
	room := s.window()
	for _, seat := range led {
		c := seat.channel
		c.mu.Lock()
		if seat.liveLocked() {
			room -= seat.session.InFlight()
		}
		c.mu.Unlock()
	}
	return room
}

// shut closes the queues' windows and hands on the turns that the session was called for. It returns the room that has come up
// meanwhile; whatever lands after that wakes the session.
func (s *Subscription) shut(led []*seat) int {
	s.pool.shut.Store(true)
	for _, seat := range led {
		c := seat.channel
		now := c.partition.broker.now()
		var client Client
		c.mu.Lock()
		if seat.liveLocked() {
			seat.called = false
			c.mu.queue.SetReady(seat.session, seat.session.InFlight())
			c.mu.queue.Wait(seat.session)
			client = c.nextLocked(now)
		}
		c.mu.Unlock()
		if client != nil {
			client.Wake()
		}
	}
	return s.room(led)
}

// reopen gives the queues the whole ready count.
func (s *Subscription) reopen(led []*seat) {
	s.pool.shut.Store(false)
	for _, seat := range led {
		c := seat.channel
		c.mu.Lock()
		if seat.liveLocked() {
			c.mu.queue.SetReady(seat.session, s.window())
		}
		c.mu.Unlock()
	}
}
