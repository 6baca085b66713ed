// Package publish publishes to one nsqd over a connection of go-nsq, so that each answer is known to belong to its message:
// Connection is one connection from its start to its end, Publisher one after the other for many goroutines.
//
// go-nsq's Producer is not used because it reconnects by itself, so that one cannot tell which connection an answer belongs to.
package publish

import (
	"log/slog"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// Connection is one connection to an nsqd. Publish and Close are called by one goroutine.
type Connection struct {
	// AnswerC has one answer for each Publish, in order: nil for OK.
	AnswerC <-chan error
	// ClosedC is closed at the end; answers that arrived before are in AnswerC.
	ClosedC <-chan struct{}

	conn    *nsq.Conn
	answerC chan error
	closedC chan struct{}
}

// Connect dials and introduces itself. At most window messages may be unanswered at any time.
func Connect(address string, cfg *nsq.Config, window int, logger *slog.Logger) (*Connection, error) {
	c := &Connection{answerC: make(chan error, window), closedC: make(chan struct{})}
	c.AnswerC, c.ClosedC = c.answerC, c.closedC
	c.conn = nsq.NewConn(address, cfg, delegate{c})
	c.conn.SetLogger(tools.Log{To: logger}, nsq.LogLevelDebug, "(%s)")
	if _, err := c.conn.Connect(); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// Publish writes one PUB. After an error the connection is closing.
func (c *Connection) Publish(topic string, body []byte) error {
	err := c.conn.WriteCommand(nsq.Publish(topic, body))
	if err != nil {
		c.conn.Close()
	}
	return err
}

// Close closes the connection and waits for the end of its goroutines.
func (c *Connection) Close() {
	c.conn.Close()
	<-c.closedC
}

// answer queues an answer. It never blocks: answers nobody asked for are dropped.
func (c *Connection) answer(err error) {
	select {
	case c.answerC <- err:
	default:
	}
}

// delegate implements nsq.ConnDelegate; its methods run on the connection's goroutines.
type delegate struct{ c *Connection }

// OnResponse hears OK.
func (d delegate) OnResponse(*nsq.Conn, []byte) { d.c.answer(nil) }

// OnError hears an error frame.
func (d delegate) OnError(_ *nsq.Conn, data []byte) {
	d.c.answer(nsq.ErrProtocol{Reason: string(data)})
}

// OnIOError closes a broken connection.
func (d delegate) OnIOError(conn *nsq.Conn, _ error) { conn.Close() }

// OnClose is the end.
func (d delegate) OnClose(*nsq.Conn) { close(d.c.closedC) }

// OnMessage and what follows concern consumers.
func (d delegate) OnMessage(*nsq.Conn, *nsq.Message)         {}
func (d delegate) OnMessageFinished(*nsq.Conn, *nsq.Message) {}
func (d delegate) OnMessageRequeued(*nsq.Conn, *nsq.Message) {}
func (d delegate) OnBackoff(*nsq.Conn)                       {}
func (d delegate) OnContinue(*nsq.Conn)                      {}
func (d delegate) OnResume(*nsq.Conn)                        {}
func (d delegate) OnHeartbeat(*nsq.Conn)                     {}
