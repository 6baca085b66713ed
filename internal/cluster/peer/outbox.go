package peer

import (
	"bufio"
	"hash/crc32"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// copyBytes is the size below which a payload is copied next to its header; larger ones are sent from where they lie.
	copyBytes = 4 << 10
	// keepArena is the largest buffer that is kept for the next batch.
	keepArena = 2 << 20
	// writeBytes is about how much goes out before the write deadline is set anew.
	writeBytes = 1 << 20
)

// outbox is what waits to be sent on one connection. Everything that waits goes out together: while one batch is written, the
// next gathers. One mutex guards it; nothing is written under it.
type outbox struct {
	limitBytes int
	bytes      atomic.Int64 // of frames that wait or are being written; changed under mu

	mu struct {
		sync.Mutex
		wake    sync.Cond
		arena   []byte // headers and small payloads, one behind the other
		spans   []span // the batch, in order
		lastID  uint64 // highest call id that was added
		takenID uint64 // highest call id that was taken to be written
		closed  bool
	}
	spare batch // of the writer
}

// span is a part of a batch: of the arena, or outside it.
type span struct {
	from, to int
	outside  []byte
}

// batch is what one write sends.
type batch struct {
	arena []byte
	spans []span
	bytes int
	bufs  net.Buffers
}

func newOutbox(limitBytes int) *outbox {
	o := &outbox{limitBytes: limitBytes}
	o.mu.wake.L = &o.mu
	return o
}

// add queues a frame whose payload is head and parts, one after another. It keeps the parts until they are written. It reports
// false, and queues nothing, if the outbox is full or closed; an empty one takes any frame.
func (o *outbox) add(h header, head []byte, parts ...[]byte) bool {
	length := len(head)
	for _, p := range parts {
		length += len(p)
	}
	if !o.hasRoom(length) {
		return false // before anything is computed for it
	}
	sum := crc32.Checksum(head, castagnoli)
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := &o.mu
	if m.closed || !o.hasRoom(length) {
		return false
	}
	o.bytes.Add(int64(headerBytes + length))
	start := len(m.arena)
	m.arena = append(m.arena, make([]byte, headerBytes)...)
	h.put(m.arena[start:], length, sum)
	m.arena = append(m.arena, head...)
	for _, p := range parts {
		if len(p) < copyBytes {
			m.arena = append(m.arena, p...)
			continue
		}
		o.endSpanLocked(start)
		m.spans = append(m.spans, span{outside: p})
		start = len(m.arena)
	}
	o.endSpanLocked(start)
	m.lastID = max(m.lastID, h.id)
	m.wake.Signal()
	return true
}

// hasRoom reports whether a frame of such a payload may wait.
func (o *outbox) hasRoom(length int) bool {
	waiting := o.bytes.Load()
	return waiting == 0 || waiting+int64(headerBytes+length) <= int64(o.limitBytes)
}

// endSpanLocked adds the arena from start on to the batch, to its last span if that one ends there.
func (o *outbox) endSpanLocked(start int) {
	m := &o.mu
	end := len(m.arena)
	if n := len(m.spans); n > 0 && m.spans[n-1].outside == nil && m.spans[n-1].to == start {
		m.spans[n-1].to = end
	} else if start < end {
		m.spans = append(m.spans, span{from: start, to: end})
	}
}

// take waits for something to send and takes all of it; false: the outbox is closed.
func (o *outbox) take() (batch, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := &o.mu
	for len(m.spans) == 0 && !m.closed {
		m.wake.Wait()
	}
	if m.closed {
		return batch{}, false
	}
	b := o.spare
	b.arena, m.arena = m.arena, b.arena[:0]
	b.spans, m.spans = m.spans, b.spans[:0]
	m.takenID = m.lastID
	b.bytes = 0
	return b, true
}

// done gives back a batch that was written.
func (o *outbox) done(b batch) {
	clear(b.spans) // of what lies outside
	clear(b.bufs[:cap(b.bufs)])
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes.Add(-int64(b.bytes))
	o.spare = b
}

// close ends the outbox: what waits is dropped, nothing is taken any more. It returns the highest call id that was taken: calls
// above it were surely not sent.
func (o *outbox) close() (takenID uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := &o.mu
	m.closed, m.arena, m.spans = true, nil, nil
	m.wake.Broadcast()
	return m.takenID
}

// run writes what comes until the outbox is closed (nil) or the connection fails. The caller closes the connection.
func (o *outbox) run(conn net.Conn, timeout time.Duration) error {
	w := newVecWriter(conn, timeout)
	for {
		b, ok := o.take()
		if !ok {
			return nil
		}
		if err := w.write(&b); err != nil {
			return err
		}
		o.done(b)
	}
}

// vecWriter writes batches: with writev where the connection can, else through a buffer.
type vecWriter struct {
	conn    net.Conn
	buf     *bufio.Writer // nil for writev
	timeout time.Duration
}

func newVecWriter(conn net.Conn, timeout time.Duration) *vecWriter {
	w := &vecWriter{conn: conn, timeout: timeout}
	if _, ok := conn.(*net.TCPConn); !ok {
		w.buf = bufio.NewWriterSize(conn, 64<<10)
	}
	return w
}

// write sends a batch and counts its bytes. Some megabyte at a time must be gone within the timeout.
func (w *vecWriter) write(b *batch) error {
	for rest := b.spans; len(rest) > 0; {
		bufs, size := b.bufs[:0], 0
		for len(rest) > 0 && size < writeBytes {
			s := &rest[0]
			var p []byte
			if s.outside != nil {
				p = s.outside[:min(len(s.outside), writeBytes)]
				s.outside = s.outside[len(p):]
			} else {
				p = b.arena[s.from:min(s.to, s.from+writeBytes)]
				s.from += len(p)
			}
			if len(s.outside) == 0 && s.from == s.to {
				rest = rest[1:]
			}
			bufs, size = append(bufs, p), size+len(p)
		}
		b.bufs = bufs
		b.bytes += size
		if err := w.send(bufs); err != nil {
			return err
		}
	}
	return nil
}

func (w *vecWriter) send(bufs net.Buffers) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	if w.buf == nil {
		_, err := bufs.WriteTo(w.conn)
		return err
	}
	for _, p := range bufs {
		if _, err := w.buf.Write(p); err != nil {
			return err
		}
	}
	return w.buf.Flush()
}
