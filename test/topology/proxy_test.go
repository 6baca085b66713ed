//go:build process

package topology

import (
	"net"
	"sync"
	"testing"
)

// proxy passes TCP connections on to an address, until their network goes silent: then nothing arrives any more, and nobody is told.
type proxy struct {
	address string // of the proxy
	to      string

	mu    sync.Mutex
	lines []*line
}

// line is one connection through the proxy.
type line struct {
	client, server net.Conn
	silentC        chan struct{} // closed: nothing passes any more
	once           sync.Once
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: ln.Addr().String(), to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			l := &line{client: client, server: server, silentC: make(chan struct{})}
			p.mu.Lock()
			p.lines = append(p.lines, l)
			p.mu.Unlock()
			running.Go(func() { l.pass(client, server) })
			running.Go(func() { l.pass(server, client) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		for _, l := range p.lines {
			l.client.Close()
			l.server.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// pass copies one direction. On a silent line it goes on to read, so that the sender sees nothing but the lack of answers.
func (l *line) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-l.silentC:
			if err != nil {
				return
			}
			continue
		default:
		}
		if _, writeErr := to.Write(buf[:n]); err != nil || writeErr != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

// silence cuts the network of all connections that are open, but of no later ones, and returns how many those are.
func (p *proxy) silence() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lines {
		if _, err := l.client.Write(nil); err == nil {
			n++
		}
		l.once.Do(func() { close(l.silentC) })
	}
	return n
}
