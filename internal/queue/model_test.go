package queue

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A model is a channel as the documentation tells it, with maps and no thought of speed.
type model struct {
	start, end Offset
	// durable
	finished map[Offset]bool
	waiting  map[Offset]wait
	floor    Offset // raised by emptying only
	paused   bool
	// volatile
	leads      bool
	state      map[Offset]modelState
	gone       map[Offset]bool // finished or dropped, recorded or not
	pendingFin map[Offset]bool
	pendingReq map[Offset]wait
	dueMs      int64
}

// A modelState says where a message is; messages without one are fresh, or in gone.
type modelState struct {
	session   *Session // nil: it waits
	attempts  uint16
	dueMs     int64
	delivered int64
	deadline  int64
}

func newModel(start Offset) *model {
	return &model{start: start, end: start, floor: start, finished: map[Offset]bool{}, waiting: map[Offset]wait{}}
}

func (m *model) done(off Offset) bool { return off < m.floor || m.finished[off] }

func (m *model) lead(now Now) {
	m.leads, m.dueMs = true, now.ms()
	m.state, m.gone = map[Offset]modelState{}, map[Offset]bool{}
	m.pendingFin, m.pendingReq = map[Offset]bool{}, map[Offset]wait{}
	for off, w := range m.waiting {
		m.state[off] = modelState{attempts: w.attempts, dueMs: w.dueMs}
	}
}

func (m *model) follow() { m.leads = false }

// fresh returns the offsets never delivered, in order.
func (m *model) fresh() (out []Offset) {
	for off := m.start; off < m.end; off++ {
		if _, somewhere := m.state[off]; !somewhere && !m.gone[off] && !m.done(off) {
			out = append(out, off)
		}
	}
	return out
}

// due returns the offsets that wait and are due, in order of delivery.
func (m *model) due(now Now) (out []Offset) {
	m.dueMs = max(m.dueMs, now.ms())
	for off, s := range m.state {
		if s.session == nil && s.dueMs <= m.dueMs && off < m.end {
			out = append(out, off)
		}
	}
	slices.SortFunc(out, func(a, b Offset) int {
		return cmp.Or(cmp.Compare(m.state[a].dueMs, m.state[b].dueMs), cmp.Compare(a, b))
	})
	return out
}

func (m *model) inFlight(s *Session) (n int) {
	for _, st := range m.state {
		if st.session != nil && (s == nil || st.session == s) {
			n++
		}
	}
	return n
}

// deliver moves off into flight and returns its attempts.
func (m *model) deliver(now Now, s *Session, timeout time.Duration, off Offset) uint16 {
	attempts := m.state[off].attempts
	if attempts < maxAttempts {
		attempts++
	}
	m.state[off] = modelState{session: s, attempts: attempts, delivered: now.Mono, deadline: now.Mono + int64(timeout)}
	return attempts
}

// owned returns the error for a command on off by s.
func (m *model) owned(s *Session, off Offset) error {
	st, ok := m.state[off]
	switch {
	case !ok || st.session == nil:
		return ErrNotInFlight
	case st.session != s:
		return ErrNotOwner
	}
	return nil
}

func (m *model) finish(off Offset) {
	delete(m.state, off)
	m.gone[off], m.pendingFin[off] = true, true
	delete(m.pendingReq, off)
}

func (m *model) requeue(off Offset, dueMs int64) {
	w := wait{m.state[off].attempts, dueMs}
	m.state[off] = modelState{attempts: w.attempts, dueMs: dueMs}
	if !m.pendingFin[off] {
		m.pendingReq[off] = w
	}
}

// refuse takes a delta back.
func (m *model) refuse(fin []Offset, req map[Offset]wait) {
	for _, off := range fin {
		if off >= m.floorNow() {
			m.pendingFin[off] = true
			delete(m.pendingReq, off)
		}
	}
	for off, w := range req {
		if old, ok := m.pendingReq[off]; off >= m.floorNow() && !m.pendingFin[off] && (!ok || old.attempts <= w.attempts) {
			m.pendingReq[off] = w
		}
	}
}

// expired requeues what has timed out and returns how many.
func (m *model) expired(now Now) (n int) {
	for off, st := range m.state {
		if st.session != nil && st.deadline <= now.Mono {
			m.requeue(off, now.ms())
			n++
		}
	}
	return n
}

// earliest returns the first deadline and the first due time to come, 0 if none.
func (m *model) earliest() (mono, wallMs int64) {
	for _, st := range m.state {
		if st.session != nil && (mono == 0 || st.deadline < mono) {
			mono = st.deadline
		}
		if st.session == nil && st.dueMs > m.dueMs && (wallMs == 0 || st.dueMs < wallMs) {
			wallMs = st.dueMs
		}
	}
	return mono, wallMs
}

// Durable changes.

func (m *model) applyFinish(off Offset) {
	if off >= m.floor {
		m.finished[off] = true
		delete(m.waiting, off)
	}
}

func (m *model) applyRequeue(off Offset, w wait) {
	if old, ok := m.waiting[off]; !m.done(off) && (!ok || old.attempts <= w.attempts) {
		m.waiting[off] = w
	}
}

func (m *model) applyDefer(off Offset, dueMs int64) {
	if _, known := m.waiting[off]; known || m.done(off) {
		return
	}
	m.waiting[off] = wait{0, dueMs}
	if m.leads {
		m.state[off] = modelState{dueMs: dueMs}
	}
}

func (m *model) applyEmpty(end Offset) {
	m.floor = max(m.floor, end)
	below := func(off Offset) bool { return off < m.floor }
	maps.DeleteFunc(m.waiting, func(off Offset, _ wait) bool { return below(off) })
	if m.leads {
		maps.DeleteFunc(m.state, func(off Offset, _ modelState) bool { return below(off) })
		maps.DeleteFunc(m.pendingFin, func(off Offset, _ bool) bool { return below(off) })
		maps.DeleteFunc(m.pendingReq, func(off Offset, _ wait) bool { return below(off) })
	}
}

// floorNow returns the first offset not recorded as finished.
func (m *model) floorNow() Offset {
	off := m.floor
	for m.finished[off] {
		off++
	}
	return off
}
