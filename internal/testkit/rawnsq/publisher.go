package rawnsq

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// answerPatience is how long a Publisher waits for the next answer before it ends the connection.
const answerPatience = 60 * time.Second

// ErrUnknown is the outcome of commands whose answer did not come before the connection ended: done or not, nobody knows.
var ErrUnknown = errors.New("connection ended before the answer")

// Publisher keeps up to a window of publishing commands on the wire. One goroutine calls Publish, Flush and Wait; the broker's
// answers are reported on another, in the order of the commands. A broker that answers nothing for a minute, though commands wait, is
// cut off.
type Publisher struct {
	conn     *Conn
	answered func(tag uint64, err error)
	window   chan struct{} // one token for each unanswered command
	waiting  struct {
		sync.Mutex
		tags    []uint64    // unanswered, oldest first
		overdue *time.Timer // ends the connection; runs while tags wait
		over    bool        // the reader is gone: nothing more is answered
	}
	done chan struct{} // closed when the reader has ended
	err  error         // why it ended; read after done
}

// NewPublisher connects to addr. For every published command answered is called once with its tag: nil for OK, a BrokerError
// for an error frame, ErrUnknown when the connection ended first. It is called by the publisher's reader, and by Publish
// itself for a command that finds the connection ended.
func NewPublisher(addr string, window int, answered func(tag uint64, err error)) (*Publisher, error) {
	conn, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	p := &Publisher{conn: conn, answered: answered, window: make(chan struct{}, window), done: make(chan struct{})}
	p.waiting.overdue = time.AfterFunc(answerPatience, func() { conn.Close() })
	p.waiting.overdue.Stop()
	go p.read()
	return p, nil
}

// Publish sends one encoded command (AppendPub, AppendDeferred, AppendMulti). It blocks while the window is full, then sends
// what it has queued. After an error the command may still have been sent; its outcome is reported as always.
func (p *Publisher) Publish(tag uint64, command []byte) error {
	select {
	case p.window <- struct{}{}:
	default:
		if err := p.conn.Flush(); err != nil {
			return p.refuse(tag, err)
		}
		select {
		case p.window <- struct{}{}:
		case <-p.done:
			return p.refuse(tag, p.err)
		}
	}
	p.waiting.Lock()
	if p.waiting.over {
		p.waiting.Unlock()
		return p.refuse(tag, p.err)
	}
	if p.waiting.tags = append(p.waiting.tags, tag); len(p.waiting.tags) == 1 {
		p.waiting.overdue.Reset(answerPatience)
	}
	p.waiting.Unlock()
	if _, err := p.conn.Write(command); err != nil {
		p.conn.Close() // the reader reports the outcome
		return err
	}
	return nil
}

// refuse reports a command that was not sent.
func (p *Publisher) refuse(tag uint64, err error) error {
	p.answered(tag, ErrUnknown)
	return fmt.Errorf("publish: %w", err)
}

// Flush sends what is queued.
func (p *Publisher) Flush() error { return p.conn.Flush() }

// Wait flushes and blocks until every command has its outcome. It returns the reason if the connection ended.
func (p *Publisher) Wait() error {
	if err := p.conn.Flush(); err != nil {
		p.conn.Close()
		<-p.done
		return err
	}
	for range cap(p.window) {
		select {
		case p.window <- struct{}{}:
		case <-p.done:
			return p.err
		}
		defer func() { <-p.window }()
	}
	return nil
}

// Close ends the connection; what is unanswered is reported as ErrUnknown before Close returns.
func (p *Publisher) Close() {
	p.conn.Close()
	<-p.done
}

// Done is closed when the connection has ended and every outcome is reported.
func (p *Publisher) Done() <-chan struct{} { return p.done }

func (p *Publisher) read() {
	p.err = p.readAnswers()
	p.conn.Close()
	p.waiting.Lock()
	p.waiting.overdue.Stop()
	left := p.waiting.tags
	p.waiting.tags, p.waiting.over = nil, true
	p.waiting.Unlock()
	for _, tag := range left {
		p.answered(tag, ErrUnknown)
	}
	close(p.done)
}

func (p *Publisher) readAnswers() error {
	for {
		f, err := p.conn.ReadAnswer()
		var refused BrokerError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		if err == nil && string(f.Data) != "OK" {
			return fmt.Errorf("answered %q", f.Data)
		}
		p.waiting.Lock()
		if len(p.waiting.tags) == 0 {
			p.waiting.Unlock()
			return fmt.Errorf("an answer to nothing: %w", err)
		}
		tag := p.waiting.tags[0]
		if p.waiting.tags = p.waiting.tags[1:]; len(p.waiting.tags) == 0 {
			p.waiting.overdue.Stop()
		} else {
			p.waiting.overdue.Reset(answerPatience)
		}
		p.waiting.Unlock()
		if refused != "" {
			p.answered(tag, refused)
		} else {
			p.answered(tag, nil)
		}
		<-p.window
	}
}
