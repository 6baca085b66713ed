package rawnsq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ID is a message id as it stands on the wire.
type ID [16]byte

// Delivery is one received message. Body is valid until the next call of Next.
type Delivery struct {
	ID       ID
	Time     time.Time
	Attempts uint16
	Body     []byte
}

// ConsumerOptions are the settings of one consumer.
type ConsumerOptions struct {
	Ready      int           // RDY, 0 = none sent
	MsgTimeout time.Duration // 0 = the broker's
	Heartbeat  time.Duration // 0 = the broker's
	// Failed is called from Next with each non-fatal error (E_FIN_FAILED …); nil = Next returns them.
	Failed func(BrokerError)
	// Answered is called from Next with each OK, to commands that the owner has written itself; nil = an OK ends the consumer.
	Answered func()
}

// Consumer is a subscribed connection. Next is called by one goroutine; the commands may be called by any. Heartbeats are
// answered by Next, so a Consumer on which nobody calls Next is a dead one.
type Consumer struct {
	*Conn
	options    ConsumerOptions
	Heartbeats int // seen by Next
}

// messageHead is the length of what stands before the body in a message frame: time, attempts, id.
const messageHead = 8 + 2 + 16

// NewConsumer connects, identifies and subscribes.
func NewConsumer(addr, topic, channel string, o ConsumerOptions) (*Consumer, error) {
	conn, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if o.MsgTimeout != 0 {
		fields["msg_timeout"] = o.MsgTimeout.Milliseconds()
	}
	if o.Heartbeat != 0 {
		fields["heartbeat_interval"] = o.Heartbeat.Milliseconds()
	}
	c := &Consumer{Conn: conn, options: o}
	if err := c.start(topic, channel, fields); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Consumer) start(topic, channel string, fields map[string]any) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Identify(fields); err != nil {
		return err
	}
	if err := c.Sub(topic, channel); err != nil {
		return err
	}
	if c.options.Ready > 0 {
		return c.Command("RDY %d", c.options.Ready)
	}
	return nil
}

// Next returns the next message. Before it may wait for the broker, it sends the commands queued so far. Errors that do not close the connection go to
// Failed; everything else ends the consumer.
func (c *Consumer) Next() (Delivery, error) {
	for {
		if !c.frameBuffered() {
			if err := c.Flush(); err != nil {
				return Delivery{}, err
			}
		}
		f, err := c.ReadFrame()
		if err != nil {
			return Delivery{}, err
		}
		switch f.Type {
		case Message:
			return decode(f.Data)
		case Error:
			if !Recoverable(string(f.Data)) || c.options.Failed == nil {
				return Delivery{}, BrokerError(f.Data)
			}
			c.options.Failed(BrokerError(f.Data))
		case Response:
			if err := c.response(string(f.Data)); err != nil {
				return Delivery{}, err
			}
		}
	}
}

// ErrCloseWait is returned by Next when the broker has answered Cls: every command sent before it is processed.
var ErrCloseWait = errors.New("broker answered CLOSE_WAIT")

func (c *Consumer) response(data string) error {
	switch {
	case data == Heartbeat:
		c.Heartbeats++
		return c.Command("NOP")
	case data == "CLOSE_WAIT":
		return ErrCloseWait
	case data == "OK" && c.options.Answered != nil:
		c.options.Answered()
		return nil
	}
	return fmt.Errorf("unexpected response %q", data)
}

func decode(p []byte) (Delivery, error) {
	if len(p) < messageHead {
		return Delivery{}, fmt.Errorf("a message frame of %d bytes", len(p))
	}
	d := Delivery{Time: time.Unix(0, int64(binary.BigEndian.Uint64(p))), Attempts: binary.BigEndian.Uint16(p[8:]), Body: p[messageHead:]}
	copy(d.ID[:], p[10:])
	return d, nil
}

// Recoverable tells whether an error of the broker leaves the connection open.
func Recoverable(text string) bool {
	for _, code := range []string{"E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"} {
		if len(text) >= len(code) && text[:len(code)] == code {
			return true
		}
	}
	return false
}

// Finish queues a FIN; Next or Flush sends it.
func (c *Consumer) Finish(id ID) error { return c.queue("FIN %s\n", id[:]) }

// Requeue queues a REQ with a delay.
func (c *Consumer) Requeue(id ID, delay time.Duration) error {
	return c.queue("REQ %s %d\n", id[:], delay.Milliseconds())
}

// Touch queues a TOUCH.
func (c *Consumer) Touch(id ID) error { return c.queue("TOUCH %s\n", id[:]) }

// Cls queues a CLS: Next returns ErrCloseWait once everything queued before it is processed.
func (c *Consumer) Cls() error { return c.queue("CLS\n") }

func (c *Consumer) queue(format string, args ...any) error {
	_, err := c.Write(fmt.Appendf(nil, format, args...))
	return err
}
