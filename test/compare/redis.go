package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
)

// redisServer is a Redis that appends every command to a file; fsync is its appendfsync.
func redisServer(name, fsync, binary string) server {
	return server{
		name: name, missing: wants(binary, "Debian: apt-get install redis-server"),
		start: func(dir string) (running, error) {
			port, err := freePort()
			if err != nil {
				return nil, err
			}
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			process, err := startProcess(dir, address, nil, binary, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
				"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", fsync)
			if err != nil {
				return nil, err
			}
			return &peer{process: process, client: &redisClient{address: address}, batches: true}, nil
		},
	}
}

// redisClient speaks Redis's protocol, as far as streams need it.
type redisClient struct{ address string }

func (c *redisClient) open() error {
	conn, err := dialRedis(c.address)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.ask("XGROUP", "CREATE", "bench", "group", "0", "MKSTREAM")
}

func (c *redisClient) drop() error {
	conn, err := dialRedis(c.address)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.ask("DEL", "bench")
}

func (c *redisClient) publisher() (publisher, error) {
	conn, err := dialRedis(c.address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// consume reads through a consumer group, and acknowledges what it has read with the next read.
func (c *redisClient) consume(handle func([]byte)) (func(), error) {
	conn, err := dialRedis(c.address)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for ids := []string(nil); ; {
			select {
			case <-stop:
				return
			default:
			}
			if len(ids) > 0 {
				conn.command(append([]string{"XACK", "bench", "group"}, ids...)...)
			}
			conn.command("XREADGROUP", "GROUP", "group", "consumer", "COUNT", "500", "BLOCK", "50", "STREAMS", "bench", ">")
			if conn.out.Flush() != nil {
				return // whoever waits for messages notices
			}
			if len(ids) > 0 {
				if _, err := conn.reply(); err != nil {
					return
				}
			}
			reply, err := conn.reply()
			if err != nil {
				return
			}
			ids = ids[:0]
			eachEntry(reply, func(id string, body []byte) {
				ids = append(ids, id)
				handle(body)
			})
		}
	}()
	return func() { close(stop); <-done; conn.close() }, nil
}

// eachEntry walks the reply of XREADGROUP: for each stream its name and its entries, each an id and a list of fields.
func eachEntry(reply any, do func(id string, body []byte)) {
	streams, _ := reply.([]any)
	for _, s := range streams {
		for _, e := range s.([]any)[1].([]any) {
			entry := e.([]any)
			do(string(entry[0].([]byte)), entry[1].([]any)[1].([]byte))
		}
	}
}

// redisConn is one connection.
type redisConn struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer

	unflushed int      // messages of a pipeline in out
	flushedC  chan int // numbers of messages that were sent, to who reads their replies
}

func dialRedis(address string) (*redisConn, error) {
	conn, err := net.DialTimeout("tcp", address, startTimeout)
	if err != nil {
		return nil, err
	}
	return &redisConn{conn: conn, in: bufio.NewReaderSize(conn, 256<<10), out: bufio.NewWriterSize(conn, 256<<10)}, nil
}

func (c *redisConn) close() { c.conn.Close() }

// command writes a command into the output buffer.
func (c *redisConn) command(words ...string) {
	fmt.Fprintf(c.out, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(c.out, "$%d\r\n%s\r\n", len(w), w)
	}
}

// add writes an XADD of one body into the output buffer.
func (c *redisConn) add(body []byte) {
	c.out.WriteString("*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nb\r\n$")
	c.out.Write(strconv.AppendInt(c.out.AvailableBuffer(), int64(len(body)), 10))
	c.out.WriteString("\r\n")
	c.out.Write(body)
	c.out.WriteString("\r\n")
}

// ask sends a command and waits for its reply.
func (c *redisConn) ask(words ...string) error {
	c.command(words...)
	if err := c.out.Flush(); err != nil {
		return err
	}
	_, err := c.reply()
	return err
}

func (c *redisConn) publish(body []byte) error {
	c.add(body)
	if err := c.out.Flush(); err != nil {
		return err
	}
	_, err := c.reply()
	return err
}

// publishBatch adds all or nothing, by MULTI and EXEC.
func (c *redisConn) publishBatch(bodies [][]byte) error {
	c.command("MULTI")
	for _, body := range bodies {
		c.add(body)
	}
	c.command("EXEC")
	if err := c.out.Flush(); err != nil {
		return err
	}
	var errs error
	for range len(bodies) + 2 {
		_, err := c.reply()
		errs = errors.Join(errs, err)
	}
	return errs
}

// pipeline writes while another goroutine reads. A full window is half emptied before more is written, so that both sides have
// many messages to work on at once.
func (c *redisConn) pipeline(window int, next func() []byte) (int64, error) {
	var confirmed atomic.Int64
	c.flushedC = make(chan int, window)
	movedC, failedC := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		failedC <- c.confirm(&confirmed, movedC)
	}()
	var err error
	sent := int64(0)
	for body := next(); body != nil && err == nil; body = next() {
		c.add(body)
		c.unflushed++
		if sent++; sent-confirmed.Load() < int64(window) {
			continue
		}
		err = c.flush()
		for err == nil && sent-confirmed.Load() > int64(window)/2 {
			select {
			case <-movedC:
			case err = <-failedC:
				return confirmed.Load(), err
			}
		}
	}
	err = errors.Join(err, c.flush())
	close(c.flushedC)
	err = errors.Join(err, <-failedC)
	c.flushedC = nil
	return confirmed.Load(), err
}

// confirm reads a reply for each message that was flushed.
func (c *redisConn) confirm(confirmed *atomic.Int64, movedC chan<- struct{}) error {
	for n := range c.flushedC {
		for range n {
			if _, err := c.reply(); err != nil {
				return err
			}
			confirmed.Add(1)
			if c.in.Buffered() == 0 {
				select {
				case movedC <- struct{}{}:
				default:
				}
			}
		}
	}
	return nil
}

// flush sends what was written, and says so to who reads the replies.
func (c *redisConn) flush() error {
	err := c.out.Flush()
	if c.unflushed > 0 {
		c.flushedC <- c.unflushed
		c.unflushed = 0
	}
	return err
}

// reply reads one: nil, a number, bytes, or a list.
func (c *redisConn) reply() (any, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, fmt.Errorf("reply %q", line)
	}
	kind, text := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+':
		return []byte(text), nil
	case '-':
		return nil, errors.New(text)
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reply %c%s", kind, text)
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		data := make([]byte, n+2)
		_, err := io.ReadFull(c.in, data)
		return data[:n], err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = c.reply(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
