//go:build process

package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWeirAnswersAsStockNsqlookupd holds all conversations with both lookup services.
func TestWeirAnswersAsStockNsqlookupd(t *testing.T) {
	seen := &sightings{table: lookupTable}
	t.Run("shared", func(t *testing.T) {
		servers := startLookupPair(t)
		for _, group := range []struct {
			name          string
			conversations []conversation
		}{
			{"lookup-tcp", lookupTCPConversations()},
			{"lookup-http", lookupHTTPConversations()},
		} {
			t.Run(group.name, func(t *testing.T) {
				for i, c := range group.conversations {
					c.name = group.name + ": " + c.name
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						compare(t, servers, c, fmt.Sprintf("%s-%d", group.name, i), seen)
					})
				}
			})
		}
	})
	t.Run("alone", func(t *testing.T) {
		for _, c := range lookupAloneConversations() {
			c.name = "lookup-alone: " + c.name
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				compare(t, startLookupPair(t, c.flags...), c.conversation, aloneTopic, seen)
			})
		}
	})
	seen.checkTable(t)
}

// startLookupPair runs both lookup services until the test ends.
func startLookupPair(t *testing.T, flags ...string) pair {
	t.Helper()
	start := func(name, binary string, args ...string) *server {
		s := &server{name: name, tcp: freeAddress(t), http: freeAddress(t), lookup: true}
		args = append(args, "--tcp-address="+s.tcp, "--http-address="+s.http, "--broadcast-address=127.0.0.1")
		s.run(t, binary, append(args, flags...))
		return s
	}
	return pair{stock: start("stock", stockLookup), weir: start("weir", weirBinary, "nsqlookupd")}
}

// lookupConn is a broker's connection of a conversation.
type lookupConn struct {
	*conn
}

// broker connects and sends the magic of the lookup protocol, or something else.
func (c *client) broker(name, magic string) lookupConn {
	n := c.dial(name)
	if c.err == nil {
		n.raw.Send([]byte(magic))
	}
	return lookupConn{n}
}

// identified connects as a broker that consumers reach at 127.0.0.1:tcpPort.
func (c *client) identified(name string, tcpPort int) lookupConn {
	n := c.broker(name, "  V1")
	n.say("IDENTIFY\n", body(fmt.Sprintf(`{"broadcast_address":"127.0.0.1","hostname":"%s","tcp_port":%d,"http_port":%d,"version":"1.3.0"}`, name, tcpPort, tcpPort+1)))
	return n
}

// say sends the parts in one write and notes the answer.
func (n lookupConn) say(parts ...string) lookupConn {
	n.send(parts...)
	return n.hear()
}

// hear notes the next answer, or that the service has closed.
func (n lookupConn) hear() lookupConn {
	line, err := n.answer()
	if err != nil {
		n.client.fail("%sread: %w", n.name, err)
	}
	n.client.note("%s< %s", n.name, line)
	return n
}

// last notes all that still comes, and whether the service has closed or goes on to serve the connection.
func (n lookupConn) last() {
	if n.client.err != nil {
		return
	}
	n.raw.Send([]byte("PING\n"))
	for {
		line, err := n.answer()
		switch {
		case err != nil:
			n.client.fail("%sneither served nor closed: %w", n.name, err)
			return
		case line == closed:
			n.client.note("%s< %s", n.name, closed)
			return
		case line == `answer "OK"`:
			n.client.note("%s  stays open", n.name)
			return
		}
		n.client.note("%s< %s", n.name, line)
	}
}

// answer returns the next answer as a line.
func (n lookupConn) answer() (string, error) {
	if n.client.err != nil {
		return "", n.client.err
	}
	n.raw.Conn.SetReadDeadline(time.Now().Add(readPatience))
	var size [4]byte
	_, err := io.ReadFull(n.raw.Conn, size[:])
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "", err
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return closed, nil
	case err != nil:
		return "", err
	}
	data := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<20))
	if _, err := io.ReadFull(n.raw.Conn, data); err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(data), "{") {
		return fmt.Sprintf("answer %q", data), nil
	}
	n.client.note("%s< answer in JSON", n.name)
	for _, line := range jsonLines(data) {
		if !strings.HasPrefix(line, "hostname = ") { // of this machine
			n.client.note("%s    %s", n.name, line)
		}
	}
	return "end of JSON", nil
}

var index = regexp.MustCompile(`\[\d+\]`)

// getSet is get for answers whose lists are in no order: indexes are left out, and lines sorted.
func (c *client) getSet(path string) {
	before := len(c.lines)
	c.get(path)
	lines := c.lines[before:]
	for i := range lines {
		lines[i] = index.ReplaceAllString(lines[i], "[]")
	}
	slices.Sort(lines)
}

// pause waits until what happened on connections is known to the service.
func (c *client) pause() { time.Sleep(quietTime) }
