package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/latency"
	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// Channel is a consumer-side queue of a topic: each message goes to one of its subscriptions.
//
// Concurrency: mu guards the queue and the subscriptions; it is held for computation only. Clients are woken after it is
// released. waiting is a hint that lets committers skip channels in which nobody waits.
type Channel struct {
	partition *partition
	id        channelID
	name      string
	ephemeral bool
	waiting   atomic.Bool
	latency   *latency.Window // nil unless latencies are measured
	leads     atomic.Bool     // mu.leading, for readers without the mutex

	mu struct {
		sync.Mutex
		queue *queue.Channel
		seats map[*seat]struct{}
		// bySession finds the seat of a session of the queue; empty while not leading.
		bySession map[*queue.Session]*seat
		leading   bool
		// leadership counts the times that lead was called: a delta flushed in one is no business of the next.
		leadership int
		closed     error
		first      record.Offset // where message_count starts: the dispatch position when this life of the channel began
		timer      *time.Timer
		armed      int64     // monotonic ns at which timer fires; 0 = not armed
		lost       LostError // the run of lost messages that was logged last
		lostCount  uint64
	}
}

func newChannel(p *partition, id channelID, name string, q *queue.Channel) *Channel {
	ch := &Channel{partition: p, id: id, name: name, ephemeral: isEphemeral(name)}
	if o := &p.broker.options; len(o.LatencyQuantiles) > 0 {
		ch.latency = latency.NewWindow(o.LatencyWindow)
	}
	ch.mu.queue = q
	ch.mu.seats = make(map[*seat]struct{})
	ch.mu.first = max(q.Floor(), p.mu.dispatch.end())
	return ch
}

func compareChannels(a, b *Channel) int { return strings.Compare(a.name, b.name) }

// Name returns the channel's name.
func (c *Channel) Name() string { return c.name }

// SetPaused stops (true) or resumes (false) deliveries. The change is durable on return.
func (c *Channel) SetPaused(ctx context.Context, paused bool) error {
	t := c.partition.topic
	if c.ephemeral {
		t.eachChannel(c.name, func(c *Channel) {
			c.applyPause(paused)
			c.wake()
		})
		return nil
	}
	return t.change(ctx, change{op: opPauseChannel, name: c.name, on: paused})
}

// Empty drops every message of the channel, in flight and deferred ones too. The change is durable on return.
func (c *Channel) Empty(ctx context.Context) error {
	t := c.partition.topic
	if c.ephemeral {
		t.eachChannel(c.name, func(c *Channel) { c.applyEmpty(c.end()) })
		return nil
	}
	return t.change(ctx, change{op: opEmptyChannel, name: c.name})
}

// full reports whether so much is unfinished that the channel reads no further.
func (c *Channel) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.queue.Stalled()
}

// end is where the channel stops reading.
func (c *Channel) end() record.Offset {
	if c.ephemeral {
		return record.Offset(c.partition.ephemeralEnd.Load())
	}
	return record.Offset(c.partition.end.Load())
}

// wake wakes a subscription that waits and can use what is ready, if there is one.
func (c *Channel) wake() {
	c.mu.Lock()
	client := c.nextLocked(c.partition.broker.now())
	c.mu.Unlock()
	if client != nil {
		client.Wake()
	}
}

// nextLocked takes the next subscription that waits and can use what is ready off the waiting list, and returns its client for
// the caller to wake after it has released the mutex; nil if there is none.
func (c *Channel) nextLocked(now queue.Now) Client {
	if !c.mu.leading {
		return nil
	}
	s := c.mu.queue.NextWaiter(now, c.end())
	c.waiting.Store(c.mu.queue.Waiting())
	if s == nil {
		return nil
	}
	seat := c.mu.bySession[s]
	seat.called = true
	return seat.sub.client
}

// changedLocked notes that the channel has progress to record and perhaps an earlier event to wait for.
func (c *Channel) changedLocked(now queue.Now) {
	c.armLocked(now)
	c.partition.markDirty()
}

// maxSleep bounds how long a channel's timer sleeps towards a wall-clock due time, so that a step of the clock is noticed.
const maxSleep = time.Second

// armLocked sets the timer to the queue's next event, unless it already fires by then.
func (c *Channel) armLocked(now queue.Now) {
	mono, wall, ok := c.mu.queue.NextEvent()
	if !ok {
		return
	}
	at := mono
	if wall != 0 {
		byWall := now.Mono + min(max(wall-now.Wall, 0), int64(maxSleep))
		if at == 0 || byWall < at {
			at = byWall
		}
	}
	if c.mu.armed != 0 && c.mu.armed <= at {
		return
	}
	c.mu.armed = at
	sleep := time.Duration(max(at-now.Mono, 0))
	if c.mu.timer == nil {
		c.mu.timer = time.AfterFunc(sleep, c.fire)
		return
	}
	c.mu.timer.Reset(sleep)
}

// fire runs timeouts and due times. One ready message wakes one subscription, which wakes the next if there is more.
func (c *Channel) fire() {
	now := c.partition.broker.now()
	c.mu.Lock()
	c.mu.armed = 0
	var client Client
	var roomy []Client
	if c.mu.leading && c.mu.closed == nil {
		if c.mu.queue.Tick(now) > 0 {
			roomy = c.shutLocked()
		}
		client = c.nextLocked(now)
		c.changedLocked(now)
	}
	c.mu.Unlock()
	if client != nil {
		client.Wake()
	}
	for _, client := range roomy {
		client.Wake()
	}
}

// shutLocked returns the clients whose windows over several partitions are shut, to be woken because something has landed.
func (c *Channel) shutLocked() []Client {
	if len(c.partition.topic.parts) == 1 {
		return nil
	}
	var list []Client
	for seat := range c.mu.seats {
		if seat.sub.pool.shut.Load() {
			list = append(list, seat.sub.client)
		}
	}
	return list
}

func (c *Channel) applyDues(dues []due) {
	if len(dues) == 0 {
		return
	}
	now := c.partition.broker.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range dues {
		c.mu.queue.ApplyDefer(d.offset, d.ms)
	}
	if c.mu.leading {
		c.armLocked(now)
	}
}

func (c *Channel) applyDelta(delta []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.queue.ApplyDelta(delta)
}

func (c *Channel) applyEmpty(end record.Offset) {
	c.mu.Lock()
	c.mu.queue.ApplyEmpty(end)
	c.waiting.Store(c.mu.queue.Waiting()) // windows may have opened
	roomy := c.shutLocked()
	c.mu.Unlock()
	for _, client := range roomy {
		client.Wake()
	}
}

func (c *Channel) applySkip(from, to record.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.queue.ApplySkip(from, to)
}

func (c *Channel) applyPause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.queue.ApplyPause(on)
}

// dropBelow drops unread messages that the log no longer holds, and those beyond an ephemeral channel's bound.
func (c *Channel) dropBelow(start record.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.queue.Drop(start)
}

// restore replaces the durable state, while this node does not lead.
func (c *Channel) restore(q *queue.Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.queue = q
}

// lead begins to deliver: the volatile state is built anew, and every subscription gets its place in it.
func (c *Channel) lead() {
	now := c.partition.broker.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.leading = true
	c.leads.Store(true)
	c.mu.leadership++
	c.mu.queue.Lead(now)
	c.mu.bySession = make(map[*queue.Session]*seat, len(c.mu.seats))
	for s := range c.mu.seats {
		c.enterLocked(s)
	}
	c.armLocked(now)
}

// follow stops deliveries and returns what is not recorded, in deltas that fit into an entry. What was in flight is requeued
// first, as at a disconnect: the next leader delivers it again.
func (c *Channel) follow() (deltas [][]byte) {
	now := c.partition.broker.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.mu.bySession {
		c.mu.queue.RemoveSession(now, s)
	}
	for c.mu.queue.Pending() {
		delta := c.mu.queue.Flush(nil, progressLimit/2)
		if !c.ephemeral {
			deltas = append(deltas, delta)
		}
	}
	c.mu.leading = false
	c.leads.Store(false)
	c.mu.bySession = nil
	c.mu.queue.Follow()
	return deltas
}

// chosen lets the subscriptions know that the channel's leadership has changed. What they had in flight is forgotten if it ended.
// Their next Pull finds room for it in other partitions, and lets go of what it held of this one.
func (c *Channel) chosen() {
	c.mu.Lock()
	seats := slices.Collect(maps.Keys(c.mu.seats))
	c.mu.Unlock()
	for _, s := range seats {
		s.sub.choose()
		s.sub.client.Wake()
	}
}

// enterLocked gives a seat its session in the queue.
func (c *Channel) enterLocked(s *seat) {
	s.session = c.mu.queue.AddSession(s.sub.options.MsgTimeout, s.sub.options.SampleRate)
	c.mu.queue.SetReady(s.session, s.sub.window())
	c.mu.queue.Wait(s.session)
	c.waiting.Store(true)
	c.mu.bySession[s.session] = s
}

func (c *Channel) close(err error) {
	c.mu.Lock()
	if c.mu.closed == nil {
		c.mu.closed = err
	}
	if c.mu.timer != nil {
		c.mu.timer.Stop()
	}
	c.mu.Unlock()
	c.dropSubscribers(err)
}

// closeIfIdle closes the channel if nobody is subscribed.
func (c *Channel) closeIfIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.seats) > 0 {
		return false
	}
	c.mu.closed = ErrChannelNotFound
	return true
}

// dropSubscribers tells every client to go.
func (c *Channel) dropSubscribers(err error) {
	c.mu.Lock()
	seats := slices.Collect(maps.Keys(c.mu.seats))
	c.mu.Unlock()
	for _, s := range seats {
		s.sub.dismiss(err)
	}
}

// flush moves the pending progress, at most about limit bytes, into a delta. Ephemeral channels record nothing: theirs takes
// effect at once.
func (c *Channel) flush(limit int) (delta []byte, leadership int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.leading {
		return nil, 0
	}
	delta = c.mu.queue.Flush(nil, limit)
	if !c.ephemeral || len(delta) == 0 {
		return delta, c.mu.leadership
	}
	if err := c.mu.queue.ApplyDelta(delta); err != nil {
		c.partition.broker.options.Logger.Error("ephemeral channel cannot apply its own progress; report this",
			slog.String("channel", c.name), slog.Any("error", err))
	}
	return nil, 0
}

// refuse takes back a delta that could not be recorded; the next flush repeats it.
func (c *Channel) refuse(delta []byte, leadership int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.leading && c.mu.leadership == leadership {
		c.mu.queue.Refuse(delta)
	}
}
