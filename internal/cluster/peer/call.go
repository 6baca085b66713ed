package peer

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/catalog"
)

// How a call can end besides a reply; test with errors.Is.
var (
	// ErrNotSent: the request was surely not sent. It may be made again, there or elsewhere.
	ErrNotSent = errors.New("not sent")
	// ErrUnknown: the request was sent, or in part, and its outcome is not known.
	ErrUnknown = errors.New("outcome unknown")
)

// Error is an error of the other side's handler.
type Error struct {
	Code uint16 // as given to Request.Fail; 0 if it gave another error
	Text string // at most maxErrorBytes
}

func (e *Error) Error() string { return e.Text }

// CodeBusy is the code of a call that was not handed to the handler because too many were without an answer.
const CodeBusy = 0xffff

const maxErrorBytes = 4 << 10

// Go makes a call: method and request go to the Called of the other side's handler. It never blocks. It keeps the request until
// it is written, which must not change. done is told the outcome exactly once, also before Go returns, on any goroutine, and
// must not block; the reply belongs to it. Calls of one goroutine to one lane arrive in the order they were made; the outcomes
// may come in another. Errors: *Error, ErrNotSent, ErrUnknown.
func (t *Transport) Go(to catalog.NodeID, lane Lane, method uint8, request []byte, done func(reply []byte, err error)) {
	t.begin(to, lane, method, request, done)
}

// Call is Go and waits, at most for the context: then the error is ErrUnknown and the context's.
func (t *Transport) Call(ctx context.Context, to catalog.NodeID, lane Lane, method uint8, request []byte) ([]byte, error) {
	type outcome struct {
		reply []byte
		err   error
	}
	outcomeC := make(chan outcome, 1)
	s, id := t.begin(to, lane, method, request, func(reply []byte, err error) { outcomeC <- outcome{reply, err} })
	select {
	case o := <-outcomeC:
		return o.reply, o.err
	case <-ctx.Done():
		s.take(id)
		return nil, fmt.Errorf("call node %d: %w: %w", to, ErrUnknown, ctx.Err())
	}
}

// begin queues a call. The session is nil if done has been told that it was not sent.
func (t *Transport) begin(to catalog.NodeID, lane Lane, method uint8, request []byte, done func([]byte, error)) (*session, uint64) {
	s := t.session(to, lane)
	if s == nil {
		done(nil, fmt.Errorf("call node %d: no connection: %w", to, ErrNotSent))
		return nil, 0
	}
	id, err := s.call(method, request, done)
	if err != nil {
		done(nil, fmt.Errorf("call node %d: %w", to, err))
		return nil, 0
	}
	return s, id
}

// call gives the request the next id and queues it. On an error done is not kept.
func (s *session) call(method uint8, request []byte, done func([]byte, error)) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ended {
		return 0, fmt.Errorf("connection lost: %w", ErrNotSent)
	}
	if len(s.mu.calls) >= s.link.t.opts.Limits.Calls {
		return 0, fmt.Errorf("%d calls without an answer: %w", len(s.mu.calls), ErrNotSent)
	}
	id := s.mu.lastID + 1
	if !s.out.add(header{kind: kindCall, method: method, id: id}, nil, request) {
		return 0, fmt.Errorf("too much waits to be sent: %w", ErrNotSent)
	}
	s.mu.lastID = id
	s.mu.calls[id] = done
	return id, nil
}

// take removes a call that ends now; nil if it has ended. A nil session has none.
func (s *session) take(id uint64) func([]byte, error) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.mu.calls[id]
	delete(s.mu.calls, id)
	return done
}

// answer ends a call. One that was given up, or never made, is ignored.
func (s *session) answer(id uint64, reply []byte, err error) {
	if done := s.take(id); done != nil {
		done(reply, err)
	}
}

// end tells all calls without an answer that the connection was lost.
func (s *session) end(cause error) {
	takenID := s.out.close()
	s.mu.Lock()
	calls := s.mu.calls
	s.mu.calls, s.mu.ended = nil, true
	s.mu.Unlock()
	notSent := fmt.Errorf("call node %d: connection lost: %w: %w", s.link.to, ErrNotSent, cause)
	unknown := fmt.Errorf("call node %d: connection lost: %w: %w", s.link.to, ErrUnknown, cause)
	for id, done := range calls {
		if id > takenID {
			done(nil, notSent)
		} else {
			done(nil, unknown)
		}
	}
}
