package history

import (
	"cmp"
	"slices"
	"time"
)

// Rules say what the broker promised for a run, and what the run itself made sure of.
type Rules struct {
	// Channels that must have every acknowledged message. Channels that only appear in the history are checked for
	// everything but loss.
	Channels []string
	// Drained says that consumers of Channels went on until nothing more came, finishing what they got: an acknowledged
	// message that is not finished at the end is lost. Without it no message counts as lost.
	Drained bool
	// FinishWindow is how long before a kill a finish (or requeue) may be sent and still be forgotten: 100 ms plus the longest
	// sync of the run plus what the consumer's socket and the machine take.
	FinishWindow time.Duration
	// StopMargin is the same for a clean stop: only what the broker could not have read yet.
	StopMargin time.Duration
	// EarlyTolerance is by how much a deferred message may come before its time; NSQ's due times have 1 ms steps.
	EarlyTolerance time.Duration
	// Overtaking says that consumers have connections to several nodes, so that they may see a copy of a message after one that was
	// sent later. A copy with fewer attempts than another seen before is the older one, and counts only as a delivery.
	Overtaking bool
	// Ordered names the channels in which the first deliveries of each publisher's undeferred messages come in the order of their
	// sequence: those that one consumer reads.
	Ordered []string
	// BatchSizes gives, for publishers that used MPUB, how many consecutive sequence numbers (from 0) made one command: of each,
	// all or none must be delivered.
	BatchSizes map[uint32]int
}

// Check reads a history and reports every breach of the rules. It sorts h.Events by message and time; nothing else of h
// changes. A million messages with five events each take a few seconds.
func Check(h *History, rules Rules) *Report {
	c := newChecker(h, rules)
	byMessage := func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Key.Publisher, b.Key.Publisher), cmp.Compare(a.Key.Seq, b.Key.Seq), cmp.Compare(a.At, b.At))
	}
	slices.SortStableFunc(h.Events, byMessage)
	for from := 0; from < len(h.Events); {
		to := from + 1
		for to < len(h.Events) && h.Events[to].Key == h.Events[from].Key {
			to++
		}
		c.message(h.Events[from:to])
		from = to
	}
	for i := range c.channels {
		c.closeBatch(&c.channels[i])
	}
	return c.finish()
}

// checker walks over the messages of a history, one at a time, in the order of publisher and sequence.
type checker struct {
	rules    Rules
	report   Report
	restarts []restart
	channels []channelState
	story    []Event // events of one message in one channel, reused
}

// restart is one end of the broker's process.
type restart struct {
	at    int64
	clean bool
}

// channelState is what the checker knows of one channel.
type channelState struct {
	report      ChannelReport
	must        bool    // must have everything
	ordered     bool    // one consumer reads it
	disconnects []int64 // times, ascending
	order       struct {
		publisher uint32
		latest    int64 // highest first-delivery time among the publisher's earlier messages
		latestKey Key
	}
	batch struct {
		first Key // of the batch that is being looked at
		seen  int // of its messages delivered
		size  int
	}
}

func newChecker(h *History, rules Rules) *checker {
	c := &checker{rules: rules}
	for _, name := range rules.Channels {
		h.channel(name)
	}
	for _, name := range h.Channels {
		c.channels = append(c.channels, channelState{report: ChannelReport{Name: name}, must: slices.Contains(rules.Channels, name),
			ordered: slices.Contains(rules.Ordered, name)})
	}
	for _, e := range h.Events {
		switch e.Kind {
		case Killed:
			c.report.Kills++
			c.restarts = append(c.restarts, restart{at: e.At})
		case Stopped:
			c.report.Stops++
			c.restarts = append(c.restarts, restart{at: e.At, clean: true})
		case Disconnected:
			ch := &c.channels[e.Channel]
			ch.disconnects = append(ch.disconnects, e.At)
		case Foreign:
			ch := &c.channels[e.Channel]
			ch.report.Deliveries++
			ch.report.fault(Phantom, "a body that is foreign or damaged, attempts %d, at %s", e.Attempts, clock(e.At))
		}
	}
	slices.SortFunc(c.restarts, func(a, b restart) int { return cmp.Compare(a.at, b.at) })
	for i := range c.channels {
		slices.Sort(c.channels[i].disconnects)
	}
	return c
}

// publish is what became of one message at its publisher's.
type publish struct {
	key                              Key
	sent, answered, refused, unknown bool
	at, due                          int64
}

// message checks all events of one message.
func (c *checker) message(events []Event) {
	p := publish{key: events[0].Key}
	deliverable := false
	for _, e := range events {
		deliverable = deliverable || e.Kind.ofMessage()
		switch e.Kind {
		case Sent:
			p.sent, p.at, p.due = true, e.At, e.Due
		case Answered:
			p.answered = true
		case Refused:
			p.refused = true
		case Unknown:
			p.unknown = true
		}
	}
	if !deliverable {
		return // events of the broker or of a connection, which carry the zero key
	}
	c.countPublish(p)
	for i := range c.channels {
		c.story = c.story[:0]
		for _, e := range events {
			if e.Kind.ofChannel() && e.Kind.ofMessage() && int(e.Channel) == i {
				c.story = append(c.story, e)
			}
		}
		c.inChannel(&c.channels[i], p, c.story)
	}
}

func (c *checker) countPublish(p publish) {
	for _, v := range []struct {
		is bool
		to *int
	}{{p.sent, &c.report.Sent}, {p.answered, &c.report.Answered}, {p.refused, &c.report.Refused},
		{p.sent && !p.answered && !p.refused, &c.report.Unknown}} {
		if v.is {
			*v.to++
		}
	}
}

// inChannel checks what one channel made of a message.
func (c *checker) inChannel(ch *channelState, p publish, story []Event) {
	voidFailed(story)
	seen, finished := c.walk(ch, p, story)
	r := &ch.report
	if seen > 0 {
		r.Delivered++
		r.Duplicates += seen - 1
		r.MostDeliveries = max(r.MostDeliveries, seen)
		if p.sent && !p.answered && !p.refused {
			r.UnknownDelivered++
		}
	}
	if finished {
		r.Finished++
	}
	switch {
	case seen > 0 && !p.sent:
		r.fault(Phantom, "message %s was never sent", p.key)
	case seen > 0 && p.refused:
		r.fault(Phantom, "message %s was refused, and delivered", p.key)
	case !ch.must || !c.rules.Drained || !p.answered || finished:
	case seen == 0:
		r.fault(Lost, "message %s, sent at %s, answered OK, was never delivered", p.key, clock(p.at))
	default:
		r.fault(Lost, "message %s, answered OK, was delivered %d times, is not finished and came no more", p.key, seen)
	}
	c.checkOrder(ch, p, story)
	c.checkBatch(ch, p.key, seen > 0)
}

// voidFailed takes out of a story the finishes and requeues that the broker refused: they never happened.
func voidFailed(story []Event) {
	for i := range story {
		was := Kind(0)
		switch story[i].Kind {
		case FinishFailed:
			was = Finished
		case RequeueFailed:
			was = Requeued
		default:
			continue
		}
		for j := i - 1; j >= 0; j-- {
			if story[j].Kind == was {
				story[j].Kind = 0
				break
			}
		}
	}
}

// walk goes through the deliveries of one message in one channel, in time order.
func (c *checker) walk(ch *channelState, p publish, story []Event) (seen int, finished bool) {
	var last, finish, requeue Event // Kind 0 = none
	var requeues []Event            // all so far: one that had its effect may still be forgotten by a kill soon after
	recorded := false               // the test knows that the finish is in the log
	for _, e := range story {
		switch e.Kind {
		case Finished:
			finish, finished = e, true
		case FinishRecorded:
			recorded, finished = true, true
		case Requeued:
			requeue = e
			requeue.Attempts = last.Attempts
			requeues = append(requeues, requeue)
		case Delivered:
			seen++
			ch.report.Deliveries++
			if c.rules.Overtaking && e.Attempts < last.Attempts && !c.restartBetween(ch, last.At, e.At) {
				continue
			}
			if recorded || finish.Kind != 0 && c.settled(ch, finish.At, e.At) {
				ch.report.fault(DeliveredAgain, "message %s, finished at %s, came again at %s with attempts %d",
					p.key, clock(finish.At), clock(e.At), e.Attempts)
			}
			c.checkDue(ch, p.key, p.due, e.At)
			if requeue.Kind != 0 && c.settled(ch, requeue.At, e.At) {
				c.checkDue(ch, p.key, requeue.Due, e.At)
			}
			var lowest uint16 // attempts that a settled requeue has recorded
			for _, r := range requeues {
				if c.settled(ch, r.At, e.At) {
					lowest = max(lowest, r.Attempts)
				}
			}
			c.checkAttempts(ch, p.key, last, e, lowest)
			last, requeue = e, Event{}
		}
	}
	return seen, finished
}

// settled tells whether a command sent at t must have survived until now: no connection loss of its channel and no kill came so
// soon after it that it may be gone.
func (c *checker) settled(ch *channelState, t, now int64) bool {
	until := min(now, t+int64(c.rules.FinishWindow))
	i, _ := slices.BinarySearchFunc(c.restarts, t, func(r restart, t int64) int { return cmp.Compare(r.at, t) })
	if i < len(c.restarts) && c.restarts[i].at <= now {
		r := c.restarts[i]
		window := c.rules.FinishWindow
		if r.clean {
			window = c.rules.StopMargin
		}
		if r.at-t <= int64(window) {
			return false
		}
		until = min(until, r.at)
	}
	j, _ := slices.BinarySearch(ch.disconnects, t)
	return j == len(ch.disconnects) || ch.disconnects[j] > until
}

// leftoverTime is how long after a kill a consumer may still read what the dead process had sent.
const leftoverTime = int64(time.Second)

// restartBetween tells whether deliveries at two times come from different runs of the broker. The first may have been read from the
// socket after the kill already; then its connection ended between the two.
func (c *checker) restartBetween(ch *channelState, from, to int64) bool {
	i, _ := slices.BinarySearchFunc(c.restarts, from, func(r restart, t int64) int { return cmp.Compare(r.at, t) })
	if i < len(c.restarts) && c.restarts[i].at <= to {
		return true
	}
	if i == 0 || from-c.restarts[i-1].at > leftoverTime {
		return false
	}
	j, _ := slices.BinarySearch(ch.disconnects, from)
	return j < len(ch.disconnects) && ch.disconnects[j] <= to
}

func (c *checker) checkDue(ch *channelState, k Key, due, at int64) {
	if at+int64(c.rules.EarlyTolerance) < due {
		ch.report.fault(Early, "message %s, due at %s, came %v early", k, clock(due), time.Duration(due-at))
	}
}

// checkAttempts demands that attempts grow from delivery to delivery; across a restart, that they do not fall below what a
// requeue recorded.
func (c *checker) checkAttempts(ch *channelState, k Key, last, now Event, lowest uint16) {
	switch {
	case now.Attempts < max(lowest, 1):
		ch.report.fault(AttemptsDecreased, "message %s came with attempts %d after %d were recorded", k, now.Attempts, lowest)
	case last.Kind != 0 && now.Attempts <= last.Attempts && !c.restartBetween(ch, last.At, now.At):
		ch.report.fault(AttemptsDecreased, "message %s came with attempts %d, then with %d", k, last.Attempts, now.Attempts)
	}
}

// checkOrder looks at the first delivery of a message. Messages of one publisher pass here in the order of their sequence.
func (c *checker) checkOrder(ch *channelState, p publish, story []Event) {
	i := slices.IndexFunc(story, func(e Event) bool { return e.Kind == Delivered })
	if !ch.ordered || i < 0 || p.due != 0 {
		return
	}
	o := &ch.order
	if o.publisher != p.key.Publisher {
		o.publisher, o.latest = p.key.Publisher, 0
	}
	if at := story[i].At; at < o.latest {
		ch.report.fault(OutOfOrder, "message %s first came at %s, before %s at %s", p.key, clock(at), o.latestKey, clock(o.latest))
	} else {
		o.latest, o.latestKey = at, p.key
	}
}

// checkBatch counts how much of an MPUB was delivered.
func (c *checker) checkBatch(ch *channelState, k Key, delivered bool) {
	size := c.rules.BatchSizes[k.Publisher]
	if size == 0 {
		return
	}
	first := Key{k.Publisher, k.Seq - k.Seq%uint32(size)}
	if b := &ch.batch; b.size == 0 || b.first != first {
		c.closeBatch(ch)
		b.first, b.size, b.seen = first, size, 0
	}
	if delivered {
		ch.batch.seen++
	}
}

func (c *checker) closeBatch(ch *channelState) {
	if b := ch.batch; b.seen > 0 && b.seen < b.size {
		ch.report.fault(TornBatch, "of the %d messages of the batch at %s, %d were delivered", b.size, b.first, b.seen)
	}
}

func (c *checker) finish() *Report {
	for i := range c.channels {
		c.report.Channels = append(c.report.Channels, c.channels[i].report)
	}
	return &c.report
}

func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000000") }
