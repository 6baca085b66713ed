package rawnsq

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// FrameType is the type field of a frame from the broker.
type FrameType int32

// The three frame types of the protocol.
const (
	Response FrameType = 0
	Error    FrameType = 1
	Message  FrameType = 2
)

// Heartbeat is the data of the response frame that wants any command in return.
const Heartbeat = "_heartbeat_"

// maxFrameBytes bounds what a broken broker can make the client allocate.
const maxFrameBytes = 64 << 20

// dialTimeout bounds the connection set-up.
const dialTimeout = 5 * time.Second

// Frame is one frame from the broker. Data is valid until the next read of its Conn.
type Frame struct {
	Type FrameType
	Data []byte
}

// BrokerError is an error frame: the broker's own words.
type BrokerError string

// Error gives the broker's words.
func (e BrokerError) Error() string { return string(e) }

// Conn is a connection with the magic sent. Writing methods may be called from any goroutine, ReadFrame from one at a time.
type Conn struct {
	net.Conn
	in   *bufio.Reader
	data []byte // of the last frame
	out  struct {
		sync.Mutex
		*bufio.Writer
	}
}

// Dial connects and sends the magic.
func Dial(addr string) (*Conn, error) {
	c, err := DialSilent(addr)
	if err != nil {
		return nil, err
	}
	if err := c.Send([]byte("  V2")); err != nil {
		c.Close()
		return nil, fmt.Errorf("send magic to %s: %w", addr, err)
	}
	return c, nil
}

// DialSilent connects and sends nothing. An address with a slash is the path of a unix socket.
func DialSilent(addr string) (*Conn, error) {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	nc, err := net.DialTimeout(network, addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: nc, in: bufio.NewReaderSize(nc, 64<<10)}
	c.out.Writer = bufio.NewWriterSize(nc, 64<<10)
	return c, nil
}

// Write queues bytes as they are; they leave with Flush or when the buffer is full.
func (c *Conn) Write(p []byte) (int, error) {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.Write(p)
}

// Flush sends what is queued.
func (c *Conn) Flush() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.Flush()
}

// Send writes bytes and flushes.
func (c *Conn) Send(p []byte) error {
	if _, err := c.Write(p); err != nil {
		return err
	}
	return c.Flush()
}

// Command sends a command line and flushes: Command("RDY %d", 5).
func (c *Conn) Command(format string, args ...any) error {
	return c.Send(fmt.Appendf(nil, format+"\n", args...))
}

// Identify sends IDENTIFY with the given fields (feature_negotiation is added) and returns the broker's answer.
func (c *Conn) Identify(fields map[string]any) (map[string]any, error) {
	all := map[string]any{"client_id": "rawnsq", "hostname": "test", "user_agent": "rawnsq", "feature_negotiation": true}
	for k, v := range fields {
		all[k] = v
	}
	body, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	if err := c.Send(AppendBody([]byte("IDENTIFY\n"), body)); err != nil {
		return nil, err
	}
	f, err := c.ReadAnswer()
	if err != nil {
		return nil, fmt.Errorf("IDENTIFY: %w", err)
	}
	var answer map[string]any
	if err := json.Unmarshal(f.Data, &answer); err != nil {
		return nil, fmt.Errorf("IDENTIFY answered %q: %w", f.Data, err)
	}
	return answer, nil
}

// Sub subscribes and waits for the OK.
func (c *Conn) Sub(topic, channel string) error {
	if err := c.Command("SUB %s %s", topic, channel); err != nil {
		return err
	}
	f, err := c.ReadAnswer()
	if err != nil {
		return fmt.Errorf("SUB %s %s: %w", topic, channel, err)
	}
	if string(f.Data) != "OK" {
		return fmt.Errorf("SUB %s %s: answered %q", topic, channel, f.Data)
	}
	return nil
}

// ReadFrame reads the next frame, whatever it is. Heartbeats are not answered.
func (c *Conn) ReadFrame() (Frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return Frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 4 || size > maxFrameBytes {
		return Frame{}, fmt.Errorf("a frame of %d bytes", size)
	}
	n := int(size) - 4
	if cap(c.data) < n {
		c.data = make([]byte, n, n+n/2)
	}
	c.data = c.data[:n]
	if _, err := io.ReadFull(c.in, c.data); err != nil {
		return Frame{}, err
	}
	return Frame{FrameType(binary.BigEndian.Uint32(head[4:])), c.data}, nil
}

// frameBuffered tells whether ReadFrame has a whole frame at hand and will not wait.
func (c *Conn) frameBuffered() bool {
	have := c.in.Buffered()
	if have < 4 {
		return false
	}
	size, err := c.in.Peek(4)
	return err == nil && have >= 4+int(binary.BigEndian.Uint32(size))
}

// ReadAnswer reads frames, answering heartbeats, until a response or an error comes; an error is returned as BrokerError.
// Messages on the way are an error.
func (c *Conn) ReadAnswer() (Frame, error) {
	for {
		f, err := c.ReadFrame()
		switch {
		case err != nil:
			return Frame{}, err
		case f.Type == Error:
			return Frame{}, BrokerError(f.Data)
		case f.Type != Response:
			return Frame{}, errors.New("a message instead of an answer")
		case string(f.Data) != Heartbeat:
			return f, nil
		}
		if err := c.Command("NOP"); err != nil {
			return Frame{}, err
		}
	}
}

// AppendBody appends a body with its length in front, as commands carry it.
func AppendBody(dst, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(body))), body...)
}

// AppendPub appends a PUB command.
func AppendPub(dst []byte, topic string, body []byte) []byte {
	return AppendBody(fmt.Appendf(dst, "PUB %s\n", topic), body)
}

// AppendDeferred appends a DPUB command.
func AppendDeferred(dst []byte, topic string, deferred time.Duration, body []byte) []byte {
	return AppendBody(fmt.Appendf(dst, "DPUB %s %d\n", topic, deferred.Milliseconds()), body)
}

// AppendMulti appends an MPUB command.
func AppendMulti(dst []byte, topic string, bodies [][]byte) []byte {
	inner := binary.BigEndian.AppendUint32(nil, uint32(len(bodies)))
	for _, b := range bodies {
		inner = AppendBody(inner, b)
	}
	return AppendBody(fmt.Appendf(dst, "MPUB %s\n", topic), inner)
}
