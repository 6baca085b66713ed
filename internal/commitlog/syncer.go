package commitlog

import (
	"sync"
	"time"
)

// syncer makes durable what logs wrote that answer before the sync, in time for their policy and at every seal. One goroutine
// does it, beside the appends; its mutex guards the list only.
type syncer struct {
	store *Store
	wakeC chan struct{}
	stopC chan struct{}
	done  sync.WaitGroup

	mu struct {
		sync.Mutex
		due []dueSync
	}
}

type dueSync struct {
	log *Log
	at  time.Time
}

func newSyncer(s *Store) *syncer {
	y := &syncer{store: s, wakeC: make(chan struct{}, 1), stopC: make(chan struct{})}
	y.done.Go(y.run)
	return y
}

// watch has l synced within its policy's time.
func (y *syncer) watch(l *Log) {
	if !l.syncing.Swap(true) {
		y.add(dueSync{l, time.Now().Add(l.policy.within() / 2)})
	}
}

// hurry has l synced as soon as possible.
func (y *syncer) hurry(l *Log) {
	l.syncing.Store(true)
	y.add(dueSync{l, time.Time{}})
}

func (y *syncer) add(d dueSync) {
	y.mu.Lock()
	y.mu.due = append(y.mu.due, d)
	y.mu.Unlock()
	select {
	case y.wakeC <- struct{}{}:
	default:
	}
}

// stop ends the goroutine. No log may be open.
func (y *syncer) stop() {
	close(y.stopC)
	y.done.Wait()
}

func (y *syncer) run() {
	for {
		logs, wait := y.take(time.Now())
		if len(logs) > 0 {
			y.sync(logs)
			continue
		}
		var timerC <-chan time.Time
		if wait > 0 {
			timerC = time.After(wait)
		}
		select {
		case <-y.wakeC:
		case <-timerC:
		case <-y.stopC:
			return
		}
	}
}

// take removes the logs that are due from the list, or returns how long the first has time; 0 if there is none.
func (y *syncer) take(now time.Time) (logs []*Log, wait time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	rest := y.mu.due[:0]
	for _, d := range y.mu.due {
		left := d.at.Sub(now)
		if left <= 0 {
			if d.log.syncing.Swap(false) {
				logs = append(logs, d.log)
			}
			continue
		}
		rest = append(rest, d)
		if wait == 0 || left < wait {
			wait = left
		}
	}
	clear(y.mu.due[len(rest):])
	y.mu.due = rest
	return logs, wait
}

// sync syncs the files of all logs in one go.
func (y *syncer) sync(logs []*Log) {
	var works []syncWork
	var tails []*tailFile
	for _, l := range logs {
		if !l.syncTurn.tryAcquire() {
			continue // Roll, Close and their like sync everything themselves
		}
		w := l.syncWork()
		works = append(works, w)
		tails = append(tails, w.tails...)
	}
	if len(tails) > 0 {
		y.store.syncTails(tails)
	}
	for _, w := range works {
		if err := w.done(); err != nil {
			w.log.failInBackground(err)
		}
		w.log.syncTurn.release()
	}
}

// syncWork is what has to be synced so that a log is durable up to an index.
type syncWork struct {
	log    *Log
	tails  []*tailFile
	sealed int // of tails, which go first
	upTo   logEnd
}

// syncWork lists what is written and not synced. The caller holds syncTurn.
func (l *Log) syncWork() syncWork {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := syncWork{log: l, upTo: l.mu.end, sealed: len(l.mu.unsynced)}
	if l.mu.failed != nil || l.mu.closed {
		return syncWork{log: l}
	}
	w.tails = append(w.tails, l.mu.unsynced...)
	if l.mu.tail != nil {
		w.tails = append(w.tails, l.mu.tail)
	}
	return w
}

// done takes note of what has become durable, and closes the sealed files.
func (w *syncWork) done() error {
	for _, t := range w.tails {
		if t.syncErr != nil {
			return t.syncErr
		}
	}
	if len(w.tails) == 0 {
		return nil
	}
	l := w.log
	l.mu.Lock()
	l.mu.durable = max(l.mu.durable, w.upTo.index)
	l.mu.unsynced = append([]*tailFile(nil), l.mu.unsynced[w.sealed:]...)
	l.mu.Unlock()
	for _, t := range w.tails[:w.sealed] {
		t.file.Close()
	}
	l.store.rounds.watch(l)
	return nil
}

// syncWritten makes the whole log durable, in the caller. The caller holds both turns.
func (l *Log) syncWritten() error {
	w := l.syncWork()
	if len(w.tails) == 0 {
		return nil
	}
	l.store.syncTails(w.tails)
	if err := w.done(); err != nil {
		return l.fail(err)
	}
	for _, t := range w.tails {
		t.dirty = false
	}
	return nil
}
