//go:build process

package endurance

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// msgTimeout is that of all consumers: what they neglect comes back after it. It is longer than a busy machine keeps a client waiting.
const msgTimeout = 4 * time.Second

// consumer takes messages from one node. Of a hundred it requeues two, neglects one, touches three, and finishes the rest.
type consumer struct {
	l       *load
	node    *node
	channel string
	chance  *rand.Rand
	keys    map[rawnsq.ID]history.Key // of what is in flight, or was requeued or neglected, on the current connection
}

// run consumes until the load's consumers are to end, on a new connection where one broke; now and then it leaves by itself.
func (c *consumer) run() {
	for {
		conn, err := rawnsq.NewConsumer(c.node.TCP(), topic, c.channel,
			rawnsq.ConsumerOptions{Ready: 100, MsgTimeout: msgTimeout, Failed: c.failed})
		if err == nil {
			err = c.use(conn)
			conn.Close()
			c.l.rec.Disconnected(c.channel)
		}
		if errors.Is(err, rawnsq.ErrCloseWait) {
			return
		}
		select {
		case <-c.l.drainedC:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *consumer) use(conn *rawnsq.Consumer) error {
	c.keys = map[rawnsq.ID]history.Key{}
	gone := make(chan struct{})
	defer close(gone)
	stay := 5*time.Second + time.Duration(c.chance.Int64N(int64(30*time.Second)))
	go func() {
		select {
		case <-c.l.drainedC:
			conn.Cls()
			conn.Flush()
		case <-time.After(stay):
			conn.Close()
		case <-gone:
		}
	}()
	for {
		d, err := conn.Next()
		if err != nil {
			return err
		}
		k, ok := c.l.rec.Delivered(c.channel, d.Body, d.Attempts)
		if !ok {
			conn.Finish(d.ID)
			continue
		}
		c.keys[d.ID] = k
		switch lot := c.chance.IntN(100); {
		case lot < 2:
			delay := time.Duration(c.chance.Int64N(int64(500 * time.Millisecond))).Truncate(time.Millisecond)
			c.l.rec.Requeued(c.channel, k, delay)
			conn.Requeue(d.ID, delay)
		case lot < 3: // neglected
		default:
			if lot < 6 {
				conn.Touch(d.ID)
			}
			c.l.rec.Finished(c.channel, k)
			conn.Finish(d.ID)
		}
		if len(c.keys) > 10_000 {
			clear(c.keys) // refusals come at once, if at all
		}
	}
}

// failed records a FIN or REQ that the broker refused: "E_FIN_FAILED FIN <id> failed …".
func (c *consumer) failed(e rawnsq.BrokerError) {
	f := strings.Fields(string(e))
	if len(f) < 3 || len(f[2]) != len(rawnsq.ID{}) {
		return
	}
	k, ok := c.keys[rawnsq.ID([]byte(f[2]))]
	switch {
	case !ok:
	case f[1] == "FIN":
		c.l.rec.FinishFailed(c.channel, k)
	case f[1] == "REQ":
		c.l.rec.RequeueFailed(c.channel, k)
	}
}
