package registrar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// pipelined is how many commands are sent before their answers are awaited. Together they fit into the buffers of a socket.
const pipelined = 64

// errSilent means that a service did not answer in time.
var errSilent = errors.New("no answer")

// conn is a connection to a lookup service. One goroutine calls its methods; another reads.
type conn struct {
	net.Conn
	ctx     context.Context
	timeout time.Duration
	answerC chan []byte
	failedC chan error // cap 1: why nothing more is read
	doneC   chan struct{}
}

// tlsScheme begins the addresses of services that are reached by TLS.
const tlsScheme = "tls://"

// dial connects and sends the magic.
func dial(ctx context.Context, address string, o *Options) (*conn, error) {
	connect := new(net.Dialer).DialContext
	if host, ok := strings.CutPrefix(address, tlsScheme); ok {
		connect, address = o.DialTLS, host
	}
	dialCtx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	socket, err := connect(dialCtx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: socket, ctx: ctx, timeout: o.Timeout, answerC: make(chan []byte), failedC: make(chan error, 1), doneC: make(chan struct{})}
	go c.read()
	if err := c.send([]byte(lookupwire.Magic)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends the connection and waits for the reading goroutine.
func (c *conn) close() {
	c.Conn.Close()
	for {
		select {
		case <-c.answerC: // what nobody waits for any more
		case <-c.doneC:
			return
		}
	}
}

// read delivers answers until the connection ends or something else comes.
func (c *conn) read() {
	defer close(c.doneC)
	buf := make([]byte, 0, 512)
	for {
		data, n, need, err := lookupwire.ParseAnswer(buf)
		if err != nil {
			c.failedC <- err
			return
		}
		if n > 0 {
			select {
			case c.answerC <- slices.Clone(data):
			case <-c.ctx.Done():
			}
			buf = append(buf[:0], buf[n:]...)
			continue
		}
		buf = slices.Grow(buf, need-len(buf))
		got, err := c.Conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the service closed the connection")
			}
			c.failedC <- err
			return
		}
	}
}

// identify introduces the broker and returns what the service says of itself.
func (c *conn) identify(peer lookupwire.Peer) (lookupwire.Service, error) {
	if err := c.send(lookupwire.AppendIdentify(nil, peer)); err != nil {
		return lookupwire.Service{}, err
	}
	data, err := c.await()
	if err != nil {
		return lookupwire.Service{}, err
	}
	return lookupwire.DecodeService(data)
}

// ask sends commands and waits until all of them are done.
func (c *conn) ask(commands [][]byte) error {
	for burst := range slices.Chunk(commands, pipelined) {
		if err := c.send(slices.Concat(burst...)); err != nil {
			return err
		}
		for _, command := range burst {
			data, err := c.await()
			if err != nil {
				return err
			}
			if string(data) != lookupwire.OK {
				return fmt.Errorf("%q is answered %.128q", command[:len(command)-1], data)
			}
		}
	}
	return nil
}

func (c *conn) send(data []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.Write(data)
	return err
}

// await returns the next answer. An error that the service tells of is an error.
func (c *conn) await() ([]byte, error) {
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case data := <-c.answerC:
		return data, lookupwire.Refused(data)
	case err := <-c.failedC:
		return nil, err
	case <-timer.C:
		return nil, fmt.Errorf("%w within %v", errSilent, c.timeout)
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}
