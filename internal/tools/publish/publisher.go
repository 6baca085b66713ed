package publish

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/nsqio/go-nsq"
)

// window is how many messages of a Publisher may be unanswered.
const window = 1000

// ErrLost is what becomes of messages under way when a connection breaks: the nsqd may or may not have them.
var ErrLost = errors.New("connection lost before the answer")

// Publisher publishes to one nsqd. It connects when there is something to publish. Publish may be called from any goroutine;
// Close by the last one.
type Publisher struct {
	address string
	cfg     *nsq.Config
	logger  *slog.Logger

	requestC chan request
	doneC    chan struct{}
}

// request is one message on its way.
type request struct {
	topic   string
	body    []byte
	answerC chan error
}

// NewPublisher starts a publisher.
func NewPublisher(address string, cfg *nsq.Config, logger *slog.Logger) *Publisher {
	p := &Publisher{address: address, cfg: cfg, logger: logger, requestC: make(chan request), doneC: make(chan struct{})}
	go p.run()
	return p
}

// Publish returns nil once the nsqd has answered OK. After ErrLost the nsqd may have the message, after other errors it has not.
func (p *Publisher) Publish(topic string, body []byte) error {
	r := request{topic: topic, body: body, answerC: make(chan error, 1)}
	p.requestC <- r
	if err := <-r.answerC; err != nil {
		return fmt.Errorf("publish to %s: %w", p.address, err)
	}
	return nil
}

// Close waits for what is under way and disconnects.
func (p *Publisher) Close() {
	close(p.requestC)
	<-p.doneC
}

// run owns the connection.
func (p *Publisher) run() {
	defer close(p.doneC)
	var conn *Connection // nil while there is none
	var sent []request   // over conn, not yet answered, in order
	requestC := p.requestC
	for requestC != nil || len(sent) > 0 {
		takeC := requestC
		if len(sent) == window {
			takeC = nil
		}
		var answerC <-chan error
		var closedC <-chan struct{}
		if conn != nil {
			answerC, closedC = conn.AnswerC, conn.ClosedC
		}
		select {
		case r, ok := <-takeC:
			if !ok {
				requestC = nil
				continue
			}
			if conn == nil {
				var err error
				if conn, err = Connect(p.address, p.cfg, window, p.logger); err != nil {
					conn = nil
					r.answerC <- err
					continue
				}
			}
			sent = append(sent, r)
			_ = conn.Publish(r.topic, r.body) // after an error closedC follows
		case err := <-answerC:
			sent = answered(sent, err)
		case <-closedC:
			fail(conn, sent)
			conn, sent = nil, nil
		}
	}
	if conn != nil {
		conn.Close()
	}
}

// answered gives the oldest request its answer and returns the others.
func answered(sent []request, err error) []request {
	if len(sent) == 0 {
		return nil // an error frame nobody asked for; the connection's end follows
	}
	sent[0].answerC <- err
	return sent[1:]
}

// fail gives the requests of a broken connection the answers that still came, and ErrLost.
func fail(conn *Connection, sent []request) {
	for {
		select {
		case err := <-conn.AnswerC:
			sent = answered(sent, err)
			continue
		default:
		}
		break
	}
	for _, r := range sent {
		r.answerC <- ErrLost
	}
}
