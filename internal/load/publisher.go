package load

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// burstBytes is how much a publisher writes at once.
const burstBytes = 64 << 10

// maxSleep is how long a publisher with a rate sleeps at most before it looks whether the run has ended.
const maxSleep = 100 * time.Millisecond

// publisher is one connection that publishes. One goroutine does it, with a rate two: the other hears the answers.
type publisher struct {
	run     *run
	conn    *conn
	streams []*stream // one for each of its topics, which take turns

	// Of the goroutine that sends.

	out    []byte
	fresh  []sent // commands in out
	issued int64  // commands so far
	unsent int64  // with a rate: messages that were due before the end and not written
	lag    histogram

	// Of the goroutine that hears.

	answers histogram
	refused int64

	sentAll atomic.Bool // nothing more is sent
	// mu guards what both touch.
	mu struct {
		sync.Mutex
		unheard []sent // commands without an answer, oldest first
	}
}

// stream is what one publisher sends to one topic.
type stream struct {
	topic, index int // the topic's index in the run, the stream's index in the topic
	command      []byte
	next         int64   // number of the next message
	taken        numbers // what was answered with OK
}

// sent is a command that was written.
type sent struct {
	due    int64 // ns since the run began
	stream *stream
	first  int64 // number of its first message
}

// command returns a command with room for the stamps, which are the last thing in it.
func command(topic string, target *Target, l *Load) []byte {
	size := 4 + l.Batch*(4+l.BodyBytes)
	var c []byte
	switch {
	case l.HTTP && l.Batch == 1:
		return append(requestHead(target.HTTP, "/pub?topic="+topic, l.BodyBytes), make([]byte, l.BodyBytes)...)
	case l.HTTP:
		c = requestHead(target.HTTP, "/mpub?binary=true&topic="+topic, size)
	case l.Batch == 1:
		c = fmt.Appendf(nil, "PUB %s\n", topic)
		c = binary.BigEndian.AppendUint32(c, uint32(l.BodyBytes))
		return append(c, make([]byte, l.BodyBytes)...)
	default:
		c = fmt.Appendf(nil, "MPUB %s\n", topic)
		c = binary.BigEndian.AppendUint32(c, uint32(size))
	}
	c = binary.BigEndian.AppendUint32(c, uint32(l.Batch))
	for range l.Batch {
		c = binary.BigEndian.AppendUint32(c, uint32(l.BodyBytes))
		c = append(c, make([]byte, l.BodyBytes)...)
	}
	return c
}

// publish works until the run's end or its last message, then waits for the answers still owed.
func (p *publisher) publish() error {
	if p.run.load.Rate > 0 {
		return p.publishPaced()
	}
	for {
		if err := p.send(p.run.load.Window - p.waiting()); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if p.waiting() == 0 {
			if p.run.publishingEnded() {
				return nil
			}
			continue
		}
		if err := p.hear(); err != nil {
			return fmt.Errorf("%d commands without an answer: %w", p.waiting(), err)
		}
	}
}

// send writes up to room commands, as long as the run has messages to publish.
func (p *publisher) send(room int) error {
	for ; room > 0 && !p.run.publishingEnded() && p.run.claim(int64(p.run.load.Batch)); room-- {
		p.append(p.run.now())
		if len(p.out) >= burstBytes {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return p.flush()
}

// publishPaced is publish by the schedule of a rate. Answers are heard beside it, so that no command waits for them.
func (p *publisher) publishPaced() error {
	heardC := make(chan error, 1)
	go func() { heardC <- p.hearAll() }()
	err := p.sendPaced()
	p.countUnsent()
	p.sentAll.Store(true)
	if err != nil || p.waiting() == 0 {
		p.conn.SetReadDeadline(time.Unix(1, 0)) // nothing comes any more
	}
	if heard := <-heardC; err == nil {
		err = heard
	}
	return err
}

// hearAll hears until everything is sent and answered.
func (p *publisher) hearAll() error {
	for {
		err := p.hear()
		waiting := p.waiting()
		if p.sentAll.Load() && waiting == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%d commands without an answer: %w", waiting, err)
		}
	}
}

// sendPaced writes each command when it is due, until the run has nothing more to publish.
func (p *publisher) sendPaced() error {
	alarm, err := NewAlarm()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer alarm.Close()
	for !p.run.publishingEnded() {
		now, due := p.run.now(), p.nextDue()
		full := p.waiting()+len(p.fresh) >= p.run.load.Window
		switch {
		case (due > now || full) && len(p.out) > 0:
			err = p.flush()
		case due > now:
			err = alarm.Sleep(min(time.Duration(due-now), maxSleep))
		case full:
			err = alarm.Sleep(time.Millisecond)
		case !p.run.claim(int64(p.run.load.Batch)):
			return p.flush()
		default:
			p.lag.record(time.Duration(now-due), 1)
			p.append(due)
			if len(p.out) >= burstBytes {
				err = p.flush()
			}
		}
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return p.flush()
}

// nextDue returns when the next command is due by the rate.
func (p *publisher) nextDue() int64 {
	l := &p.run.load
	return int64(float64(p.issued) * float64(l.Batch*l.Connections) / float64(l.Rate) * float64(time.Second))
}

// countUnsent counts what the schedule wanted and the server, by taking nothing more, or the generator did not let out.
func (p *publisher) countUnsent() {
	if l := &p.run.load; l.Rate > 0 && l.Messages == 0 && p.run.until.Load() > 0 {
		wanted := int64(l.Duration.Seconds() * float64(l.Rate) / float64(l.Batch*l.Connections))
		p.unsent = max(wanted-p.issued, 0) * int64(l.Batch)
	}
}

// append adds the next command to what is written next.
func (p *publisher) append(due int64) {
	l, s := &p.run.load, p.streams[int(p.issued)%len(p.streams)]
	at := len(p.out)
	p.out = append(p.out, s.command...)
	first := len(p.out) - l.Batch*l.BodyBytes - (l.Batch-1)*4
	if first < at {
		panic("load: a command is shorter than its messages")
	}
	p.fresh = append(p.fresh, sent{due: due, stream: s, first: s.next})
	for i := range l.Batch {
		putStamp(p.out[first+i*(4+l.BodyBytes):], due, identity(s.topic, s.index, s.next))
		s.next++
	}
	p.issued++
}

func (p *publisher) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	p.mu.Lock()
	p.mu.unheard = append(p.mu.unheard, p.fresh...)
	p.mu.Unlock()
	_, err := p.conn.Write(p.out)
	p.out, p.fresh = p.out[:0], p.fresh[:0]
	return err
}

// waiting returns how many commands have no answer.
func (p *publisher) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.unheard)
}

// hear reads once, and takes all answers that came.
func (p *publisher) hear() error {
	if err := p.conn.fill(); err != nil {
		return err
	}
	now, answered := p.run.now(), int64(0)
	p.mu.Lock()
	unheard := p.mu.unheard // the sender only adds to it
	p.mu.Unlock()
	taken := 0
	for {
		f, ok, err := p.conn.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if f.kind == nsqwire.FrameResponse && string(f.data) == nsqwire.Heartbeat {
			continue
		}
		if taken == len(unheard) {
			return fmt.Errorf("an answer to nothing: %q", f.data)
		}
		s := unheard[taken]
		taken++
		if f.kind != nsqwire.FrameResponse || string(f.data) != nsqwire.OK {
			p.refused += int64(p.run.load.Batch)
			p.run.refused.Add(int64(p.run.load.Batch))
			p.run.note(fmt.Errorf("answer to a publish: %s", f.data))
			continue
		}
		p.answers.record(time.Duration(now-s.due), 1)
		for i := range p.run.load.Batch {
			s.stream.taken.add(s.first + int64(i))
		}
		answered += int64(p.run.load.Batch)
	}
	p.mu.Lock()
	p.mu.unheard = append(p.mu.unheard[:0], p.mu.unheard[taken:]...)
	p.mu.Unlock()
	p.run.published.Add(answered)
	return nil
}
