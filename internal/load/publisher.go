package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// burstBytes is how much a publisher writes at once.
const burstBytes = 64 << 10

// publisher is one connection that publishes, and its goroutine. With a rate, it also waits for the time each command is due.
type publisher struct {
	run     *run
	conn    *conn
	streams []*stream // one for each of its topics, which take turns

	out     []byte
	unheard []sent // commands without an answer, oldest first
	waiting int    // how many these are
	issued  int64  // commands written

	answers, lag histogram
	refused      int64
	unsent       int64 // with a rate: messages that were due before the end and not written
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
	for {
		if err := p.send(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if p.waiting == 0 {
			if p.run.publishingEnded() {
				p.countUnsent()
				return nil
			}
			continue
		}
		if err := p.hear(); err != nil && !(p.run.load.Rate > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !p.run.overdue()) {
			return fmt.Errorf("%d commands without an answer: %w", p.waiting, err)
		}
	}
}

// send writes commands while the window has room, and the run has messages to publish and, with a rate, some that are due.
func (p *publisher) send() error {
	l := &p.run.load
	for p.waiting < l.Window && !p.run.publishingEnded() {
		now := p.run.now()
		due := now
		if l.Rate > 0 {
			due = p.nextDue()
			if due > now {
				if len(p.out) > 0 || p.waiting > 0 {
					break
				}
				pause(time.Duration(due - now))
				continue
			}
			p.lag.record(time.Duration(now-due), 1)
		}
		if !p.run.claim(int64(l.Batch)) {
			break
		}
		p.append(due)
		if len(p.out) >= burstBytes {
			if err := p.flush(); err != nil {
				return err
			}
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
	p.unheard = append(p.unheard, sent{due: due, stream: s, first: s.next})
	for i := range l.Batch {
		putStamp(p.out[first+i*(4+l.BodyBytes):], due, identity(s.topic, s.index, s.next))
		s.next++
	}
	p.waiting, p.issued = p.waiting+1, p.issued+1
}

func (p *publisher) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}

// hear reads once, and takes all answers that came. With a rate it waits only until the next command is due.
func (p *publisher) hear() error {
	if l := &p.run.load; l.Rate > 0 {
		until := p.run.now() + int64(answerTimeout)
		if p.waiting < l.Window && !p.run.publishingEnded() {
			until = max(p.nextDue(), p.run.now()+int64(100*time.Microsecond)) // what has come is read even when a command is late
		}
		p.conn.SetReadDeadline(p.run.began.Add(time.Duration(until)))
	}
	if err := p.conn.fill(); err != nil {
		return err
	}
	now, answered := p.run.now(), int64(0)
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
		if taken == len(p.unheard) {
			return fmt.Errorf("an answer to nothing: %q", f.data)
		}
		s := p.unheard[taken]
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
	p.waiting -= taken
	p.unheard = append(p.unheard[:0], p.unheard[taken:]...)
	p.run.published.Add(answered)
	return nil
}
