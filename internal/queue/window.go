package queue

import "github.com/weirmq/weir/internal/record"

const (
	// minRing and maxRing bound the slots of a window's ring: 1 KiB to 1 MiB.
	minRing = 1 << 6
	maxRing = 1 << 16
	// idleRing is the largest ring that a window keeps when nothing is in flight.
	idleRing = 1 << 12
)

// A slot is one message in flight: 16 bytes without a pointer. Its deadline is delivered plus the owner's timeout, unless
// touched. That is why it needs to hold no more than when it was delivered, from which the limit of TOUCH follows too.
type slot struct {
	delivered int64 // monotonic ns
	owner     uint32
	attempts  uint16
	used      bool
	touched   bool // its deadline is in timeouts.touched
}

// A window holds what is in flight. The messages lately read, [base, read), have their slots in a ring; messages that
// fell behind it while others flowed on, and redelivered ones outside it, are strays in a map.
type window struct {
	base, read record.Offset
	ring       []slot // length 0 or a power of two; slots outside [base, read) are unused
	inRing     int
	strays     map[record.Offset]slot
	stray      slot // the one that get returned last
	limit      int  // of the ring, a power of two from minRing on; 0 stands for maxRing
}

func (w *window) maxRing() int {
	if w.limit > 0 {
		return w.limit
	}
	return maxRing
}

func (w *window) len() int { return w.inRing + len(w.strays) }

func (w *window) covers(off record.Offset) bool { return uint64(off-w.base) < uint64(w.read-w.base) }

func (w *window) slotOf(off record.Offset) *slot { return &w.ring[int(off)&(len(w.ring)-1)] }

// get returns the slot of a message in flight, nil if it is not. It is valid until the window changes and not to be written
// to: that of a stray is a copy.
func (w *window) get(off record.Offset) *slot {
	if w.covers(off) && len(w.ring) > 0 {
		if s := w.slotOf(off); s.used {
			return s
		}
	}
	if len(w.strays) > 0 {
		if s, ok := w.strays[off]; ok {
			w.stray = s
			return &w.stray
		}
	}
	return nil
}

// put marks off, which is not in flight, as in flight.
func (w *window) put(off record.Offset, s slot) {
	s.used = true
	if w.covers(off) && len(w.ring) > 0 {
		*w.slotOf(off) = s
		w.inRing++
		return
	}
	if w.strays == nil {
		w.strays = make(map[record.Offset]slot)
	}
	w.strays[off] = s
}

// setTouched marks the message off, which is in flight, as touched.
func (w *window) setTouched(off record.Offset) {
	if w.covers(off) && len(w.ring) > 0 {
		if s := w.slotOf(off); s.used {
			s.touched = true
			return
		}
	}
	s := w.strays[off]
	s.touched = true
	w.strays[off] = s
}

// remove ends the flight of off, which is in flight.
func (w *window) remove(off record.Offset) {
	if w.covers(off) && len(w.ring) > 0 {
		if s := w.slotOf(off); s.used {
			*s = slot{}
			w.inRing--
			if off == w.base {
				w.trim()
			}
			return
		}
	}
	delete(w.strays, off)
	if len(w.strays) == 0 {
		w.strays = nil // a map never shrinks
	}
}

// trim moves base up to the lowest message in flight.
func (w *window) trim() {
	if w.inRing == 0 {
		w.base = w.read
		if len(w.ring) > idleRing {
			w.ring = nil
		}
		return
	}
	for !w.slotOf(w.base).used {
		w.base++
	}
}

// extend moves read up to off: what lies between has been read, or is passed over.
func (w *window) extend(off record.Offset) {
	if w.inRing == 0 {
		w.base = w.read
	}
	for int64(off-w.base) > int64(len(w.ring)) {
		switch {
		case len(w.ring) < w.maxRing() && (w.inRing > 0 || int64(off-w.read) > int64(len(w.ring))):
			if w.inRing == 0 && int64(off-w.read) > int64(w.maxRing()) {
				w.base, w.read = off, off
				return
			}
			w.grow()
		case w.inRing == 0:
			w.base, w.read = off, off
			return
		default:
			w.strand()
		}
	}
	w.read = off
}

// fill marks the n messages from read on, at most maxRing, as in flight.
func (w *window) fill(n int, s slot) {
	first := w.read
	w.extend(first + record.Offset(n))
	s.used = true
	mask := len(w.ring) - 1
	for i := range n {
		w.ring[(int(first)+i)&mask] = s
	}
	w.inRing += n
}

func (w *window) grow() {
	old := w.ring
	w.ring = make([]slot, max(minRing, 2*len(old)))
	if len(old) == 0 {
		return
	}
	for off := w.base; off < w.read; off++ {
		*w.slotOf(off) = old[int(off)&(len(old)-1)]
	}
}

// strand makes the lowest message of the ring a stray.
func (w *window) strand() {
	w.trim()
	if w.inRing == 0 {
		return
	}
	if w.strays == nil {
		w.strays = make(map[record.Offset]slot)
	}
	w.strays[w.base] = *w.slotOf(w.base)
	*w.slotOf(w.base) = slot{}
	w.inRing--
	w.trim()
}

// each calls fn for every message in flight until it returns false, in no order. fn may remove the one it is called for.
func (w *window) each(fn func(record.Offset, *slot) bool) {
	for off, s := range w.strays {
		if !fn(off, &s) {
			return
		}
	}
	for off, end := w.base, w.read; off < end && w.inRing > 0; off++ {
		if off >= w.base {
			if s := w.slotOf(off); s.used && !fn(off, s) {
				return
			}
		}
	}
}
