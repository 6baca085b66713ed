package queue

// What happened to a channel's messages before they were in this log (they were imported from another broker) is told to it by
// deltas that no session caused. They must not concern messages that are in flight.

// Attempted says how often a message was delivered.
type Attempted struct {
	Offset   Offset
	Attempts uint16
}

// FinishedDelta returns a delta that finishes [from, to).
func FinishedDelta(from, to Offset) []byte {
	w := changeWriter{dst: []byte{deltaVersion}}
	if from < to {
		w.run(from, to)
	}
	w.endRuns()
	return w.dst
}

// AttemptedDelta returns a delta that makes messages, in the order of their offsets, wait for a delivery at once with so many
// attempts behind them. A channel that leads must Follow and Lead again before it delivers them.
func AttemptedDelta(messages []Attempted) []byte {
	w := changeWriter{dst: []byte{deltaVersion}}
	w.endRuns()
	for _, m := range messages {
		w.wait(m.Offset, wait{attempts: m.Attempts})
	}
	return w.dst
}

// WaitOf returns what is recorded of a message that was delivered before, or is deferred: how often, and when it is due in Unix
// ms. ok is false for one that is fresh, or finished.
func (c *Channel) WaitOf(off Offset) (attempts uint16, dueMs int64, ok bool) {
	w, ok := c.cursor.waiting.get(off)
	return w.attempts, w.dueMs, ok
}
