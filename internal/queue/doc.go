// Package queue is one channel's rules: which messages are finished, which wait, which are in flight and with whom, and
// what a session gets next. It is pure: no goroutine, lock, clock or I/O. The caller passes the time and the end of what
// may be read, and does what it is told; it serialises all calls for one Channel, sessions included.
//
// A Channel has two parts.
//
// The durable part, the cursor, changes only by Apply… calls, which the owner makes for committed entries in log order, on
// every replica alike: the floor (everything below is finished), the finished set above it, and the waiting set: the
// recorded attempts and due times of deferred, requeued and timed-out messages. AppendState and Decode store it.
//
// The volatile part exists between Lead and Follow, on the node that leads the partition: how far messages were read,
// what is in flight, who waits, and what happened since the last Flush. Finish, Requeue and timeouts change it at once;
// Flush returns the changes as a delta, which the owner proposes to the log, and which comes back by ApplyDelta when it
// is committed, or by Refuse when it is not.
//
//	        Take            Finish
//	fresh ───────▶ in flight ───────▶ pending ──Flush──▶ log ──ApplyDelta──▶ finished set, floor
//	  ▲               │ Requeue, timeout, RemoveSession
//	ready ◀── due ── waiting ───────▶ pending ──Flush──▶ log ──ApplyDelta──▶ waiting set
//
// # Duties of the caller
//
// While a channel leads, the deltas that it is given are those it flushed since Lead, in the order of Flush. Deltas that
// an earlier leadership flushed are applied before Lead, or never; they are not given to Refuse after it.
//
// A session that finds nothing to take calls Wait under the same lock as the Take that gave nothing and the reading of
// the end before it. Whoever makes something ready, or hands back a turn that he cannot use, calls NextWaiter and wakes
// the session it returns: after the end has moved, after a Tick that returned more than 0, after Finish, Requeue,
// RemoveSession, SetReady, ApplyPause, ApplyEmpty and ApplyDelta (a window may open, or a stall end); and a woken session
// after it took its turn, whether it got something or not. One call wakes one session, and each passes on what is left;
// with nobody waiting, or nothing ready, it costs next to nothing.
package queue
