//go:build process

package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

const (
	readPatience = 15 * time.Second       // for what must come; stock nsqd looks at new channels' timeouts every 5 s only
	quietTime    = 400 * time.Millisecond // for what must not
	noHurry      = 5 * time.Second        // for what must come from one server and must not from the other, however busy the machine is
)

// marker is the topic of the PUB that asks whether a connection is still served.
const marker = "marker"

// conn is one TCP connection of a conversation. Everything that arrives becomes a line of the transcript.
type conn struct {
	client *client
	name   string // before each line, when a conversation has several connections
	raw    *rawnsq.Conn
	id     string // of the last message
}

// dial connects without sending the magic. The name stands before the lines of this connection; empty for the only one.
func (c *client) dial(name string) *conn {
	raw, err := rawnsq.DialSilent(c.server.tcp)
	if err != nil {
		c.fail("connect: %v", err)
		raw = &rawnsq.Conn{Conn: closedConn()}
	}
	n := &conn{client: c, name: name, raw: raw}
	if name != "" {
		n.name += " "
	}
	c.conns = append(c.conns, n)
	return n
}

// connect connects and sends the magic.
func (c *client) connect(name string) *conn {
	n := c.dial(name)
	if c.err == nil {
		n.raw.Send([]byte("  V2"))
	}
	return n
}

// consume connects and subscribes to the conversation's topic, with RDY n unless it is 0.
func (c *client) consume(name, channel string, ready int, identify string) *conn {
	n := c.connect(name)
	if identify != "" {
		n.send("IDENTIFY\n", body(identify)).read()
	}
	n.send("SUB " + c.topic + " " + channel + "\n").read()
	if ready > 0 {
		n.send("RDY " + strconv.Itoa(ready) + "\n")
	}
	return n
}

func closedConn() net.Conn {
	a, b := net.Pipe()
	a.Close()
	b.Close()
	return a
}

// send sends the parts in one write and notes them. A server that has closed is not an error here: reading shows it.
func (n *conn) send(parts ...string) *conn {
	if n.client.err != nil {
		return n
	}
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	shown := all
	if len(shown) > 90 {
		shown = shown[:90]
	}
	n.client.note("%s> %s", n.name, n.client.withoutIDs(strconv.Quote(string(shown))))
	n.raw.Send(all)
	return n
}

// hangUp closes the sending side: the server reads the end of the input.
func (n *conn) hangUp() *conn {
	n.client.note("%s> end of input", n.name)
	if tcp, ok := n.raw.Conn.(interface{ CloseWrite() error }); ok {
		tcp.CloseWrite()
	}
	return n
}

// disconnect closes the connection.
func (n *conn) disconnect() {
	n.client.note("%s> disconnect", n.name)
	n.raw.Close()
}

// read notes the next frame, or that the server has closed. One of them must come.
func (n *conn) read() *conn {
	line, err := n.next(readPatience)
	if err != nil {
		n.client.fail("%sread: %w", n.name, err)
	}
	n.client.note("%s< %s", n.name, line)
	return n
}

// readBoth notes the next two frames, sorted: neither server promises whether a connection first gets the OK for what it publishes or the
// message itself.
func (n *conn) readBoth() *conn {
	before := len(n.client.lines)
	n.read().read()
	slices.Sort(n.client.lines[before:])
	return n
}

// readNotBefore is read that also notes whether the frame came too early, counted from since.
func (n *conn) readNotBefore(since time.Time, least time.Duration) *conn {
	n.read()
	n.client.note("%s  not before %v: %v", n.name, least, time.Since(since) >= least)
	return n
}

// readWithin is read that also notes whether the frame came in time, counted from since.
func (n *conn) readWithin(since time.Time, most time.Duration) *conn {
	n.read()
	n.client.note("%s  within %v: %v", n.name, most, time.Since(since) <= most)
	return n
}

// readUntilClosed skips heartbeats until the server closes, and notes whether that was neither too early nor too late, counted from since.
func (n *conn) readUntilClosed(since time.Time, least, most time.Duration) *conn {
	line, err := n.next(readPatience)
	for err == nil && line == `response "_heartbeat_"` {
		line, err = n.next(readPatience)
	}
	if err != nil {
		n.client.fail("%sread: %w", n.name, err)
	}
	took := time.Since(since)
	n.client.note("%s< %s, between %v and %v: %v", n.name, line, least, most, took >= least && took <= most)
	return n
}

// quiet notes what comes within a short time: nothing, as a rule.
func (n *conn) quiet() *conn { return n.quietFor(quietTime) }

// quietFor is quiet with a time of its own.
func (n *conn) quietFor(while time.Duration) *conn {
	line, err := n.next(while)
	if err != nil {
		line = "nothing for a while"
	}
	n.client.note("%s< %s", n.name, line)
	return n
}

// end notes all that still comes, and whether the server has closed or goes on to serve the connection. It asks twice: an error may
// follow the answer to a PUB that came in the same packet.
func (n *conn) end() {
	for range 2 {
		if n.client.err != nil {
			return
		}
		n.raw.Send(rawnsq.AppendPub(nil, marker, []byte("still there?")))
		for answered := false; !answered; {
			line, err := n.next(readPatience)
			switch {
			case err != nil:
				n.client.fail("%sneither served nor closed: %w", n.name, err)
				return
			case line == closed:
				n.client.note("%s< %s", n.name, closed)
				return
			case line == responseOK:
				answered = true
			default:
				n.client.note("%s< %s", n.name, line)
			}
		}
	}
	n.client.note("%s  stays open", n.name)
}

// glance notes of the next frame its type and first word only.
func (n *conn) glance() *conn {
	line, err := n.glanceNext()
	if err != nil {
		n.client.fail("%sread: %w", n.name, err)
	}
	n.client.note("%s< %s", n.name, line)
	return n
}

func (n *conn) glanceNext() (string, error) {
	n.raw.SetReadDeadline(time.Now().Add(readPatience))
	f, err := n.raw.ReadFrame()
	if err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(string(f.Data), " ")
	if f.Type == rawnsq.Response {
		word = word[:min(1, len(word))]
	}
	return fmt.Sprintf("frame of type %d that begins %q", f.Type, word), nil
}

// count returns how many messages come until none comes for a while, without noting them.
func (n *conn) count(while time.Duration) int {
	for total := 0; ; total++ {
		if line, err := n.next(while); err != nil || !strings.HasPrefix(line, "message ") {
			return total
		}
	}
}

// sync waits until the server has processed everything sent before, by an answered PUB to another topic.
func (n *conn) sync() *conn {
	if n.client.err != nil {
		return n
	}
	n.raw.Send(rawnsq.AppendPub(nil, marker, []byte("done?")))
	line, err := n.next(readPatience)
	if err != nil {
		n.client.fail("%ssync: %w", n.name, err)
	} else if line != responseOK {
		n.client.note("%s< %s instead of the marker's OK", n.name, line)
	}
	return n
}

// Two lines that reading looks at.
const (
	closed     = "closed"
	responseOK = `response "OK"`
)

// next returns the next frame as a line. The error is that nothing came within patience.
func (n *conn) next(patience time.Duration) (string, error) {
	if n.client.err != nil {
		return "", n.client.err
	}
	n.raw.SetReadDeadline(time.Now().Add(patience))
	f, err := n.raw.ReadFrame()
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "", err
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return closed, nil
	case err != nil:
		return "", err
	}
	switch f.Type {
	case rawnsq.Response:
		return n.responseLine(f.Data), nil
	case rawnsq.Error:
		return "error " + n.client.withoutIDs(string(f.Data)), nil
	case rawnsq.Message:
		return n.messageLine(f.Data), nil
	}
	return fmt.Sprintf("frame of type %d %q", f.Type, f.Data), nil
}

// messageLine describes a message frame: the form of time and id is checked, their values are left out.
func (n *conn) messageLine(p []byte) string {
	if len(p) < 26 {
		return fmt.Sprintf("message frame of %d bytes", len(p))
	}
	published := "just now"
	if age := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(p)))); age < -time.Second || age > time.Minute {
		published = "in another time"
	}
	n.id = string(p[10:26])
	content := p[26:]
	if len(content) > 60 {
		content = content[:60]
	}
	return fmt.Sprintf("message %s attempts %d published %s, %d bytes %q", n.client.idName(n.id), binary.BigEndian.Uint16(p[8:]),
		published, len(p)-26, content)
}

// body is a body with its length in front.
func body(text string) string { return string(rawnsq.AppendBody(nil, []byte(text))) }

// length is a length without what should follow.
func length(n int32) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
