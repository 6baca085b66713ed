package commitlog

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// committer runs the commit rounds of all logs that answer after the sync, and what other logs leave over. One goroutine runs
// one round at a time: what arrives during a sync goes into the next. Its mutex guards the two lists only.
type committer struct {
	store *Store
	wakeC chan struct{}
	stopC chan struct{}
	done  sync.WaitGroup

	mu struct {
		sync.Mutex
		queue   []*Log
		watched []watchedLog
	}
	// loneLog is the log that had the last loneRounds rounds for itself, each with one small batch; nil if there is none.
	loneLog atomic.Pointer[Log]

	// Of the running goroutine.
	alone struct {
		log    *Log // of the last round, if it had the round for itself
		rounds int  // of log's in a row
	}
	// The same, reused by every round.
	batch []*Log
	round []*Log
	tails []*tailFile
}

// watchedLog is a log whose durable end no frame tells yet.
type watchedLog struct {
	log    *Log
	rounds uint64 // as of the last look
}

// markEvery is how often logs are looked at for a mark, which is written after one to two of these without an append.
const markEvery = 45 * time.Millisecond

const (
	// loneRounds is how many rounds a log must have for itself until its publisher may run them.
	loneRounds = 8
	// loneBytes is the largest batch of a publisher that counts as alone: with more, what the sync takes decides.
	loneBytes = 4 << 10
)

func newCommitter(s *Store) *committer {
	c := &committer{store: s, wakeC: make(chan struct{}, 1), stopC: make(chan struct{})}
	c.done.Go(c.run)
	return c
}

// enqueue puts l into the next round, unless it is there. Then another log is not alone any more.
func (c *committer) enqueue(l *Log) {
	if lone := c.loneLog.Load(); lone != nil && lone != l {
		c.loneLog.Store(nil)
	}
	if l.queued.Swap(true) {
		return
	}
	c.mu.Lock()
	c.mu.queue = append(c.mu.queue, l)
	c.mu.Unlock()
	c.wake()
}

func (c *committer) wake() {
	select {
	case c.wakeC <- struct{}{}:
	default:
	}
}

// watch lets l write a mark when it falls idle.
func (c *committer) watch(l *Log) {
	if l.watched.Swap(true) {
		return
	}
	c.mu.Lock()
	c.mu.watched = append(c.mu.watched, watchedLog{l, l.rounds.Load()})
	first := len(c.mu.watched) == 1
	c.mu.Unlock()
	if first {
		c.wake()
	}
}

// lone reports whether l's publisher may run its rounds.
func (c *committer) lone(l *Log) bool { return c.loneLog.Load() == l }

// aloneInRound reports whether the round that is about to be finished is what a lone publisher makes: one small batch.
func (l *Log) aloneInRound() bool {
	return len(l.entries) == 1 && l.entries[0].Kind == record.KindBatch && len(l.entries[0].Payload) <= loneBytes
}

// met notes that l's publisher found a round under way, or more in its own than one small batch: it is not alone.
func (c *committer) met(l *Log) { c.loneLog.CompareAndSwap(l, nil) }

// judge notes whether the round that is about to be finished was that of a lone publisher.
func (c *committer) judge() {
	l := c.round[0]
	alone := len(c.round) == 1 && l.aloneInRound() && !c.waiting()
	switch {
	case !alone:
		c.alone.log, c.alone.rounds = nil, 0
		return
	case c.alone.log != l:
		c.alone.log, c.alone.rounds = l, 0
	}
	if c.alone.rounds++; c.alone.rounds >= loneRounds {
		c.alone.log, c.alone.rounds = nil, 0
		c.loneLog.Store(l)
	}
}

// waiting reports whether there is work for another round.
func (c *committer) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.queue) > 0
}

// stop ends the goroutine. No log may be open.
func (c *committer) stop() {
	close(c.stopC)
	c.done.Wait()
}

func (c *committer) run() {
	timer := time.NewTimer(markEvery)
	ticking := true
	for {
		select {
		case <-c.wakeC:
		case <-timer.C:
			ticking = c.dueMarks()
			if ticking {
				timer.Reset(markEvery)
			}
		case <-c.stopC:
			timer.Stop()
			return
		}
		c.runRound()
		if !ticking && c.watching() {
			timer.Reset(markEvery)
			ticking = true
		}
	}
}

func (c *committer) watching() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.watched) > 0
}

// dueMarks enqueues the watched logs that were idle since the last look, and reports whether others are left.
func (c *committer) dueMarks() bool {
	c.mu.Lock()
	var idle []*Log
	busy := c.mu.watched[:0]
	for _, w := range c.mu.watched {
		if n := w.log.rounds.Load(); n != w.rounds {
			busy = append(busy, watchedLog{w.log, n})
		} else {
			idle = append(idle, w.log)
		}
	}
	clear(c.mu.watched[len(busy):])
	c.mu.watched = busy
	left := len(busy) > 0
	c.mu.Unlock()
	for _, l := range idle {
		l.watched.Store(false)
		l.markDue.Store(true)
		c.enqueue(l)
	}
	return left
}

// runRound writes what all queued logs have, syncs once for all of them, and finishes them in turn.
func (c *committer) runRound() {
	c.mu.Lock()
	c.batch, c.mu.queue = c.mu.queue, c.batch[:0]
	c.mu.Unlock()
	for i, l := range c.batch {
		c.batch[i] = nil
		l.queued.Store(false)
		if l.tailTurn.tryAcquire() { // else the holder sees what is wanted when it is done
			c.beginOf(l)
		}
	}
	if len(c.round) == 0 {
		return
	}
	c.store.syncTails(c.tails)
	c.judge()
	for i, l := range c.round {
		err := l.synced(c.tails[i])
		if l.entries != nil {
			l.finish()
		} else if err != nil {
			l.wanted.Store(true) // the next round tells the source
		}
		c.round[i], c.tails[i] = nil, nil
		l.releaseTail()
	}
	c.round, c.tails = c.round[:0], c.tails[:0]
}

// beginOf runs l's round up to the sync. Without need for a sync it ends there.
func (c *committer) beginOf(l *Log) {
	begun := l.begin()
	if begun {
		l.wanted.Store(true) // more may wait: the next round asks
	}
	sync := begun && l.policy == SyncAlways
	switch mark := l.markDue.Swap(false); {
	case sync:
	case begun:
		l.finish()
	case mark:
		wrote, err := l.writeMark()
		sync = wrote && l.policy == SyncAlways
		if errors.Is(err, ErrFailed) && !l.told.Load() {
			l.wanted.Store(true) // the next round tells the source
		}
	}
	if !sync {
		l.releaseTail()
		return
	}
	c.round = append(c.round, l)
	c.tails = append(c.tails, l.mu.tail)
}
