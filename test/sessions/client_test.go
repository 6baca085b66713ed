package sessions

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/history"
)

// slack is how late a timeout may fire and a due time may be noticed.
const slack = 20 * time.Millisecond

// client is one connection and what its side of the protocol knows. Fields below conn are guarded by the story's mutex.
type client struct {
	story *story
	conn  net.Conn

	expected   []expectation // answers that are owed, in order
	lateFins   []lateFin     // FINs of this step, whose refusals may come late
	sub        *channel      // subscribed to; nil before SUB
	subscribed bool          // SUB's OK is here
	closing    bool          // CLS was sent
	closed     bool          // CLOSE_WAIT is here
	ready      int           // the RDY sent last
	mostReady  int           // the highest RDY that may hold in this step
	timeout    time.Duration // of a message in flight here
	doomed     bool          // a fatal error is on its way: nothing after it counts
	left       bool          // the client hung up
	ended      bool          // the connection is over
	beats      int           // heartbeats not yet answered
	finishes   bool          // finishes what it gets at once
}

// expectation is an answer that is owed.
type expectation struct {
	command string
	prefix  string // of the frame's data
	failure bool   // an error frame
	keys    []history.Key
	topic   *topic   // of keys
	sub     *channel // of a SUB
}

// lateFin is a FIN of this step.
type lateFin struct {
	id      broker.MessageID
	refused bool // it must be
	seen    bool // it was
}

// connect makes a client that has sent the magic.
func (s *story) connect() *client {
	c := &client{story: s, conn: s.doors.dial(), timeout: msgTimeout}
	s.totals.Sessions++
	go c.read()
	c.write([]byte("  V2"))
	return c
}

// perform enters a command into the model and sends it.
func (c *client) perform(cmd command) {
	c.story.mu.Lock()
	c.enter(&cmd)
	c.story.mu.Unlock()
	c.write(cmd.text)
}

// enter notes what a command that is about to be sent must lead to. The caller holds the mutex.
func (c *client) enter(cmd *command) {
	c.story.totals.Commands++
	for _, k := range cmd.keys {
		cmd.topic.rec.Sent(k, cmd.deferred)
		if c.doomed || cmd.fatal {
			cmd.topic.rec.Refused(k)
		}
	}
	if c.doomed {
		return
	}
	if cmd.answer != "" {
		c.expected = append(c.expected, expectation{
			command: cmd.String(), prefix: cmd.answer, failure: cmd.failure || cmd.fatal, keys: cmd.keys, topic: cmd.topic, sub: cmd.sub,
		})
	}
	switch {
	case cmd.fatal:
		c.doomed = true
		c.story.totals.Fatal++
	case cmd.sub != nil:
		c.sub = cmd.sub
	case cmd.closes:
		c.closing = true
	case cmd.isReady() && !c.closing:
		c.ready = cmd.ready
		c.mostReady = max(c.mostReady, cmd.ready)
	}
	if cmd.timeout > 0 {
		c.timeout = cmd.timeout
	}
	if cmd.fin != nil {
		c.lateFins = append(c.lateFins, *cmd.fin)
	}
}

// write sends bytes. Only an end of the connection that is expected may keep it from doing so.
func (c *client) write(p []byte) {
	if _, err := c.conn.Write(p); err != nil {
		c.story.mu.Lock()
		if !c.doomed && !c.left {
			c.story.fault("write %.40q: %v", p, err)
		}
		c.story.mu.Unlock()
	}
}

// hangUp closes the client's end.
func (c *client) hangUp() {
	c.story.mu.Lock()
	c.left = true
	c.story.mu.Unlock()
	c.conn.Close()
}

// read takes frames until the connection ends.
func (c *client) read() {
	for {
		var head [8]byte
		_, err := io.ReadFull(c.conn, head[:])
		var data []byte
		if err == nil {
			data = make([]byte, min(binary.BigEndian.Uint32(head[:]), 1<<20)-4)
			_, err = io.ReadFull(c.conn, data)
		}
		c.story.mu.Lock()
		if err != nil {
			c.over(err)
			c.story.mu.Unlock()
			return
		}
		reply := c.frame(binary.BigEndian.Uint32(head[4:]), data)
		c.story.mu.Unlock()
		if reply != nil {
			go c.write(reply) // the session may be writing to us
		}
	}
}

// over ends the connection in the model.
func (c *client) over(err error) {
	c.ended = true
	if !c.left && !c.doomed {
		c.story.fault("the broker closed a connection without a reason: %v", err)
	}
	if c.doomed && !c.left && len(c.expected) > 0 {
		c.story.fault("the connection ended without %q, the answer to %s", c.expected[0].prefix, c.expected[0].command)
	}
	for _, e := range c.expected {
		for _, k := range e.keys {
			if !e.failure {
				e.topic.rec.Unknown(k)
			}
		}
	}
	c.expected, c.lateFins = nil, nil
	c.conn.Close()
	if c.sub != nil {
		c.sub.topic.rec.Disconnected(c.sub.name)
		c.sub.release(c)
	}
}

// frame judges one frame, and returns what to send at once.
func (c *client) frame(kind uint32, data []byte) (reply []byte) {
	switch {
	case kind == 2:
		return c.delivery(data)
	case kind == 0 && string(data) == "_heartbeat_":
		c.beats++
	case kind == 1 && bytes.HasPrefix(data, []byte("E_FIN_FAILED")):
		c.refusedFin(string(data))
	default:
		c.answered(kind == 1, string(data))
	}
	return nil
}

// answered takes the answer that is owed next.
func (c *client) answered(failure bool, data string) {
	if len(c.expected) == 0 {
		c.story.fault("an answer to nothing: %q", data)
		return
	}
	e := c.expected[0]
	c.expected = c.expected[1:]
	if e.failure != failure || !strings.HasPrefix(data, e.prefix) {
		c.story.fault("%s was answered %q, want %q", e.command, data, e.prefix)
	}
	for _, k := range e.keys {
		if !failure {
			e.topic.rec.Answered(k)
		}
	}
	if e.sub != nil {
		c.subscribed = true
	}
	if data == "CLOSE_WAIT" {
		c.closed = true
	}
}

// refusedFin finds the FIN that was refused.
func (c *client) refusedFin(data string) {
	c.story.totals.Refused++
	for i := range c.lateFins {
		f := &c.lateFins[i]
		if f.refused && !f.seen && strings.Contains(data, "FIN "+string(f.id[:])+" ") {
			f.seen = true
			return
		}
	}
	c.story.fault("a finish was refused that was in order: %q", data)
}

// delivery judges a message.
func (c *client) delivery(data []byte) (reply []byte) {
	c.story.totals.Deliveries++
	if len(data) < 26 {
		c.story.fault("a message of %d bytes", len(data))
		return nil
	}
	attempts := binary.BigEndian.Uint16(data[8:])
	id := broker.MessageID(data[10:26])
	if c.sub == nil || !c.subscribed || c.closed {
		c.story.fault("a message comes to a session that is not subscribed: subscribed %v, closed %v", c.subscribed, c.closed)
		return nil
	}
	if m := c.sub.messages[id]; m != nil && attempts < m.attempts && (c.doomed || c.left) {
		return nil // sent before the session ended, and read by us after another client had got the message from it
	}
	key, ok := c.sub.topic.rec.Delivered(c.sub.name, data[26:], attempts)
	if !ok {
		c.story.fault("a message that nobody sent: %.60q", data[26:])
		return nil
	}
	c.sub.delivered(c, key, id, attempts)
	if !c.finishes {
		return nil
	}
	cmd := finCommand(c, id)
	c.enter(&cmd)
	return cmd.text
}

// settled checks, when nothing moves any more, that nothing is owed. The caller holds the mutex.
func (c *client) settled() {
	if c.doomed && !c.ended {
		c.story.fault("a connection stays open after a fatal error; owed: %v", c.expected)
	}
	if c.left && !c.ended {
		c.story.fault("a closed connection is read from")
	}
	for _, e := range c.expected {
		c.story.fault("%s has no answer", e.command)
	}
	for _, f := range c.lateFins {
		if f.refused && !f.seen {
			c.story.fault("FIN %s was not refused", f.id[:])
		}
	}
	c.lateFins = nil
	c.mostReady = c.ready
}
