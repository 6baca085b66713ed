package broker

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// puller is the reading side of a subscription: the runs it has taken and not yet delivered, and where it stands in the batch
// it read last. It belongs to the goroutine that pulls.
type puller struct {
	reader Reader
	runs   []queue.Run // taken, not yet delivered: taken[done:]
	taken  []queue.Run // the reused backing of runs

	batch   record.Batch // the batch read last; nil if none
	records record.Records
	time    int64 // its append time
	current bool  // records stands on a record that is not delivered yet

	message Message
}

// turnMax is the most messages that one turn takes from a channel, so that equal consumers get equal shares.
const turnMax = 64

// Pull delivers what is ready to sink, at most max messages and until maxBytes of bodies are reached, and returns how many it
// delivered. 0 means that nothing is ready: Wake will come. It blocks for the disk when the messages are in no cache.
func (s *Subscription) Pull(max, maxBytes int, sink Sink) (int, error) {
	now := s.led.Load()
	if now != s.pool.led {
		s.pool.turnTo(now)
	}
	led := *now
	if len(led) != 1 || s.pool.shared {
		return s.pullShared(led, max, maxBytes, sink)
	}
	return led[0].pullAlone(max, maxBytes, sink)
}

// pullAlone is Pull from the only seat.
func (s *seat) pullAlone(max, maxBytes int, sink Sink) (int, error) {
	n, _, err := s.deliverTurns(allowance{max, maxBytes, max}, true, sink)
	if n == 0 {
		s.rest()
	}
	if s.flights != nil && s.flights.full() {
		s.sweepFlights()
	}
	return n, err
}

// allowance is what a seat may deliver in one Pull.
type allowance struct {
	messages, bytes int
	// window is how many messages it may take into flight.
	window int
}

// deliverTurns takes turns and delivers them. With wait set the session is on the channel's waiting list if nothing was delivered.
func (s *seat) deliverTurns(a allowance, wait bool, sink Sink) (n, bytes int, err error) {
	p := &s.pull
	s.recheck()
	for n < a.messages && bytes < a.bytes {
		if len(p.runs) == 0 {
			if n > 0 && s.channel.waiting.Load() {
				break // one turn only while others wait for theirs
			}
			if a.window <= 0 {
				break
			}
			took := s.take(min(a.messages-n, a.window, turnMax), wait && n == 0)
			if took == 0 {
				break
			}
			a.window -= took
		}
		held := p.runs[0].Count
		delivered, size, err := s.deliver(&p.runs[0], a.messages-n, a.bytes-bytes, sink)
		n, bytes = n+delivered, bytes+size
		if err != nil && !s.skipGone(err) && !s.skipLost(err) {
			return n, bytes, s.readFailed(err)
		}
		a.window += held - p.runs[0].Count - delivered // what was skipped is not in flight
		if p.runs[0].Count == 0 {
			p.runs = p.runs[1:]
		}
	}
	return n, bytes, nil
}

// recheck drops from the runs left over by the last Pull what is no longer in flight to this session: it has timed out, or was
// dropped, while the client read slowly.
func (s *seat) recheck() {
	p := &s.pull
	if len(p.runs) == 0 {
		return
	}
	c := s.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make([]queue.Run, 0, len(p.runs))
	for _, run := range p.runs {
		for i := range run.Count {
			offset := run.First + record.Offset(i)
			if s.holdsLocked(offset) {
				held = append(held, queue.Run{First: offset, Count: 1, Attempts: run.Attempts})
			}
		}
	}
	p.runs = held
}

// holdsLocked reports whether the message at offset is in flight to the session.
func (s *seat) holdsLocked(offset record.Offset) bool {
	return s.liveLocked() && s.channel.mu.queue.Holds(s.session, offset)
}

// take asks the channel for a turn and returns how many messages it got. If it gets none and wait is set, the session is on the
// waiting list on return: there is nothing, or others have waited for longer.
func (s *seat) take(max int, wait bool) int {
	c := s.channel
	now := c.partition.broker.now()
	c.mu.Lock()
	client := s.takeLocked(now, max, wait)
	c.mu.Unlock()
	if client != nil && client != s.sub.client {
		client.Wake()
	}
	took := 0
	for _, run := range s.pull.runs {
		took += run.Count
	}
	return took
}

// takeLocked is take under the channel's mutex. It returns the client to wake once that is released.
func (s *seat) takeLocked(now queue.Now, max int, wait bool) Client {
	c, p := s.channel, &s.pull
	called := s.called
	s.called = false
	if s.sub.closing.Load() || !s.liveLocked() {
		return nil
	}
	if wait && !called && c.mu.queue.Waiting() {
		// Not the session's turn, though it is busy and could be quicker: it goes to the end of the line.
		c.mu.queue.Wait(s.session)
		if client := c.nextLocked(now); client != s.sub.client {
			return client
		}
		s.called = false
	}
	for end := c.end(); ; {
		p.taken = c.mu.queue.Take(now, s.session, end, max, p.taken[:0])
		p.runs = p.taken
		if len(p.runs) > 0 {
			c.changedLocked(now)
			return c.nextLocked(now) // there may be more: pass the baton on
		}
		if !wait {
			return nil
		}
		c.mu.queue.Wait(s.session)
		c.waiting.Store(true)
		again := c.end()
		if again == end {
			return nil
		}
		end = again // the position moved before the committer could see that this session waits: look again
	}
}

// deliver hands the messages of a run to sink until it ends or a limit is reached, and shortens the run by what it delivered.
func (s *seat) deliver(run *queue.Run, max, maxBytes int, sink Sink) (n, bytes int, err error) {
	p, part := &s.pull, s.channel.partition
	m := &p.message
	m.Attempts = run.Attempts
	for run.Count > 0 && n < max && bytes < maxBytes {
		body, err := p.fetch(run.First)
		if err != nil {
			return n, bytes, fmt.Errorf("read offset %d of %s: %w", run.First, part.topic.name, err)
		}
		m.ID = makeMessageID(part.topic.id, part.number, run.First)
		m.Time, m.Body = p.time, body
		if s.flights != nil {
			s.flights.begin(run.First, p.time)
		}
		sink.Deliver(m)
		n, bytes = n+1, bytes+len(body)
		run.First++
		run.Count--
	}
	return n, bytes, nil
}

// fetch returns the body of one message. Messages of one batch asked for in order cost one step each.
func (p *puller) fetch(offset record.Offset) ([]byte, error) {
	if p.batch == nil || !p.inBatch(offset) {
		batch, time, err := p.reader.Batch(offset)
		if err != nil {
			return nil, err
		}
		p.batch, p.time, p.records, p.current = batch, time, batch.Records(), false
	}
	for p.current || p.records.Next() {
		r := p.records.Record()
		p.current = r.Offset > offset
		if r.Offset == offset {
			return r.Value, nil
		}
		if p.current {
			break
		}
	}
	p.batch = nil
	if err := p.records.Err(); err != nil {
		return nil, err
	}
	return nil, ErrOffsetOutOfRange
}

// inBatch reports whether the records not yet passed may hold offset.
func (p *puller) inBatch(offset record.Offset) bool {
	if p.batch.Count() == 0 || offset > p.batch.LastOffset() || offset < p.batch.BaseOffset() {
		return false
	}
	at := p.records.Record().Offset
	return offset > at || p.current && offset == at
}

// rest lets go of buffers while the session waits. One whose client is at work on messages goes on soon: without what was read
// ahead, a small ready count would have each batch of a backlog read and checked again for every few messages of it.
func (s *seat) rest() {
	c := s.channel
	c.mu.Lock()
	busy := s.liveLocked() && s.session.InFlight() > 0
	c.mu.Unlock()
	if !busy {
		s.pull.release()
		return
	}
	s.pull.forget()
	s.pull.reader.Rest()
}

// forget leaves the batch read last.
func (p *puller) forget() {
	p.batch, p.current = nil, false
	p.records = record.Records{}
}

// release lets go of all buffers.
func (p *puller) release() {
	p.forget()
	p.reader.Release()
}

// skipGone skips a message that the log no longer holds because nobody is to have it from this session: it was emptied, or has
// timed out and was finished elsewhere, while this Pull was under way, or it is ephemeral and was dropped. It reports false if
// err means anything else.
func (s *seat) skipGone(err error) bool {
	if !errors.Is(err, ErrOffsetOutOfRange) {
		return false
	}
	c, run := s.channel, &s.pull.runs[0]
	c.mu.Lock()
	held := s.holdsLocked(run.First)
	c.mu.Unlock()
	if held && !c.ephemeral && !c.partition.topic.ephemeral {
		return false
	}
	if held {
		id := makeMessageID(c.partition.topic.id, c.partition.number, run.First)
		s.finish([]MessageID{id}, func(int, error) {}) // not in flight any more is as good
	}
	run.First++
	run.Count--
	return true
}

// skipLost finishes the messages at the front of the run that a repair has given up, so that the channel's floor moves on over
// them. They are counted, and each run of them is logged once. It reports false if err means anything else.
func (s *seat) skipLost(err error) bool {
	var lost *LostError
	if !errors.As(err, &lost) {
		return false
	}
	c, p, run := s.channel, &s.pull, &s.pull.runs[0]
	start, _ := c.partition.log.Bounds()
	dropped := c.ephemeral && run.First < start // an ephemeral channel pins nothing
	gone := LostError{First: run.First, Next: lost.Next}
	end := run.First + record.Offset(run.Count)
	p.batch, p.current = nil, false
	for gone.Next < end { // what lies in no segment is reported message by message
		if _, _, err := p.reader.Batch(gone.Next); !errors.As(err, &lost) {
			break
		}
		gone.Next = lost.Next
	}
	skipped := min(gone.Next, end)
	var ids []MessageID
	c.mu.Lock()
	for o := run.First; o < skipped; o++ {
		if s.holdsLocked(o) {
			ids = append(ids, makeMessageID(c.partition.topic.id, c.partition.number, o))
		}
	}
	first := len(ids) > 0 && !dropped && !c.mu.lost.contains(run.First)
	if first {
		c.mu.lost = gone
	}
	if !dropped {
		c.mu.lostCount += uint64(len(ids))
	}
	c.mu.Unlock()
	if first {
		c.partition.broker.options.Logger.Warn("channel passes over messages that were lost to damage and given up by weir log repair",
			slog.String("topic", c.partition.topic.name), slog.String("channel", c.name),
			slog.Int64("first_offset", int64(gone.First)), slog.Int64("last_offset", int64(gone.Next-1)))
	}
	s.finish(ids, func(int, error) {}) // not in flight any more is as good
	run.Count -= int(skipped - run.First)
	run.First = skipped
	return true
}

// readFailed stops the partition, unless it is only closing. A session that may have messages of other partitions goes on.
func (s *seat) readFailed(err error) error {
	s.pull.runs = nil
	if !errors.Is(err, ErrClosed) {
		s.channel.partition.Failed(err)
	}
	if !s.sub.topic.only() {
		return nil
	}
	return err
}
