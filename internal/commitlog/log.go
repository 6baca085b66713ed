package commitlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// Source owns what a log is to append. Commit rounds call it, one at a time for a log, on the goroutine of the committer or,
// where the policy answers before the sync or a publisher is alone, of whoever called Kick or Commit.
type Source interface {
	// Collect returns the entries to append now, in order, with index, term, base and time set and batches stamped: about
	// limitBytes of payload, but one entry at least if any waits. It is called again until it returns none. The slice is
	// the log's until Done, the payloads stay shared for ever. The first index follows the last one of the log; a lower
	// one replaces all entries from it on, and must be above what was ever reported committed.
	Collect(limitBytes int) []record.Entry
	// Done reports the outcome of the last Collect that returned entries: nil, all of them are written and durable as the
	// policy demands; ErrFull, none is appended and the log goes on; ErrFailed, the log has failed for good and which of
	// them are on disk is unknown. A log that fails in the background calls Done(ErrFailed) once without a Collect. Done
	// must not block and must not call methods of the log other than Kick, Bounds and those of Readers.
	Done(err error)
}

// Log is the log of one partition on this node's disk: entries in segments.
//
// All methods may be called from any goroutine. What readers need is guarded by mu, which is held briefly and never during
// I/O. The tail (the active file and everything that writes to it) belongs to whoever holds tailTurn: a commit round, or a
// method such as Roll for as long as it runs. Syncs outside of rounds (SyncOS) hold syncTurn, so that appends go on
// meanwhile. Who needs several turns takes them in the order
// keepTurn, tailTurn, syncTurn.
type Log struct {
	id     LogID
	dir    string
	store  *Store
	src    Source
	policy SyncPolicy

	tailTurn turn
	syncTurn turn
	keepTurn turn        // checkpoints and trims, one at a time
	wanted   atomic.Bool // Kick was called since the last Collect
	markDue  atomic.Bool // the log is idle and has not yet written what of it is durable
	queued   atomic.Bool // in the committer's queue
	watched  atomic.Bool // in the list of logs that may need a mark
	syncing  atomic.Bool // in the syncer's list
	told     atomic.Bool // the source knows that the log has failed
	rounds   atomic.Uint64

	cached logCache // guarded by the tail cache
	// repaired tells that Repair has changed the log in an earlier life: what is nowhere may be lost. Set when it is opened.
	repaired bool

	mu struct {
		sync.Mutex
		segments []*segment     // oldest first; the last may be active
		states   []record.Index // checkpoints that are stored, oldest first
		end      logEnd
		durable  record.Index
		carried  carryTable
		tail     *tailFile   // nil until the first append of this life
		unsynced []*tailFile // sealed files that wait for their sync, oldest first
		failed   error
		closed   bool
	}
	entries []record.Entry // of the round under way; belongs to tailTurn
	growth  segmentGrowth  // belongs to tailTurn
}

// turn is the right to do something that takes long, where a mutex must not be held. It is a channel with one place.
type turn chan struct{}

func (t turn) acquire() { t <- struct{}{} }

func (t turn) tryAcquire() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) release() { <-t }

// Bounds are the ends of a log.
type Bounds struct {
	FirstIndex   record.Index // of the oldest entry kept; LastIndex+1 if there is none
	LastIndex    record.Index // of the newest entry, 0 in a new log
	DurableIndex record.Index // highest index known durable
	Start        record.Offset
	Next         record.Offset // messages in segments are [Start, Next); carried ones lie below Start
	LastTerm     record.Term
	LastTime     int64 // append time of the newest entry, Unix ns; 0 in a new log
}

// Repaired reports that a repair has given up entries of the log, in an earlier life: it is not what its replicas have.
func (l *Log) Repaired() bool { return l.repaired }

// ID returns the log's id.
func (l *Log) ID() LogID { return l.id }

// Bounds returns the ends of the log. With SyncAlways nothing that is not durable is ever within them.
func (l *Log) Bounds() Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Bounds{FirstIndex: l.mu.end.index + 1, LastIndex: l.mu.end.index, DurableIndex: l.mu.durable,
		Start: l.mu.end.next, Next: l.mu.end.next, LastTerm: l.mu.end.term, LastTime: l.mu.end.time}
	if len(l.mu.segments) > 0 {
		b.FirstIndex, b.Start = l.mu.segments[0].base, l.mu.segments[0].before.next
	}
	return b
}

// start returns the offset of the first message in the log's segments.
func (l *Log) start() record.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.segments) == 0 {
		return l.mu.end.next
	}
	return l.mu.segments[0].before.next
}

// Err returns nil, or why the log takes nothing any more: ErrFailed or ErrClosed.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errLocked()
}

func (l *Log) errLocked() error {
	if l.mu.failed == nil && l.mu.closed {
		return fmt.Errorf("log %v: %w", l.id, ErrClosed)
	}
	return l.mu.failed
}

// Kick says that the source has entries. With SyncAlways the committer takes them into its next round, and Kick returns at
// once. Otherwise the caller runs one round itself, at most two, unless one is under way, and leaves what is left over to
// the committer.
func (l *Log) Kick() {
	l.wanted.Store(true)
	if l.policy == SyncAlways {
		l.store.rounds.enqueue(l)
		return
	}
	if !l.tailTurn.tryAcquire() {
		return // the holder sees what is wanted when it is done
	}
	if l.begin() {
		l.finish()
		if l.begin() { // there was more than a round, or came meanwhile
			l.finish()
			l.wanted.Store(true)
		}
	}
	l.releaseTail()
}

// Commit is Kick for a caller that has nothing better to do than to wait for the outcome, and time for a sync. With SyncAlways it
// runs the round itself where the log's rounds were those of a lone publisher: that spares two switches of goroutines, and on a
// machine that is otherwise idle each of them wakes up a processor (one publisher that waits for each answer: 3.75 to 5.5 k/s on
// two virtual processors).
func (l *Log) Commit() {
	if l.policy != SyncAlways || !l.store.rounds.lone(l) {
		l.Kick()
		return
	}
	if !l.tailTurn.tryAcquire() {
		l.store.rounds.met(l)
		l.Kick()
		return
	}
	for alone := true; alone && l.begin(); {
		if alone = l.aloneInRound(); !alone {
			l.store.rounds.met(l)
			l.wanted.Store(true) // the committer takes what is left over
		}
		l.syncTail()
		l.finish()
	}
	l.releaseTail()
}

// releaseTail ends the turn at the tail. Who was turned away meanwhile is served by the committer.
func (l *Log) releaseTail() {
	l.tailTurn.release()
	if l.wanted.Load() || l.markDue.Load() {
		l.store.rounds.enqueue(l)
	}
}

// fail makes err the log's end, unless it has one, and returns what callers get to see.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	first := l.mu.failed == nil
	if first {
		l.mu.failed = fmt.Errorf("log %v: %w: %w", l.id, ErrFailed, err)
	}
	failed := l.mu.failed
	l.mu.Unlock()
	if first {
		l.store.logger.Error("log has failed; it takes nothing until the node is restarted, which does not trust what "+
			"is only in the page cache", "log", l.id.String(), "dir", l.dir, "error", err)
	}
	return failed
}

// failInBackground is fail for goroutines that have no turn at the tail: a round will tell the source.
func (l *Log) failInBackground(err error) {
	l.fail(err)
	l.wanted.Store(true)
	l.store.rounds.enqueue(l)
}

// Close appends what the source still has, makes everything durable, records the end, and detaches the log from its store.
// A log that has failed is closed as it is. The log's Readers must not be used any more.
func (l *Log) Close() error {
	l.tailTurn.acquire()
	defer l.releaseTail()
	l.syncTurn.acquire()
	defer l.syncTurn.release()
	if errors.Is(l.Err(), ErrClosed) {
		return nil
	}
	for l.begin() {
		if l.policy == SyncAlways {
			l.syncTail()
		}
		l.finish()
	}
	err := l.Err()
	if err == nil {
		err = l.recordEnd()
	}
	l.mu.Lock()
	l.mu.closed = true
	files := l.mu.unsynced
	if l.mu.tail != nil {
		files = append(files, l.mu.tail)
	}
	l.mu.tail, l.mu.unsynced = nil, nil
	segments := slices.Clone(l.mu.segments)
	l.mu.Unlock()
	for _, t := range files {
		if cerr := t.file.Close(); err == nil {
			err = cerr
		}
	}
	l.forget(segments)
	l.store.detach(l)
	return err
}

// forget drops what the store's caches know of the log.
func (l *Log) forget(segments []*segment) {
	l.store.cache.drop(&l.cached)
	for _, s := range segments {
		l.store.files.drop(s)
		l.store.indexes.drop(s)
	}
}

// recordEnd makes the log durable and lets its last file end with a mark that says so, which spares the next start the scan.
// The caller holds both turns.
func (l *Log) recordEnd() error {
	if err := l.syncAllTails(); err != nil {
		return err
	}
	t := l.mu.tail
	if t == nil {
		return nil
	}
	size, err := t.file.Size()
	if err != nil {
		return l.fail(err)
	}
	if t.recorded == l.Bounds().LastIndex && size == t.pos && !t.dirty {
		return nil
	}
	wrote, err := l.writeMark()
	if err != nil {
		return err
	}
	if !wrote && t.recorded < l.Bounds().LastIndex {
		return nil // no room for the mark: the next start has to scan
	}
	if err := t.file.Truncate(t.pos); err != nil {
		return l.fail(err)
	}
	t.ready = 0
	return l.syncTail()
}
