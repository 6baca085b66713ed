package broker

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// partition is the state machine behind one log of a topic: its channels and its dispatch position. It implements Machine.
//
// Concurrency: mu guards what committed entries change; Apply holds it for one entry, a checkpoint for its encoding. Channels
// have mutexes of their own, taken after mu where both are needed. Readers of positions and of the list of channels use the
// atomic copies.
type partition struct {
	broker *Broker
	topic  *Topic
	number uint16
	log    Log
	// preferred tells that this node is to lead the partition whenever it can.
	preferred bool

	mu struct {
		sync.Mutex
		dispatch dispatch
		channels map[channelID]*Channel
		byName   map[string]*Channel
		applied  record.Index
		leading  bool
		closed   error // why no channel is made any more: the topic goes, or the node
		arrivals arrivals
		relays   relays   // whose batches are applied
		underway underway // relayed batches that are not answered yet
		// ephemeralID is the id of the ephemeral channel created last.
		ephemeralID channelID
	}

	end          atomic.Int64 // dispatch.end(), for durable channels
	ephemeralEnd atomic.Int64
	list         atomic.Pointer[[]*Channel] // the channels, sorted by name

	leads           atomic.Bool           // mu.leading, for readers without the mutex
	failed          atomic.Pointer[error] // why the partition stands still
	sinceCheckpoint atomic.Int64          // bytes applied since the last checkpoint
	dirty           atomic.Bool           // on the flusher's list
	flushing        atomic.Bool           // a progress entry is under way
	// recording is held while progress is taken from the channels and proposed: none of it may be on its way to the log when
	// the log has been let go. It is taken before mu.
	recording sync.Mutex

	saved         [2]checkpointed // the newest checkpoints of this life, newest first; the keeper's, and shut's after it
	keepFailed    bool            // the keeper's: its latest round met an error, which is logged
	carryTooLarge carryAttempt    // the keeper's: what was too large to be carried, so as not to read it again and again
}

var _ Machine = (*partition)(nil)

func newPartition(b *Broker, t *Topic, number uint16) *partition {
	p := &partition{broker: b, topic: t, number: number}
	p.mu.channels = make(map[channelID]*Channel)
	p.mu.byName = make(map[string]*Channel)
	p.mu.relays = make(relays)
	p.mu.underway = make(underway)
	p.list.Store(new([]*Channel))
	return p
}

// Apply implements Machine.
func (p *partition) Apply(e *record.Entry) {
	p.mu.Lock()
	changed, err := p.applyLocked(e)
	p.mu.applied = e.Index
	p.mu.arrivals.reachedLocked(e.Index)
	p.mu.Unlock()
	p.tellOf(changed)
	p.sinceCheckpoint.Add(int64(len(e.Payload)) + 64)
	if err != nil {
		p.Failed(fmt.Errorf("apply entry %d: %w", e.Index, err))
		return
	}
	p.wakeAll()
}

// changed is what an entry did that sessions must be told of once the mutex is released: at most one of both.
type changed struct {
	created, deleted *Channel
}

// tellOf lets sessions that wait for a created channel enter it, and those of a deleted one go.
func (p *partition) tellOf(c changed) {
	if c.created != nil {
		p.topic.attach(c.created)
	}
	if c.deleted != nil {
		c.deleted.close(ErrChannelNotFound)
		if p.broker.options.Cluster != nil {
			p.broker.deleted.note(p.topic.name + ":" + c.deleted.name)
		}
	}
}

func (p *partition) applyLocked(e *record.Entry) (changed, error) {
	switch e.Kind {
	case record.KindBatch:
		p.applyBatchLocked(e)
	case record.KindControl:
		return p.applyControlLocked(e)
	}
	return changed{}, nil
}

func (p *partition) applyBatchLocked(e *record.Entry) {
	d := &p.mu.dispatch
	d.next = e.Next()
	if e.Flags&record.FlagDue != 0 {
		p.applyDuesLocked(e)
	}
	if relay, ok := record.Batch(e.Payload).Relay(); ok {
		p.mu.relays.applied(relay)
	}
	p.dropOverflowLocked()
	p.publishEndsLocked()
}

// applyDuesLocked makes the deferred messages of a batch known to the channels, or to the backlog while dispatch is frozen.
func (p *partition) applyDuesLocked(e *record.Entry) {
	d := &p.mu.dispatch
	batch := record.Batch(e.Payload)
	dues := make([]due, 0, batch.Count())
	for it := batch.Records(); it.Next(); {
		if ms, ok := it.Record().Due(); ok {
			dues = append(dues, due{it.Record().Offset, ms})
		}
	}
	if d.frozen() {
		d.backlog = append(d.backlog, dues...)
	}
	for _, ch := range p.mu.channels {
		if ch.ephemeral && !d.paused || !ch.ephemeral && !d.frozen() {
			ch.applyDues(dues)
		}
	}
}

func (p *partition) applyControlLocked(e *record.Entry) (did changed, err error) {
	c, err := decodeControl(e.Payload)
	if err != nil {
		return did, err
	}
	d := &p.mu.dispatch
	d.next = max(d.next, e.Base) // further only where a batch before it was lost to damage
	switch c.op {
	case opProgress:
		return did, p.applyProgressLocked(c.progress)
	case opCreateChannel:
		did.created = p.applyCreateLocked(channelID(e.Index), c.name)
	case opDeleteChannel:
		did.deleted = p.applyDeleteLocked(c.channel)
	case opPauseChannel:
		if ch := p.mu.channels[c.channel]; ch != nil {
			ch.applyPause(c.on)
		}
	case opEmptyChannel:
		if ch := p.mu.channels[c.channel]; ch != nil {
			ch.applyEmpty(d.end())
		}
	case opPauseTopic:
		p.applyTopicPauseLocked(c.on)
	case opEmptyTopic:
		p.applyEmptyTopicLocked()
	}
	p.publishEndsLocked()
	return did, nil
}

// applyEmptyTopicLocked drops what waits for a dispatch. Channels that exist, as those of a paused topic do, skip it.
func (p *partition) applyEmptyTopicLocked() {
	d := &p.mu.dispatch
	if !d.frozen() {
		return
	}
	for _, ch := range *p.list.Load() {
		from := d.end()
		if ch.ephemeral {
			from = d.ephemeralEnd()
		}
		ch.applySkip(from, d.next)
	}
	d.empty()
}

func (p *partition) applyProgressLocked(args []byte) error {
	for len(args) > 0 {
		id, delta, rest, err := nextProgress(args)
		if err != nil {
			return err
		}
		if ch := p.mu.channels[id]; ch != nil {
			if err := ch.applyDelta(delta); err != nil {
				return err
			}
		}
		args = rest
	}
	return nil
}

func (p *partition) applyCreateLocked(id channelID, name string) *Channel {
	if p.mu.byName[name] != nil {
		return nil // two sessions asked at once: the first entry made it
	}
	d := &p.mu.dispatch
	ch := newChannel(p, id, name, queue.New(d.end(), p.broker.queueOptions()))
	d.change(func() { d.durable++ })
	p.addLocked(ch)
	ch.applyDues(d.takeBacklog())
	return ch
}

func (p *partition) applyDeleteLocked(id channelID) *Channel {
	ch := p.mu.channels[id]
	if ch == nil {
		return nil
	}
	p.mu.dispatch.change(func() { p.mu.dispatch.durable-- })
	p.removeLocked(ch)
	return ch
}

func (p *partition) applyTopicPauseLocked(on bool) {
	d := &p.mu.dispatch
	if d.paused == on {
		return
	}
	d.change(func() { d.paused = on })
	if on {
		d.pausedAt = d.next
		return
	}
	held := d.backlog // takeBacklog empties it only if durable channels may have it too
	thawed := d.takeBacklog()
	for _, ch := range p.mu.channels {
		if ch.ephemeral {
			ch.applyDues(duesFrom(held, d.pausedAt))
		} else {
			ch.applyDues(thawed)
		}
	}
}

// duesFrom returns the part of an offset-ordered list from an offset on.
func duesFrom(list []due, from record.Offset) []due {
	i := slices.IndexFunc(list, func(d due) bool { return d.offset >= from })
	if i < 0 {
		return nil
	}
	return list[i:]
}

func (p *partition) addLocked(ch *Channel) {
	ch.mu.closed = p.mu.closed // nobody would tell its subscriptions any more
	p.mu.channels[ch.id] = ch
	p.mu.byName[ch.name] = ch
	if p.mu.leading {
		ch.lead()
	}
	p.listLocked()
}

func (p *partition) removeLocked(ch *Channel) {
	delete(p.mu.channels, ch.id)
	delete(p.mu.byName, ch.name)
	p.listLocked()
}

func (p *partition) listLocked() {
	list := make([]*Channel, 0, len(p.mu.byName))
	for _, name := range slices.Sorted(maps.Keys(p.mu.byName)) {
		list = append(list, p.mu.byName[name])
	}
	p.list.Store(&list)
	p.broker.changes.note()
}

// publishEndsLocked makes the positions visible to Pull. It comes before wakeAll: a session announces that it waits and looks
// again, the partition moves the position and looks for who waits, so none sleeps over a message.
func (p *partition) publishEndsLocked() {
	p.end.Store(int64(p.mu.dispatch.end()))
	p.ephemeralEnd.Store(int64(p.mu.dispatch.ephemeralEnd()))
}

func (p *partition) wakeAll() {
	for _, ch := range *p.list.Load() {
		if ch.waiting.Load() {
			ch.wake()
		}
	}
}

// Lead implements Machine.
func (p *partition) Lead(leading bool) {
	if leading && p.failure() == nil {
		p.takeUp()
	} else {
		p.letGo()
	}
	for _, ch := range *p.list.Load() {
		ch.chosen()
	}
	p.topic.retarget()
	p.broker.changes.note()
	p.wakeAll()
}

// takeUp begins to serve.
func (p *partition) takeUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leading = true
	p.leads.Store(true)
	for _, ch := range p.mu.channels {
		if ch.ephemeral {
			ch.applyEmpty(p.mu.dispatch.ephemeralEnd()) // what came before, another node delivered
		}
		ch.lead()
	}
}

// letGo stops serving, and proposes all that is not recorded: every finish and requeue that was taken, and the attempts of what was
// in flight.
func (p *partition) letGo() {
	if p.failure() == nil { // a failed log takes nothing, and may have called from within a proposal
		p.recording.Lock()
		defer p.recording.Unlock()
	}
	var last [][]byte // progress entries
	p.mu.Lock()
	p.mu.leading = false
	p.leads.Store(false)
	for _, ch := range *p.list.Load() {
		for _, delta := range ch.follow() {
			last = addProgress(last, ch.id, delta)
		}
	}
	p.mu.Unlock()
	if p.failure() != nil {
		return
	}
	for _, payload := range last {
		p.log.Propose(&Proposal{Kind: record.KindControl, Payload: payload})
	}
}

// Failed implements Machine: the log has failed for good, or cannot be read or understood. Consumers are disconnected, publishers
// refused.
func (p *partition) Failed(err error) {
	if !p.failed.CompareAndSwap(nil, &err) {
		return
	}
	what := "partition failed and stands still; repair the log, then restart the node"
	if p.broker.options.Cluster != nil {
		what = "this node's replica of a partition has failed and stays out; other nodes lead it"
	}
	p.broker.options.Logger.Error(what,
		slog.String("topic", p.topic.name), slog.Int("partition", int(p.number)), slog.Any("error", err))
	if !p.topic.only() {
		p.Lead(false) // the others go on
		return
	}
	for _, ch := range *p.list.Load() {
		ch.dropSubscribers(ErrFailed)
	}
}

// failure returns why the partition stands still, or nil.
func (p *partition) failure() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// channel returns the channel of that name.
func (p *partition) channel(name string) (*Channel, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch, ok := p.mu.byName[name]
	return ch, ok
}

// tooManyDeferred reports whether a channel, or the backlog, holds so many messages in memory already that no more deferred ones
// are taken: unlike others, they cannot be left unread in the log.
func (p *partition) tooManyDeferred() bool {
	p.mu.Lock()
	backlog := len(p.mu.dispatch.backlog)
	p.mu.Unlock()
	return backlog >= p.broker.options.MaxUnfinished || slices.ContainsFunc(*p.list.Load(), (*Channel).full)
}

// depth is the number of messages that wait for a channel to take them.
func (p *partition) depth() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.dispatch.depth()
}

func (p *partition) paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.dispatch.paused
}

// close disconnects all consumers; err says why.
func (p *partition) close(err error) {
	p.mu.Lock()
	p.mu.closed = err
	channels := slices.Collect(maps.Values(p.mu.channels))
	p.mu.Unlock()
	for _, ch := range channels {
		ch.close(err)
	}
}
