package commitlog

import (
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// truncate removes all entries from index from on, durably. The next append begins a new segment: stale frames behind the cut
// must never be followed by new ones. The caller holds tailTurn.
func (l *Log) truncate(from record.Index) error {
	l.syncTurn.acquire()
	defer l.syncTurn.release()
	if err := l.syncAllTails(); err != nil {
		return err
	}
	l.mu.Lock()
	segments := slices.Clone(l.mu.segments)
	l.mu.Unlock()
	if len(segments) == 0 || from < segments[0].base {
		panic(ownError("log %v: truncation from entry %d, which is deleted already", l.id, from))
	}
	at := len(segments) - 1
	for segments[at].base > from {
		at--
	}
	pos, end, err := l.endBefore(segments[at], from)
	if err != nil {
		return err
	}
	l.dropTail()
	// From the last to the first, each durably, so that a crash leaves a log without a hole.
	for i := len(segments) - 1; i > at; i-- {
		l.retire(segments[i])
		if err := l.store.discard(segments[i]); err != nil {
			return err
		}
	}
	l.retire(segments[at])
	kept := newSegment(l.dir, segments[at].segmentHeader)
	kept.last, kept.sealed = end, true
	if err := l.store.settleSegment(kept, pos); err != nil {
		return err
	}
	if err := l.store.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.mu.Lock()
	// Trims work at the front meanwhile, but never on a segment that holds entries above a checkpoint.
	l.mu.segments = append(slices.Clone(l.mu.segments[:len(l.mu.segments)-(len(segments)-at)]), kept)
	l.mu.end, l.mu.durable = end, min(l.mu.durable, end.index)
	l.mu.carried.keep(0, from)
	l.mu.Unlock()
	l.store.cache.cut(&l.cached, end.next)
	l.store.logger.Info("truncated the end of a log that another leader replaced", "log", l.id.String(), "from", uint64(from))
	return nil
}

// endBefore returns where the frame of entry from begins in s, and the end of the log before it.
func (l *Log) endBefore(s *segment, from record.Index) (int64, logEnd, error) {
	f, err := l.store.files.acquire(s)
	if err != nil {
		return 0, logEnd{}, err
	}
	defer l.store.files.release(f)
	end := s.before
	sc := scanner{file: f.file, seed: s.seed, pos: segmentHeaderSize, limit: s.end, ahead: scanAheadBytes}
	for pos := sc.pos; ; pos = sc.pos {
		fr, err := sc.next()
		if err != nil {
			return 0, logEnd{}, s.scanError(&sc, err)
		}
		switch {
		case fr.kind == kindMark:
		case fr.kind == kindLost && fr.index < from:
			end = fr.markEnd()
		case fr.index >= from:
			return pos, end, nil
		default:
			e := fr.entry(fr.payload)
			end = end.after(&e)
		}
	}
}

// dropTail ends the active segment's life without sealing it. Its file is synced and will be cut.
func (l *Log) dropTail() {
	l.mu.Lock()
	t := l.mu.tail
	l.mu.tail = nil
	if t != nil {
		t.seg.sealed = true
		l.store.indexes.put(t.seg, t.seg.index)
		t.seg.index = nil
	}
	l.mu.Unlock()
	if t != nil {
		t.file.Close()
	}
}
