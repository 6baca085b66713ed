package load

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// consumer is one connection that consumes, and its goroutine: it finishes what it reads at once.
type consumer struct {
	run            *run
	conn           *conn
	topic, channel int

	finishes []byte
	last     int64 // ns since the run began: the last delivery

	deliveries histogram
	count      int64
	streams    []numbers // what came of each stream of the topic
	strangers  int64     // messages that nobody sent to this topic
}

// ready asks for messages.
func (c *consumer) ready() error {
	_, err := fmt.Fprintf(c.conn, "RDY %d\n", c.run.load.Ready)
	return err
}

// consume works until the run ends consuming, which sets the connection's read deadline; then it closes in an orderly way, so
// that the server has taken every finish.
func (c *consumer) consume() error {
	for {
		err := c.conn.fill()
		if errors.Is(err, os.ErrDeadlineExceeded) && c.run.consumingEnded.Load() {
			return c.close()
		}
		if err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		if _, err := c.take(); err != nil {
			return fmt.Errorf("consume: %w", err)
		}
	}
}

// take handles all frames that were read, and reports whether the server has agreed to close.
func (c *consumer) take() (closed bool, err error) {
	now, count, again := c.run.now(), int64(0), int64(0)
	c.finishes = c.finishes[:0]
	for {
		f, ok, err := c.conn.next()
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		switch {
		case f.kind == nsqwire.FrameMessage && len(f.data) >= nsqwire.MessageHeaderSize+StampBytes:
			due, id := stampOf(f.data[nsqwire.MessageHeaderSize:])
			c.deliveries.record(time.Duration(now-due), 1)
			c.note(id)
			if f.data[8] != 0 || f.data[9] != 1 {
				again++
			}
			c.finishes = append(c.finishes, "FIN "...)
			c.finishes = append(c.finishes, f.data[10:nsqwire.MessageHeaderSize]...)
			c.finishes = append(c.finishes, '\n')
			count++
		case f.kind == nsqwire.FrameResponse && string(f.data) == nsqwire.CloseWait:
			closed = true
		case f.kind == nsqwire.FrameResponse && string(f.data) == nsqwire.Heartbeat:
			c.finishes = append(c.finishes, "NOP\n"...)
		default:
			c.run.complain(fmt.Errorf("to a consumer: %.200q", f.data))
		}
	}
	if count > 0 {
		c.last, c.count = now, c.count+count
		c.run.delivered.Add(count)
		if again > 0 {
			c.run.again.Add(again)
		}
	}
	if len(c.finishes) > 0 {
		_, err = c.conn.Write(c.finishes)
	}
	return closed, err
}

// note remembers that a message came.
func (c *consumer) note(id uint64) {
	topic, stream, number := identified(id)
	if topic != c.topic || stream >= len(c.streams) || !c.streams[stream].add(number) {
		c.strangers++
	}
}

// close says CLS and waits for the answer, which comes behind all finishes.
func (c *consumer) close() error {
	c.conn.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := c.conn.Write([]byte("CLS\n")); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	for {
		closed, err := c.take()
		if closed || err != nil {
			return err
		}
		if err := c.conn.fill(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
}
