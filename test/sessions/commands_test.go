package sessions

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// script is what decides a story, a byte at a time.
type script []byte

// take returns a number below n (at most 256); 0 when the script is at its end.
func (s *script) take(n int) int {
	if len(*s) == 0 {
		return 0
	}
	b := int((*s)[0])
	*s = (*s)[1:]
	return b % n
}

// command is what a client sends, and what must come of it.
type command struct {
	text    []byte
	answer  string // how the answer begins; "" = none
	failure bool   // an error that leaves the connection open
	fatal   bool   // an error that ends it

	keys     []history.Key // published
	topic    *topic
	deferred time.Duration
	sub      *channel      // subscribes to it
	ready    int           // RDY
	closes   bool          // CLS
	timeout  time.Duration // IDENTIFY
	fin      *lateFin
}

// String is the command without its body.
func (c *command) String() string { return fmt.Sprintf("%.60q", c.text) }

func (c *command) isReady() bool { return bytes.HasPrefix(c.text, []byte("RDY ")) }

func fatal(code, text string) command { return command{text: []byte(text), answer: code, fatal: true} }

// act lets the client at a place send a burst, whole or in pieces.
func (s *story) act(at int) {
	c := s.clients[at]
	if c == nil {
		if s.script.take(12) == 0 {
			s.strange(at)
			return
		}
		c = s.connect()
		s.clients[at] = c
	}
	var burst []byte
	s.mu.Lock()
	for range 1 + s.script.take(8) {
		cmd := s.next(c)
		c.enter(&cmd)
		burst = append(burst, cmd.text...)
	}
	s.mu.Unlock()
	switch s.script.take(12) {
	case 0:
		s.cut(at, burst)
	case 1, 2:
		for len(burst) > 0 {
			n := min(len(burst), 1+s.script.take(100))
			s.totals.Pieces++
			c.write(burst[:n])
			burst = burst[n:]
		}
	default:
		c.write(burst)
	}
}

// strange connects with a magic that nobody knows.
func (s *story) strange(at int) {
	c := &client{story: s, conn: s.doors.dial(), doomed: true}
	c.expected = []expectation{{command: "magic", prefix: "E_BAD_PROTOCOL", failure: true}}
	s.clients[at] = c
	go c.read()
	c.write([]byte("GET "))
}

// cut sends the burst and a part of a further publish, and hangs up.
func (s *story) cut(at int, burst []byte) {
	c := s.clients[at]
	c.write(burst)
	s.mu.Lock()
	part := s.publish(c)
	for _, k := range part.keys {
		part.topic.rec.Sent(k, part.deferred)
		part.topic.rec.Refused(k) // it is never complete
	}
	s.totals.Cut++
	s.mu.Unlock()
	c.write(part.text[:s.script.take(min(len(part.text), 256))])
	s.leave(at)
}

// leave hangs up.
func (s *story) leave(at int) {
	if c := s.clients[at]; c != nil {
		c.hangUp()
	}
}

// next draws a command for a client. The caller holds the mutex.
func (s *story) next(c *client) command {
	n := s.script.take(64)
	if inPlace := n < 20 || n == 63 || (c.sub == nil) == (n < 26 || n >= 54 && n < 57); !inPlace && s.script.take(8) > 0 {
		n = 26 // mostly something that is in place
		if c.sub == nil {
			n = 20
		}
	}
	switch {
	case n < 20:
		return s.publish(c)
	case n < 26:
		return s.subscribe(c)
	case n < 32:
		return s.setReady(c)
	case n < 46:
		return s.finish(c)
	case n < 54:
		return s.requeueOrTouch(c)
	case n < 57:
		return s.identify(c)
	case n == 57:
		if c.sub == nil || c.closing {
			return fatal("E_INVALID", "CLS\n")
		}
		return command{text: []byte("CLS\n"), answer: "CLOSE_WAIT", closes: true}
	case n < 63:
		return command{text: []byte("NOP\n")}
	default:
		return s.wrong(c)
	}
}

func size(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// body draws a message of a topic.
func (s *story) body(tp *topic, publisher int) (history.Key, []byte) {
	k := history.Key{Publisher: uint32(publisher), Seq: tp.next[publisher]}
	tp.next[publisher]++
	s.totals.Published++
	n := history.MinBodyBytes + s.script.take(200)
	if s.script.take(16) == 0 {
		n = maxMsgSize
	}
	return k, tp.rec.Body(k, n)
}

// publish draws a PUB, MPUB or DPUB that is in order.
func (s *story) publish(*client) command {
	tp := s.topics[s.script.take(len(s.topics))]
	cmd := command{answer: "OK", topic: tp}
	switch s.script.take(4) {
	case 0:
		inner := binary.BigEndian.AppendUint32(nil, batchSize)
		for range batchSize {
			k, b := s.body(tp, multi)
			cmd.keys = append(cmd.keys, k)
			inner = append(append(inner, size(len(b))...), b...)
		}
		cmd.text = append(fmt.Appendf(nil, "MPUB %s\n%s", tp.name, size(len(inner))), inner...)
	case 1:
		k, b := s.body(tp, single)
		cmd.keys = []history.Key{k}
		cmd.deferred = time.Duration(s.script.take(256)) * 5 * time.Millisecond
		cmd.text = append(fmt.Appendf(nil, "DPUB %s %d\n%s", tp.name, cmd.deferred.Milliseconds(), size(len(b))), b...)
	default:
		k, b := s.body(tp, single)
		cmd.keys = []history.Key{k}
		cmd.text = append(fmt.Appendf(nil, "PUB %s\n%s", tp.name, size(len(b))), b...)
	}
	return cmd
}

func (s *story) subscribe(c *client) command {
	tp := s.topics[s.script.take(len(s.topics))]
	ch := tp.channels[s.script.take(len(tp.channels))]
	text := "SUB " + tp.name + " " + ch.name + "\n"
	if c.sub != nil {
		return fatal("E_INVALID", text)
	}
	return command{text: []byte(text), answer: "OK", sub: ch}
}

func (s *story) setReady(c *client) command {
	n := s.script.take(8)
	text := fmt.Sprintf("RDY %d\n", n)
	if c.sub == nil {
		return fatal("E_INVALID", text)
	}
	return command{text: []byte(text), ready: n}
}

// identify draws what a client tells about itself; only before SUB it is in order.
func (s *story) identify(c *client) command {
	seconds := 1 + s.script.take(3)
	body := fmt.Sprintf(`{"client_id":"x","msg_timeout":%d}`, seconds*1000)
	answer := "OK"
	if s.script.take(2) == 0 {
		body, answer = body[:len(body)-1]+`,"feature_negotiation":true}`, "{"
	}
	text := "IDENTIFY\n" + size(len(body)) + body
	if c.sub != nil {
		return fatal("E_INVALID", text)
	}
	return command{text: []byte(text), answer: answer, timeout: time.Duration(seconds) * time.Second}
}

// nobody is the id of no message: it is not hexadecimal.
var nobody = broker.MessageID([]byte("zz00zz00zz00zz00"))

// target draws a message for FIN, REQ or TOUCH, for which it is sure what must happen: one of the client's, somebody else's, one that is
// done, or one that does not exist.
func (s *story) target(c *client) (id broker.MessageID, m *message, f fate) {
	kind := s.script.take(8)
	if kind == 0 || len(c.sub.ids) == 0 {
		return nobody, nil, fails
	}
	start := s.script.take(256)
	for i := range c.sub.ids {
		id := c.sub.ids[(start+i)%len(c.sub.ids)]
		m := c.sub.messages[id]
		if kind < 6 && m.holder != c {
			continue
		}
		if f := m.fateFor(c); f != unsure {
			switch {
			case m.finished:
				s.totals.Repeated++
			case f == fails:
				s.totals.Foreign++
			}
			return id, m, f
		}
	}
	return nobody, nil, fails
}

func (s *story) finish(c *client) command {
	if c.sub == nil {
		return fatal("E_INVALID", "FIN "+string(nobody[:])+"\n")
	}
	id, m, f := s.target(c)
	if f == succeeds {
		return finCommand(c, id)
	}
	if m == nil {
		id = nobody
	}
	return command{text: []byte("FIN " + string(id[:]) + "\n"), fin: &lateFin{id: id, refused: true}}
}

// finCommand finishes a message that is in flight to c.
func finCommand(c *client, id broker.MessageID) command {
	if !c.doomed {
		m := c.sub.messages[id]
		m.finished, m.holder = true, nil
		c.sub.topic.rec.Finished(c.sub.name, m.key)
		c.story.totals.Finished++
	}
	return command{text: []byte("FIN " + string(id[:]) + "\n"), fin: &lateFin{id: id}}
}

func (s *story) requeueOrTouch(c *client) command {
	touch := s.script.take(3) == 0
	delay := time.Duration(s.script.take(128)) * 10 * time.Millisecond
	if s.script.take(10) == 0 {
		delay = 100 * 24 * time.Hour // too far: the broker takes the farthest that is allowed
	}
	if c.sub == nil {
		return fatal("E_INVALID", "REQ "+string(nobody[:])+" 0\n")
	}
	id, m, f := s.target(c)
	cmd := command{text: fmt.Appendf(nil, "REQ %s %d\n", id[:], delay.Milliseconds())}
	if touch {
		cmd.text = fmt.Appendf(nil, "TOUCH %s\n", id[:])
	}
	switch {
	case f == fails && touch:
		cmd.answer, cmd.failure = "E_TOUCH_FAILED", true
	case f == fails:
		cmd.answer, cmd.failure = "E_REQ_FAILED", true
	case c.doomed:
	case touch:
		m.deadline = time.Now().Add(c.timeout)
		s.totals.Touched++
	default:
		delay = min(delay, maxDelay)
		m.holder, m.notUntil = nil, time.Now().Add(delay)
		c.sub.topic.rec.Requeued(c.sub.name, m.key, delay)
		s.totals.Requeued++
	}
	return cmd
}

// wrong draws a command that no state allows.
func (s *story) wrong(c *client) command {
	junk := make([]byte, s.script.take(40))
	for i := range junk {
		junk[i] = byte(s.script.take(256))
	}
	all := []command{
		fatal("E_INVALID", "\x00"+string(junk)+"\n"),
		fatal("E_INVALID", "pub t\n"),
		fatal("E_INVALID", string(bytes.Repeat([]byte("A"), 17_000))),
		fatal("E_BAD_MESSAGE", "PUB t\n"+size(0)),
		fatal("E_BAD_MESSAGE", "PUB t\n"+size(-1)),
		fatal("E_BAD_MESSAGE", "PUB t\n"+size(maxMsgSize+1)),
		fatal("E_BAD_MESSAGE", "PUB t\n"+size(1<<30)),
		fatal("E_BAD_TOPIC", "PUB ../t\n"+size(1)+"x"),
		fatal("E_BAD_BODY", "MPUB t\n"+size(1<<30)),
		fatal("E_BAD_BODY", "MPUB t\n"+size(8)+size(1<<30)),
		fatal("E_BAD_MESSAGE", "MPUB t\n"+size(9)+size(1)+size(1<<30)+"x"), // all 9: a body is judged when it is there
		fatal("E_INVALID", "DPUB t -1\n"),
		fatal("E_INVALID", "DPUB t 5001\n"),
		fatal("E_INVALID", "RDY -1\n"),
		fatal("E_INVALID", "RDY 51\n"),
		fatal("E_INVALID", "FIN 12\n"),
		fatal("E_INVALID", "REQ "+string(nobody[:])+" -1\n"),
		fatal("E_INVALID", "SUB t\n"),
	}
	if c.sub == nil {
		all = append(all,
			fatal("E_BAD_BODY", "IDENTIFY\n"+size(1)+"x"),
			fatal("E_BAD_BODY", "IDENTIFY\n"+size(0)),
			fatal("E_AUTH_DISABLED", "AUTH\n"+size(6)+"secret"),
			fatal("E_BAD_TOPIC", "SUB a/b c\n"),
			fatal("E_BAD_CHANNEL", "SUB t c*\n"))
	}
	return all[s.script.take(len(all))]
}

// faultreportOf is the story's row; what is injected is commands.
func faultreportOf(report *history.Report, total *totals) faultreport.Row {
	return faultreport.Judged("sessions under fuzz", total.Commands-total.Judged.Injected, report)
}
