package commitlog

import (
	"errors"
	"fmt"
	"sync"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// A commit round of one log: begin takes its source's entries and writes them, a sync follows if the policy wants it, finish
// publishes them and tells the source. Whoever runs it holds tailTurn throughout.

// begin collects and writes. It reports whether there is something to finish; if not, the source has been told all there is.
func (l *Log) begin() bool {
	l.wanted.Store(false)
	if err := l.Err(); err != nil {
		if errors.Is(err, ErrFailed) {
			l.refuse(err)
		}
		return false
	}
	entries := l.src.Collect(l.roundLimit())
	if len(entries) == 0 {
		return false
	}
	err := l.store.withRoom(func() error { return l.append(entries) })
	if errors.Is(err, ErrFull) {
		l.wanted.Store(true)
		l.src.Done(err)
		return false
	}
	if err != nil {
		l.told.Store(true)
		l.src.Done(l.fail(err))
		l.wanted.Store(true) // refuse what else waits
		return false
	}
	l.entries = entries
	return true
}

// refuse answers everything that the source has, and tells it of the failure if it does not know.
func (l *Log) refuse(err error) {
	for len(l.src.Collect(l.store.opts.RoundBytes)) > 0 {
		l.told.Store(true)
		l.src.Done(err)
	}
	if !l.told.Swap(true) {
		l.src.Done(err)
	}
}

// append writes the entries, or leaves nothing of them and fails with ErrFull where there is no room, or no descriptor.
func (l *Log) append(entries []record.Entry) error {
	err := l.write(entries)
	if errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, vfs.ErrTooManyFiles) {
		return l.undo(err)
	}
	return err
}

// write puts the entries' frames behind the tail, truncating and rolling first where that is due. Nothing is published.
func (l *Log) write(entries []record.Entry) error {
	if entries[0].Index <= l.mu.end.index {
		if err := l.truncate(entries[0].Index); err != nil {
			return fmt.Errorf("truncate from index %d: %v", entries[0].Index, err) // half done, perhaps: final, whatever it is
		}
	}
	l.checkEntries(entries)
	if err := l.ensureTail(); err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	t := l.mu.tail
	l.mu.Lock()
	durable := l.mu.durable
	l.mu.Unlock()
	w := framePool.Get().(*frameWriter)
	defer framePool.Put(w)
	t.round = w.encode(entries, t.seg.seed, durable)
	defer w.clear()
	if _, err := t.file.WriteVec(w.bufs, t.pos); err != nil {
		return err
	}
	t.recorded = durable
	if l.policy == SyncAlways && !l.store.scarce.Load() {
		t.writeAhead(l.growth.target)
	}
	return nil
}

// undo makes a round that met a full disk never to have been: no stale frame may stay behind the tail. If it fails that is final, even
// for want of room: a sync that failed may have been about entries that were answered.
func (l *Log) undo(cause error) error {
	if t := l.mu.tail; t != nil {
		if err := errors.Join(t.file.Truncate(t.pos), t.file.Sync()); err != nil {
			return fmt.Errorf("undo a round that met a full disk: %v", err)
		}
		t.ready = 0
	}
	return fmt.Errorf("log %v: %w: %w", l.id, ErrFull, cause)
}

// checkEntries panics where the source broke its contract: what it hands over would not be found again.
func (l *Log) checkEntries(entries []record.Entry) {
	at := l.mu.end
	for i := range entries {
		e := &entries[i]
		if e.Index != at.index+1 || e.Base != at.next || e.Term < at.term || e.Time < at.time {
			panic(ownError("log %v: entry %d (base %d, term %d, time %d) does not follow %d (next %d, term %d, time %d)",
				l.id, e.Index, e.Base, e.Term, e.Time, at.index, at.next, at.term, at.time))
		}
		h := entryHeader(e, 0)
		if err := h.check(true); err != nil || e.Kind == kindMark {
			panic(ownError("log %v: entry %d cannot be written: %v", l.id, e.Index, err))
		}
		at = at.after(e)
	}
}

// finish publishes the entries of the round, which are synced if the policy demands it, and tells the source.
func (l *Log) finish() {
	entries := l.entries
	l.entries = nil
	if err := l.Err(); err != nil {
		l.told.Store(true)
		l.src.Done(err)
		return
	}
	l.publish(entries)
	l.rounds.Add(1)
	if l.policy == SyncAlways {
		l.store.rounds.watch(l)
	} else {
		l.store.syncer.watch(l)
	}
	l.src.Done(nil)
}

// publish makes written entries visible to readers.
func (l *Log) publish(entries []record.Entry) {
	t := l.mu.tail
	pos := t.pos
	l.mu.Lock()
	for i := range entries {
		e := &entries[i]
		h := frameHeader{length: len(e.Payload), kind: e.Kind, term: e.Term, index: e.Index, base: e.Base, time: e.Time}
		t.seg.index.add(&h, e.Next(), pos)
		pos += h.size()
		if e.Kind == record.KindCarry {
			l.mu.carried.add(e)
		}
	}
	last := &entries[len(entries)-1]
	l.mu.end = l.mu.end.after(last)
	t.pos, t.seg.end, t.seg.last = pos, pos, l.mu.end
	if l.policy == SyncAlways {
		l.mu.durable = last.Index
	}
	l.mu.Unlock()
	for i := range entries {
		if e := &entries[i]; e.Kind == record.KindBatch {
			l.store.cache.add(&l.cached, e.Base, e.Next(), e.Time, e.Payload)
		}
	}
}

// frameWriter turns entries into buffers to write. It is reused; between rounds it holds no payload.
type frameWriter struct {
	headers []byte
	bufs    [][]byte
}

var framePool = sync.Pool{New: func() any { return new(frameWriter) }}

var padding [frameAlign]byte

// encode fills bufs and returns the bytes they hold.
func (w *frameWriter) encode(entries []record.Entry, seed uint32, durable record.Index) int64 {
	if need := len(entries) * frameHeaderSize; cap(w.headers) < need {
		w.headers = make([]byte, need)
	}
	var total int64
	for i := range entries {
		e := &entries[i]
		h := entryHeader(e, durable)
		b := w.headers[:cap(w.headers)][i*frameHeaderSize : (i+1)*frameHeaderSize]
		putFrameHeader(b, &h, seed)
		w.bufs = append(w.bufs, b)
		if h.length > 0 {
			w.bufs = append(w.bufs, e.Payload)
		}
		if pad := h.size() - frameHeaderSize - int64(h.length); pad > 0 {
			w.bufs = append(w.bufs, padding[:pad])
		}
		total += h.size()
	}
	return total
}

func (w *frameWriter) clear() {
	clear(w.bufs)
	w.bufs = w.bufs[:0]
}
