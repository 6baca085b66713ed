package broker

import (
	"context"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// progressLimit bounds one progress entry in bytes; what does not fit goes into the next.
const progressLimit = 1 << 20

// busyPartitions is how many partitions with progress one interval serves; with more of them the interval stretches, up to
// flushIntervalMax, so that entries stay few and large.
const (
	busyPartitions   = 64
	flushIntervalMax = time.Second
)

// flusher records the progress of channels: what was finished and requeued since the last time, all channels of a partition in
// one entry.
//
// Concurrency: mu guards the list; run is the only one that takes from it.
type flusher struct {
	interval time.Duration
	wakeC    chan struct{}

	mu    sync.Mutex
	dirty []*partition
}

func newFlusher(interval time.Duration) *flusher {
	return &flusher{interval: interval, wakeC: make(chan struct{}, 1)}
}

// markDirty puts the partition on the flusher's list.
func (p *partition) markDirty() {
	if p.dirty.Load() || !p.dirty.CompareAndSwap(false, true) {
		return
	}
	f := p.broker.flusher
	f.mu.Lock()
	f.dirty = append(f.dirty, p)
	f.mu.Unlock()
	select {
	case f.wakeC <- struct{}{}:
	default:
	}
}

// run records progress until the context ends.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wakeC:
		}
		f.mu.Lock()
		waiting := len(f.dirty)
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.pause(waiting)):
		}
		for _, p := range f.take() {
			p.flush()
		}
	}
}

func (f *flusher) pause(dirty int) time.Duration {
	stretched := f.interval * time.Duration(1+dirty/busyPartitions)
	return min(stretched, max(flushIntervalMax, f.interval))
}

func (f *flusher) take() []*partition {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.dirty
	f.dirty = nil
	return list
}

// progress is a progress entry under way: which delta is whose, in case it is refused.
type progress struct {
	partition *partition
	deltas    []channelDelta
}

type channelDelta struct {
	channel    *Channel
	delta      []byte
	leadership int
}

// flush proposes the partition's pending progress. One entry is under way at a time; what comes up meanwhile waits for the
// next.
func (p *partition) flush() {
	p.dirty.Store(false)
	if !p.flushing.CompareAndSwap(false, true) {
		p.markDirty()
		return
	}
	p.recording.Lock()
	defer p.recording.Unlock()
	payload := []byte{byte(opProgress)}
	under := &progress{partition: p}
	for _, ch := range *p.list.Load() {
		room := progressLimit - len(payload)
		if room <= 0 {
			p.markDirty()
			break
		}
		if delta, leadership := ch.flush(room); len(delta) > 0 {
			payload = appendProgress(payload, ch.id, delta)
			under.deltas = append(under.deltas, channelDelta{ch, delta, leadership})
		}
	}
	if len(under.deltas) == 0 {
		p.flushing.Store(false)
		return
	}
	if len(payload) > progressLimit/2 {
		p.markDirty() // there may be more
	}
	p.log.Propose(&Proposal{Kind: record.KindControl, Payload: payload, Owner: under})
}

// Proposed implements Owner. Progress that was not recorded, or may not have been, is taken back; the next flush repeats it, unless
// the log is gone for good. Another leadership does not take it back: it delivers again what it missed.
func (u *progress) Proposed(p *Proposal) {
	part := u.partition
	if p.Err != nil {
		for _, d := range u.deltas {
			d.channel.refuse(d.delta, d.leadership)
		}
		if part.failure() == nil && !isFinal(p.Err) {
			part.markDirty()
		}
	}
	part.flushing.Store(false)
}

// addProgress adds a channel's delta to the last of some progress entries, or begins another where it would become too large.
func addProgress(entries [][]byte, id channelID, delta []byte) [][]byte {
	if n := len(entries); n > 0 && len(entries[n-1])+len(delta) <= progressLimit {
		entries[n-1] = appendProgress(entries[n-1], id, delta)
		return entries
	}
	return append(entries, appendProgress([]byte{byte(opProgress)}, id, delta))
}

// settle waits until no progress entry is under way, at most until the context ends.
func (p *partition) settle(ctx context.Context) {
	for p.flushing.Load() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// drain records all progress and waits for it, at most until the context ends.
func (p *partition) drain(ctx context.Context) {
	for ctx.Err() == nil {
		p.dirty.Store(false)
		p.flush()
		p.settle(ctx)
		if !p.dirty.Load() {
			return
		}
	}
}
