package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// inboundKey says of which connections there is one at a time.
type inboundKey struct {
	from catalog.NodeID
	lane Lane
}

// inbound is one accepted connection of a lane.
type inbound struct {
	t         *Transport
	from      catalog.NodeID
	life      Life
	lane      Lane
	conn      net.Conn
	out       *outbox
	calls     atomic.Int64 // without an answer
	callBytes atomic.Int64 // of their requests
	doneC     chan struct{}
}

// Serve accepts connections of peers until Close, which also closes ln, and then returns nil. It may be called once.
func (t *Transport) Serve(ln net.Listener) error {
	t.mu.Lock()
	if t.mu.closed {
		t.mu.Unlock()
		return ln.Close()
	}
	t.mu.listener = ln
	t.mu.Unlock()
	for wait := minBackOff; ; {
		conn, err := ln.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			t.quiet.Warn("accept", "cannot accept a connection of a peer", "error", err)
			select { // too many open files, mostly: it may pass
			case <-time.After(wait):
			case <-t.ctx.Done():
			}
			wait = min(2*wait, t.opts.Limits.MaxBackOff)
			continue
		}
		wait = minBackOff
		t.accepted(conn)
	}
}

// accepted starts the goroutine of a connection, unless too many have not said hello.
func (t *Transport) accepted(conn net.Conn) {
	select {
	case t.helloSlots <- struct{}{}:
	default:
		t.quiet.Warn("unidentified", "too many connections to the peer port have not said who they are; closing new ones", "remote", conn.RemoteAddr())
		conn.Close()
		return
	}
	if t.opts.TLS != nil {
		conn = tls.Server(conn, t.opts.TLS)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		conn.Close()
		<-t.helloSlots
		return
	}
	t.mu.conns[conn] = struct{}{}
	t.tasks.Go(func() {
		defer t.release(conn)
		t.identify(conn)
	})
}

// identify takes the hello of a connection and serves it.
func (t *Transport) identify(conn net.Conn) {
	h, err := t.welcome(conn)
	<-t.helloSlots
	if err != nil {
		if t.ctx.Err() == nil && !errors.Is(err, io.EOF) { // a port scan, or a probe that only connects
			t.quiet.Warn("hello "+cause(err), "refused a connection to the peer port", "remote", conn.RemoteAddr(), "error", err)
		}
		return
	}
	if h.lane == bulk {
		t.serveStream(conn, h)
		return
	}
	in := &inbound{t: t, from: h.from, life: h.life, lane: h.lane, conn: conn,
		out: newOutbox(t.opts.Limits.queueBytes(h.lane)), doneC: make(chan struct{})}
	defer close(in.doneC)
	if !t.enter(in) {
		return
	}
	defer t.leave(in)
	if p := t.peer(h.from); p != nil {
		p.links[h.lane].kick()
	}
	err = in.serve()
	if errors.Is(err, errMalformed) {
		t.quiet.Warn(fmt.Sprint("frame ", h.from), "closed a connection of a peer: what it sent cannot be read",
			"node", h.from, "lane", h.lane, "error", err)
	}
}

// welcome reads a hello and answers it. A refusal is an error that names the cause.
func (t *Transport) welcome(conn net.Conn) (*hello, error) {
	if err := conn.SetDeadline(time.Now().Add(t.opts.Limits.DialTimeout)); err != nil {
		return nil, err
	}
	if c, ok := conn.(*tls.Conn); ok {
		if err := c.Handshake(); err != nil {
			return nil, tlsProblem(err)
		}
	}
	h, err := readHello(conn)
	if err != nil {
		return nil, tlsProblem(err)
	}
	answer := t.hello(h.from, h.lane)
	answer.answer = true
	answer.refusal = t.judge(h)
	if answer.refusal == "" && h.lane > bulk {
		answer.refusal = fmt.Sprintf("there is no %v", h.lane)
	}
	if answer.refusal == "" {
		if _, err := t.lives.check(h.from, h.life); err != nil {
			answer.refusal = err.Error()
		}
	}
	answer.refusal = answer.refusal[:min(len(answer.refusal), maxRefusalBytes)]
	if _, err := conn.Write(answer.encode()); err != nil {
		return nil, err
	}
	if answer.refusal != "" {
		return nil, errors.New(answer.refusal)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(confirmed))); err != nil {
		return nil, fmt.Errorf("node %d did not confirm its hello, which told it of its life %d: if it says that it does not know that "+
			"life, %s: %v", h.from, answer.seen.Number, olderCopy, tlsProblem(err))
	}
	// Only now: an older copy of its disk has had the occasion to find out.
	if err := t.lives.admit(h.from, h.life); err != nil {
		return nil, err
	}
	return h, conn.SetDeadline(time.Time{})
}

// enter makes in the one connection of its lane: an older one is broken, and its handler has returned. Connections of an
// earlier life go too. false: it is itself of an earlier life than one that has come meanwhile, or the Transport is closed.
func (t *Transport) enter(in *inbound) bool {
	for _, old := range t.dropInbound(func(old *inbound) bool { return old.from == in.from && old.life.Number < in.life.Number }) {
		<-old.doneC
	}
	key := inboundKey{in.from, in.lane}
	for {
		t.mu.Lock()
		old := t.mu.inbound[key]
		if t.mu.closed || old != nil && old.life.Number > in.life.Number || t.mu.peers[in.from] == nil {
			t.mu.Unlock()
			return false
		}
		if old == nil {
			t.mu.inbound[key] = in
			t.mu.Unlock()
			return true
		}
		t.mu.Unlock()
		old.conn.Close()
		<-old.doneC
	}
}

func (t *Transport) leave(in *inbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := (inboundKey{in.from, in.lane}); t.mu.inbound[key] == in {
		delete(t.mu.inbound, key)
	}
}

// dropInbound breaks the accepted connections that are chosen, and returns them.
func (t *Transport) dropInbound(chosen func(*inbound) bool) (dropped []*inbound) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, in := range t.mu.inbound {
		if chosen(in) {
			in.conn.Close()
			dropped = append(dropped, in)
		}
	}
	return dropped
}

// serve runs the connection until it breaks.
func (in *inbound) serve() error {
	var writer sync.WaitGroup
	writer.Go(func() {
		_ = in.out.run(in.conn, in.t.opts.Limits.WriteTimeout) // the dialler sees that the connection is closed
		in.conn.Close()
	})
	err := in.read()
	in.conn.Close()
	in.out.close()
	writer.Wait()
	return err
}

// read hands what comes in to the handler. The dialler's pings come more often than the read timeout.
func (in *inbound) read() error {
	o := &in.t.opts
	r := newFrameReader(deadlineReader{in.conn, 6 * o.Limits.HeartbeatTimeout}, o.Limits.FrameBytes)
	for {
		h, payload, err := r.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case kindMessage:
			if o.Handler.Received != nil {
				o.Handler.Received(in.from, in.lane, payload)
			}
		case kindCall:
			in.called(h, payload)
		case kindPing:
			if !in.out.add(header{kind: kindPong, id: h.id}, nil) {
				return errors.New("answers are not taken")
			}
		default:
			return fmt.Errorf("frame of kind %d from a dialler: %w", h.kind, errMalformed)
		}
	}
}

// called hands a call to the handler.
func (in *inbound) called(h header, payload []byte) {
	r := Request{From: in.from, Life: in.life, Method: h.method, Body: payload, in: in, id: h.id, size: len(payload)}
	o := &in.t.opts
	calls, bytes := in.calls.Add(1), in.callBytes.Add(int64(r.size))
	if calls > int64(o.Limits.Calls) || calls > 1 && bytes > int64(o.Limits.queueBytes(in.lane)) {
		r.Fail(&Error{Code: CodeBusy, Text: "too many calls without an answer"})
		return
	}
	if o.Handler.Called == nil {
		r.Fail(errors.New("this node takes no calls"))
		return
	}
	o.Handler.Called(r)
}

// Request is a call from another node. It must be answered once, by Reply or Fail, which never block, from any goroutine; the
// answer is dropped if the connection is gone.
type Request struct {
	From   catalog.NodeID
	Life   Life // of the process that called
	Method uint8
	Body   []byte // belongs to the handler

	in   *inbound
	id   uint64
	size int // of Body as it came
}

// Reply answers with a body, which is kept until it is written and must not change.
func (r Request) Reply(body []byte) {
	r.answer(header{kind: kindReply, id: r.id}, body)
}

// Fail answers with an error. The caller gets an *Error of its text, and of its code if it is an *Error.
func (r Request) Fail(err error) {
	var coded *Error
	var code uint16
	if errors.As(err, &coded) {
		code = coded.Code
	}
	text := err.Error()
	r.answer(header{kind: kindFailure, code: code, id: r.id}, []byte(text[:min(len(text), maxErrorBytes)]))
}

// answer queues an answer. If there is no room for it, the dialler does not read: without the answer its call would wait for ever,
// so the connection is broken.
func (r Request) answer(h header, body []byte) {
	in := r.in
	in.calls.Add(-1)
	in.callBytes.Add(-int64(r.size))
	if !in.out.add(h, nil, body) {
		in.conn.Close()
	}
}
