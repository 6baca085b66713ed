package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// chunkBytes is the payload of a data frame.
const chunkBytes = 256 << 10

// Stream asks a node for a large transfer: its handler's Streamed writes what the reader gives. It dials a connection of its
// own. The reader ends with io.EOF only if the stream is complete and every checksum was right; a handler's error is an *Error.
// The context bounds the whole stream. Close may be called at any time, by any goroutine, and must be.
func (t *Transport) Stream(ctx context.Context, to catalog.NodeID, method uint8, request []byte) (io.ReadCloser, error) {
	p := t.peer(to)
	if p == nil {
		return nil, fmt.Errorf("stream from node %d: unknown: %w", to, ErrNotSent)
	}
	conn, _, err := t.dial(ctx, to, bulk, p.links[Control].status().Address)
	if err != nil {
		return nil, fmt.Errorf("stream from node %d: %w: %w", to, ErrNotSent, err)
	}
	out := newOutbox(0)
	out.add(header{kind: kindCall, method: method}, nil, request)
	b, _ := out.take()
	if err := newVecWriter(conn, t.opts.Limits.WriteTimeout).write(&b); err != nil {
		t.release(conn)
		return nil, fmt.Errorf("stream from node %d: %w: %w", to, ErrUnknown, err)
	}
	s := &streamReader{t: t, conn: conn, ctx: ctx,
		frames: newFrameReader(deadlineReader{conn, t.streamPatience()}, max(chunkBytes, maxErrorBytes))}
	s.stop = context.AfterFunc(ctx, func() { t.release(conn) })
	return s, nil
}

// streamPatience is how long a stream may stand still.
func (t *Transport) streamPatience() time.Duration { return 3 * t.opts.Limits.WriteTimeout }

// streamReader is the reader's end of a stream.
type streamReader struct {
	t      *Transport
	conn   net.Conn
	ctx    context.Context // of Stream
	stop   func() bool
	frames *frameReader
	rest   []byte
	err    error
}

// Read returns what has come. It waits at most streamPatience for more.
func (s *streamReader) Read(p []byte) (int, error) {
	for len(s.rest) == 0 && s.err == nil {
		s.rest, s.err = s.nextChunk()
	}
	if len(s.rest) > 0 {
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	return 0, s.err
}

func (s *streamReader) nextChunk() ([]byte, error) {
	h, payload, err := s.frames.next()
	switch {
	case err != nil && s.ctx.Err() != nil:
		return nil, s.ctx.Err()
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	case h.kind == kindData:
		return payload, nil
	case h.kind == kindEnd:
		return nil, io.EOF
	case h.kind == kindFailure:
		return nil, &Error{Code: h.code, Text: string(payload)}
	}
	return nil, fmt.Errorf("frame of kind %d in a stream: %w", h.kind, errMalformed)
}

// Close breaks the connection.
func (s *streamReader) Close() error {
	s.stop()
	s.t.release(s.conn)
	return nil
}

// serveStream answers the request on a bulk connection.
func (t *Transport) serveStream(conn net.Conn, h *hello) {
	r := newFrameReader(deadlineReader{conn, t.opts.Limits.DialTimeout}, chunkBytes)
	request, body, err := r.next()
	if err != nil || request.kind != kindCall {
		t.quiet.Warn(fmt.Sprint("stream ", h.from), "closed a connection of a peer: its request cannot be read", "node", h.from, "error", err)
		return
	}
	w := &streamWriter{t: t, vec: newVecWriter(conn, t.opts.Limits.WriteTimeout), out: newOutbox(0)}
	err = t.stream(h.from, request.method, body, w)
	if ferr := w.finish(err); ferr != nil && t.ctx.Err() == nil {
		t.logger.Debug("a stream was broken off", "node", h.from, "method", request.method, "error", ferr)
	}
}

// stream has the handler write a stream, if there is a slot for it. The slot is free again before the reader sees the end.
func (t *Transport) stream(from catalog.NodeID, method uint8, request []byte, w *streamWriter) error {
	select {
	case t.streamSlots <- struct{}{}:
	default:
		return &Error{Code: CodeBusy, Text: "too many streams at a time"}
	}
	defer func() { <-t.streamSlots }()
	if t.opts.Handler.Streamed == nil {
		return errors.New("this node serves no streams")
	}
	err := t.opts.Handler.Streamed(from, method, request, w)
	w.flush()
	return err
}

// streamWriter cuts what a handler writes into frames, at the node's rate.
type streamWriter struct {
	t       *Transport
	vec     *vecWriter
	out     *outbox // never waited for: each frame is taken at once
	pending []byte
	err     error
}

// Write blocks for the rate and the reader. An error is final.
func (w *streamWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		if w.pending == nil {
			w.pending = make([]byte, 0, chunkBytes)
		}
		n := copy(w.pending[len(w.pending):chunkBytes], p)
		w.pending, p, written = w.pending[:len(w.pending)+n], p[n:], written+n
		if len(w.pending) == chunkBytes {
			w.flush()
		}
	}
	return written, w.err
}

func (w *streamWriter) flush() {
	if len(w.pending) == 0 || w.err != nil {
		return
	}
	if w.err = w.t.bulk.take(w.t.ctx, len(w.pending)); w.err == nil {
		w.send(header{kind: kindData}, w.pending)
	}
	w.pending = w.pending[:0]
}

func (w *streamWriter) send(h header, payload []byte) {
	w.out.add(h, nil, payload)
	b, ok := w.out.take()
	if !ok {
		return
	}
	if w.err = w.vec.write(&b); w.err == nil {
		w.out.done(b)
	}
}

// finish ends the stream with the handler's outcome.
func (w *streamWriter) finish(err error) error {
	w.flush()
	if w.err != nil {
		return w.err
	}
	h, text := header{kind: kindEnd}, ""
	if err != nil {
		h.kind, text = kindFailure, err.Error()
		var coded *Error
		if errors.As(err, &coded) {
			h.code = coded.Code
		}
	}
	w.send(h, []byte(text[:min(len(text), maxErrorBytes)]))
	return w.err
}
