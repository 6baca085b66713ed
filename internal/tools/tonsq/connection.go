package tonsq

import (
	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// connection is one connection to an nsqd, from its start to its end. go-nsq's Producer is not used because it reconnects by
// itself, so that one cannot tell which connection an answer belongs to.
type connection struct {
	conn    *nsq.Conn
	answerC chan error // one for each PUB, in order: nil for OK
	closedC chan struct{}
}

// connect dials and introduces itself. At most window PUBs may be unanswered at any time.
func connect(address string, o *Options) (*connection, error) {
	c := &connection{answerC: make(chan error, o.Window), closedC: make(chan struct{})}
	c.conn = nsq.NewConn(address, o.Config, c)
	c.conn.SetLogger(tools.Log{To: o.Logger}, nsq.LogLevelDebug, "(%s)")
	if _, err := c.conn.Connect(); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// publish writes one PUB. After an error the connection is closing.
func (c *connection) publish(topic string, record []byte) error {
	err := c.conn.WriteCommand(nsq.Publish(topic, record))
	if err != nil {
		c.conn.Close()
	}
	return err
}

// close closes the connection and waits for the end of its goroutines.
func (c *connection) close() {
	c.conn.Close()
	<-c.closedC
}

// answer queues an answer. It never blocks: answers nobody asked for are dropped.
func (c *connection) answer(err error) {
	select {
	case c.answerC <- err:
	default:
	}
}

// The methods below implement nsq.ConnDelegate; they run on the connection's goroutines.

// OnResponse hears OK.
func (c *connection) OnResponse(*nsq.Conn, []byte) { c.answer(nil) }

// OnError hears an error frame.
func (c *connection) OnError(_ *nsq.Conn, data []byte) {
	c.answer(nsq.ErrProtocol{Reason: string(data)})
}

// OnIOError closes a broken connection.
func (c *connection) OnIOError(conn *nsq.Conn, _ error) { conn.Close() }

// OnClose is the end.
func (c *connection) OnClose(*nsq.Conn) { close(c.closedC) }

// OnMessage and what follows concern consumers.
func (c *connection) OnMessage(*nsq.Conn, *nsq.Message)         {}
func (c *connection) OnMessageFinished(*nsq.Conn, *nsq.Message) {}
func (c *connection) OnMessageRequeued(*nsq.Conn, *nsq.Message) {}
func (c *connection) OnBackoff(*nsq.Conn)                       {}
func (c *connection) OnContinue(*nsq.Conn)                      {}
func (c *connection) OnResume(*nsq.Conn)                        {}
func (c *connection) OnHeartbeat(*nsq.Conn)                     {}
