package load

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

const (
	dialTimeout = 10 * time.Second
	answerBytes = 4 << 10   // read buffer of a connection that gets answers only; it grows to the largest frame
	floodBytes  = 256 << 10 // of one that gets messages
	maxFrame    = maxCommand + 1<<10
)

// conn is one connection to a broker, of one goroutine.
type conn struct {
	net.Conn
	http       bool // speaks HTTP, not NSQ's protocol
	buf        []byte
	start, end int // what was read and not yet taken: buf[start:end]
	need       int // bytes that buf must hold for the next frame, as far as known
}

// frame is one frame from the server. Its data is valid until the next read.
type frame struct {
	kind nsqwire.FrameType
	data []byte
}

// dial connects and, unless it is for HTTP, identifies. Heartbeats are as rare as servers allow: who consumes cannot do without.
func dial(address string, http bool, l *Load, bufferBytes int) (*conn, error) {
	socket, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: socket, http: http, buf: make([]byte, bufferBytes)}
	if http {
		return c, nil
	}
	if err := c.identify(l); err != nil {
		socket.Close()
		return nil, fmt.Errorf("identify to %s: %w", address, err)
	}
	return c, nil
}

func (c *conn) identify(l *Load) error {
	body, err := json.Marshal(nsqwire.Identify{
		ClientID: "weir-bench", Hostname: "weir-bench", UserAgent: "weir-bench", FeatureNegotiation: true, HeartbeatInterval: 60_000,
		OutputBufferSize: l.OutputBufferSize, OutputBufferTimeout: l.OutputBufferTimeout,
	})
	if err != nil {
		return err
	}
	command := append([]byte(nsqwire.Magic), "IDENTIFY\n"...)
	command = binary.BigEndian.AppendUint32(command, uint32(len(body)))
	c.SetDeadline(time.Now().Add(dialTimeout))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Write(append(command, body...)); err != nil {
		return err
	}
	_, err = c.response()
	return err
}

// subscribe enters a channel, with nothing ready yet.
func (c *conn) subscribe(topic, channel string) error {
	c.SetDeadline(time.Now().Add(dialTimeout))
	defer c.SetDeadline(time.Time{})
	if _, err := fmt.Fprintf(c, "SUB %s %s\n", topic, channel); err != nil {
		return err
	}
	_, err := c.response()
	return err
}

// response waits for one response that is not a heartbeat.
func (c *conn) response() ([]byte, error) {
	for {
		f, ok, err := c.next()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			if err := c.fill(); err != nil {
				return nil, err
			}
		case f.kind == nsqwire.FrameError:
			return nil, errors.New(string(f.data))
		case f.kind == nsqwire.FrameResponse && string(f.data) != nsqwire.Heartbeat:
			return f.data, nil
		}
	}
}

// next takes a frame that was read whole; false if there is none.
func (c *conn) next() (frame, bool, error) {
	if c.http {
		return c.nextResponse()
	}
	got := c.buf[c.start:c.end]
	if c.need = nsqwire.FrameHeaderSize; len(got) < c.need {
		return frame{}, false, nil
	}
	size := int(binary.BigEndian.Uint32(got))
	if size < 4 || size > maxFrame {
		return frame{}, false, fmt.Errorf("frame of %d bytes", size)
	}
	if c.need = 4 + size; len(got) < c.need {
		return frame{}, false, nil
	}
	c.start += 4 + size
	return frame{nsqwire.FrameType(binary.BigEndian.Uint32(got[4:])), got[nsqwire.FrameHeaderSize : 4+size]}, true, nil
}

// fill reads once, as much as there is and has room.
func (c *conn) fill() error {
	rest := c.buf[c.start:c.end]
	if c.need > len(c.buf) {
		c.buf = make([]byte, 2*c.need)
	}
	copy(c.buf, rest)
	c.start, c.end = 0, len(rest)
	n, err := c.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
