package queue

import "github.com/weirmq/weir/internal/record"

// pending is what happened on the leader and is in no delta yet.
type pending struct {
	// from, to is the run of finishes that grows just now; it is not in finished until gather. Most messages are finished
	// in order, and then cost no more than this.
	from, to record.Offset
	finished offsetSet
	requeued waitingSet // no offset of finished
}

// gather puts the growing run into the finished set.
func (p *pending) gather() {
	p.finished.addRange(p.from, p.to)
	p.from = p.to
}

func (p *pending) empty() bool { return p.from == p.to && p.finished.n == 0 && p.requeued.len() == 0 }

// finish notes that off is finished. One that is not redelivered cannot have been requeued.
func (p *pending) finish(off record.Offset, redelivered bool) {
	if redelivered && p.requeued.len() > 0 {
		p.requeued.remove(off)
	}
	if off != p.to || p.from == p.to {
		p.gather()
		p.from = off
	}
	p.to = off + 1
}

// finishRange notes that [from, to) is finished.
func (p *pending) finishRange(from, to record.Offset) {
	p.finished.addRange(from, to)
	p.requeued.removeRange(from, to)
}

// requeue notes that off waits, unless something later about it is noted already.
func (p *pending) requeue(off record.Offset, w wait) {
	p.gather()
	if p.finished.contains(off) {
		return
	}
	if old, ok := p.requeued.get(off); ok && old.attempts > w.attempts {
		return
	}
	p.requeued.set(off, w)
}

// flush appends a delta of at most about maxBytes, lowest offsets first, and forgets what is in it.
func (p *pending) flush(dst []byte, maxBytes int) []byte {
	if p.empty() {
		return dst
	}
	p.gather()
	start := len(dst)
	w := changeWriter{dst: append(dst, deltaVersion)}
	room := maxBytes - 1
	if p.requeued.len() > 0 {
		room -= room / 4
	}
	from, ok := p.finished.nextSet(0)
	for ok && (w.next == 0 || len(w.dst)-start+maxRunBytes < room) {
		to := p.finished.nextUnset(from)
		w.run(from, to)
		from, ok = p.finished.nextSet(to)
	}
	p.finished.dropBelow(w.next)
	wrote := w.next > 0
	w.endRuns()
	p.requeued.each(func(off record.Offset, v wait) bool {
		if wrote && len(w.dst)-start+maxWaitBytes > maxBytes {
			return false
		}
		w.wait(off, v)
		wrote = true
		return true
	})
	p.requeued.dropBelow(w.next)
	return w.dst
}

func (p *pending) dropBelow(off record.Offset) {
	p.gather()
	p.finished.dropBelow(off)
	p.requeued.dropBelow(off)
}
