package queue

// Counts are what there is to tell about a channel. The events are counted since Lead; only a channel that leads has them.
type Counts struct {
	Depth      int  // messages ready for delivery: never delivered, or requeued and due
	InFlight   int  // with sessions
	Deferred   int  // waiting for their due time
	Unfinished int  // in flight, requeued or deferred: what Options.MaxUnfinished bounds
	Stalled    bool // too much is unfinished: no fresh messages are read until some of it is finished
	Sessions   int

	Delivered uint64
	Finished  uint64
	Requeued  uint64
	TimedOut  uint64 // by timeout, or because their session was removed
	Sampled   uint64 // finished because a session's sample rate left them out
	Dropped   uint64 // by Drop
}

// Counts counts what is below end. A channel that follows knows no flights, and takes all that waits as deferred.
func (c *Channel) Counts(end Offset) Counts {
	q := c.lead
	if q == nil {
		waiting := c.cursor.waiting.countRange(c.cursor.floor, end)
		return Counts{Depth: c.cursor.countUnfinished(c.cursor.floor, end) - waiting, Deferred: waiting, Unfinished: waiting}
	}
	n := q.counts
	read := max(q.window.read, c.cursor.floor)
	fresh := c.cursor.countUnfinished(read, end) - c.cursor.waiting.countRange(read, end) - q.countSettled(read, end)
	n.Depth = max(0, fresh) + q.schedule.ready
	n.InFlight = q.window.len()
	n.Deferred = q.schedule.waiting()
	n.Unfinished = n.InFlight + q.schedule.list.n
	n.Stalled = q.stalled()
	for _, s := range q.sessions {
		if s != nil {
			n.Sessions++
		}
	}
	return n
}

// countSettled counts the offsets in [from, to) that are settled without the cursor's knowing.
func (q *dispatch) countSettled(from, to Offset) (n int) {
	for off, ok := q.settled.nextSet(from); ok && off < to; off, ok = q.settled.nextSet(off + 1) {
		if _, waits := q.cursor.waiting.get(off); !waits && !q.cursor.isFinished(off) {
			n++
		}
	}
	return n
}

// Stalled reports whether too much is unfinished, so that no fresh messages are read.
func (c *Channel) Stalled() bool { return c.lead != nil && c.lead.stalled() }
