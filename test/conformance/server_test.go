//go:build process

package conformance

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// startPatience is how long a server may take until /ping answers.
const startPatience = 20 * time.Second

// server is one running daemon, Weir's or the stock one.
type server struct {
	name      string
	tcp, http string // addresses
	data      string // directory
	lookup    bool   // an nsqlookupd, not an nsqd
	process   *proc.Process
}

// pair is a stock daemon and Weir's with the same flags.
type pair struct{ stock, weir *server }

// startPair runs both servers with fresh data until the test ends. Their output is shown if the test fails.
func startPair(t *testing.T, flags ...string) pair {
	t.Helper()
	return pair{
		stock: startServer(t, "stock", stockBinary, nil, flags),
		weir:  startServer(t, "weir", weirBinary, []string{"nsqd"}, flags),
	}
}

// unixSockets stands among the flags of servers that should listen at unix sockets.
const unixSockets = "on unix sockets"

func startServer(t *testing.T, name, binary string, args, flags []string) *server {
	t.Helper()
	s := &server{name: name, tcp: freeAddress(t), http: freeAddress(t), data: t.TempDir()}
	listen := s.http
	if slices.Contains(flags, unixSockets) {
		flags = slices.DeleteFunc(slices.Clone(flags), func(flag string) bool { return flag == unixSockets })
		s.tcp, listen = filepath.Join(s.data, "tcp.sock"), filepath.Join(s.data, "http.sock")
		s.http = hex.EncodeToString([]byte(listen)) + strings.TrimSuffix(socketHost, ":80")
	}
	args = append(args, "--data-path="+s.data, "--tcp-address="+s.tcp, "--http-address="+listen, "--broadcast-address=127.0.0.1")
	s.run(t, binary, append(args, flags...))
	return s
}

// run runs the program until the test ends.
func (s *server) run(t *testing.T, binary string, args []string) {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: binary, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	t.Cleanup(func() {
		if err := p.Terminate(startPatience); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", s.name, p.Output())
		}
	})
	for end := time.Now().Add(startPatience); !s.ready(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.Done():
			t.Fatalf("%s ended:\n%s", s.name, p.Output())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready:\n%s", s.name, p.Output())
		}
	}
}

// withoutPlace replaces what is the server's own: its directory, addresses and ports.
func (s *server) withoutPlace(text string) string {
	_, tcpPort, _ := net.SplitHostPort(s.tcp)
	_, httpPort, _ := net.SplitHostPort(s.http)
	switch text {
	case tcpPort:
		return `"TCP-PORT"`
	case httpPort:
		return `"HTTP-PORT"`
	}
	return strings.NewReplacer(s.data, "DATA", s.tcp, "TCP-ADDRESS", s.http, "HTTP-ADDRESS", "_"+httpPort, "_HTTP-PORT").Replace(text)
}

func (s *server) ready() bool {
	resp, err := httpClient.Get("http://" + s.http + "/ping")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// freeAddress returns a loopback address whose port was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
