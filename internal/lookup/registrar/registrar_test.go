package registrar

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brokerSide is a Source that a test changes.
type brokerSide struct {
	changeC chan struct{}
	mu      sync.Mutex
	topics  []Topic
}

func (b *brokerSide) Changes() <-chan struct{} { return b.changeC }

func (b *brokerSide) Advertised() []Topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topics
}

func (b *brokerSide) set(topics ...Topic) {
	b.mu.Lock()
	b.topics = topics
	b.mu.Unlock()
	b.changeC <- struct{}{}
}

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// newRegistrar returns a started registrar and the broker it speaks for.
func newRegistrar(t *testing.T, options Options, addresses ...string) (*Registrar, *brokerSide, *logged) {
	t.Helper()
	log := new(logged)
	options.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := New(options)
	r.SetAddresses(addresses)
	b := &brokerSide{changeC: make(chan struct{}, 10)}
	r.Start(b, lookupwire.Peer{BroadcastAddress: "b", Hostname: "h", TCPPort: 4150, HTTPPort: 4151, Version: "v"})
	t.Cleanup(r.Close)
	return r, b, log
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// startLookup runs a lookup service; the test or its end closes it.
func startLookup(t *testing.T, tcp string) *lookupd.Server {
	t.Helper()
	s, err := lookupd.Start(listen(t, tcp), listen(t, "127.0.0.1:0"), lookupd.Options{BroadcastAddress: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func get(t *testing.T, s *lookupd.Server, path string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.HTTPAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// knows waits until the node's topics at a service are these.
func knows(t *testing.T, s *lookupd.Server, topics ...string) {
	t.Helper()
	want := `"topics":["` + strings.Join(topics, `","`) + `"]`
	if len(topics) == 0 {
		want = `"topics":[]`
	}
	eventually(t, want, func() bool { return strings.Contains(get(t, s, "/nodes"), want) })
}

func TestServicesFollowTheBroker(t *testing.T) {
	one, two := startLookup(t, "127.0.0.1:0"), startLookup(t, "127.0.0.1:0")
	r, b, _ := newRegistrar(t, Options{}, one.TCPAddr())
	b.set(Topic{"t", []string{"c", "d#ephemeral"}}, Topic{"u", nil})
	knows(t, one, "t", "u")
	r.SetAddresses([]string{two.TCPAddr(), one.TCPAddr()})
	knows(t, two, "t", "u")
	if got := get(t, two, "/lookup?topic=t"); !strings.Contains(got, `"channels":["c","d#ephemeral"]`) || !strings.Contains(got, `"broadcast_address":"b"`) {
		t.Errorf("lookup: %s", got)
	}
	b.set(Topic{"t", []string{"c"}})
	knows(t, one, "t")
	knows(t, two, "t")
	if got := get(t, two, "/channels?topic=t"); got != `{"channels":["c"]}` {
		t.Errorf("channels: %s", got)
	}
	r.SetAddresses([]string{two.TCPAddr()})
	eventually(t, "the first service forgets the broker", func() bool { return get(t, one, "/nodes") == `{"producers":[]}` })
	if got := r.Addresses(); !slices.Equal(got, []string{two.TCPAddr()}) {
		t.Errorf("addresses %q", got)
	}
	r.Close()
	eventually(t, "the second service forgets the broker", func() bool { return get(t, two, "/nodes") == `{"producers":[]}` })
}

func TestRestartedServiceIsToldEverything(t *testing.T) {
	s := startLookup(t, "127.0.0.1:0")
	r, b, log := newRegistrar(t, Options{}, s.TCPAddr())
	b.set(Topic{"t", []string{"c"}})
	knows(t, s, "t")
	s.Close(context.Background())
	eventually(t, "the registrar notices", func() bool { return !r.Registered()[s.TCPAddr()] })
	b.set(Topic{"t", []string{"c"}}, Topic{"u", nil})
	again := startLookup(t, s.TCPAddr())
	knows(t, again, "t", "u")
	if got := r.Registered(); len(got) != 1 || !got[s.TCPAddr()] {
		t.Errorf("registered: %v", got)
	}
	if log.count("msg=\"registered with a lookup service\"") != 2 {
		t.Errorf("log:\n%s", log.text.String())
	}
}

// odd serves TCP connections in some other way than a lookup service would.
func odd(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln := listen(t, "127.0.0.1:0")
	var running sync.WaitGroup
	var conns sync.Map
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		running.Wait()
	})
	return ln.Addr().String()
}

func TestOddServicesAreLoggedOnceAndDisturbNobody(t *testing.T) {
	answer := func(data string) string { return string(lookupwire.AppendAnswer(nil, data)) }
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"silent":          {func(c net.Conn) { io.Copy(io.Discard, c) }, "no answer within 100ms"},
		"web server":      {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, c) }, "not an answer of the lookup protocol"},
		"huge answer":     {func(c net.Conn) { io.WriteString(c, "\x7f\xff\xff\xff"); io.Copy(io.Discard, c) }, "not an answer of the lookup protocol"},
		"closes":          {func(net.Conn) {}, "reason="},
		"refuses":         {func(c net.Conn) { io.WriteString(c, answer("E_BAD_PROTOCOL")); io.Copy(io.Discard, c) }, "refused: E_BAD_PROTOCOL"},
		"not JSON":        {func(c net.Conn) { io.WriteString(c, answer("hello")); io.Copy(io.Discard, c) }, "not JSON"},
		"not OK":          {func(c net.Conn) { io.WriteString(c, answer("{}")+answer("maybe")); io.Copy(io.Discard, c) }, "is answered"},
		"answers unasked": {func(c net.Conn) { io.WriteString(c, answer("{}")+answer("OK")+answer("OK")); io.Copy(io.Discard, c) }, "an answer to nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			address := odd(t, c.serve)
			good := startLookup(t, "127.0.0.1:0")
			_, b, log := newRegistrar(t, Options{Timeout: 100 * time.Millisecond}, address, good.TCPAddr())
			b.set(Topic{"t", nil})
			knows(t, good, "t")
			eventually(t, "a log line", func() bool { return log.count(c.want) > 0 && log.count("level=WARN") > 0 })
			time.Sleep(250 * time.Millisecond) // it tries again meanwhile
			if n := log.count("level=WARN"); n > 1 && name != "answers unasked" {
				t.Errorf("%d warnings:\n%s", n, log.text.String())
			}
			b.set(Topic{"t", nil}, Topic{"u", nil})
			knows(t, good, "t", "u")
		})
	}
}

func TestPingsKeepTheNodeAlive(t *testing.T) {
	pingC := make(chan struct{}, 100)
	address := odd(t, func(c net.Conn) {
		c.Write(lookupwire.AppendAnswer(nil, "{}"))
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("PING\n")) {
				pingC <- struct{}{}
				c.Write(lookupwire.AppendAnswer(nil, "OK"))
			}
		}
	})
	newRegistrar(t, Options{PingInterval: 10 * time.Millisecond}, address)
	for range 3 {
		select {
		case <-pingC:
		case <-time.After(10 * time.Second):
			t.Fatal("no PING")
		}
	}
}

func TestKnownAsksAllServicesAndLeavesOutEphemeralOnes(t *testing.T) {
	one, two := startLookup(t, "127.0.0.1:0"), startLookup(t, "127.0.0.1:0")
	r, _, _ := newRegistrar(t, Options{}, one.TCPAddr(), two.TCPAddr())
	knows(t, one)
	knows(t, two)
	for s, channels := range map[*lookupd.Server][]string{one: {"a", "b", "x%23ephemeral"}, two: {"b", "c"}} {
		for _, channel := range channels {
			resp, err := http.Post("http://"+s.HTTPAddr()+"/channel/create?topic=t&channel="+channel, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "both services are asked", func() bool {
		return slices.Equal(r.Known(context.Background(), "t"), []string{"a", "b", "c"})
	})
	if got := r.Known(context.Background(), "unknown"); len(got) > 0 {
		t.Errorf("of an unknown topic: %q", got)
	}
}

// A service whose HTTP side hangs is waited for no longer than AskTimeout, and one that is not connected not at all.
func TestKnownIsBounded(t *testing.T) {
	hangC := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangC }))
	t.Cleanup(func() { close(hangC); hanging.Close() })
	_, port, _ := net.SplitHostPort(hanging.Listener.Addr().String())
	service := fmt.Sprintf(`{"broadcast_address":"127.0.0.1","http_port":%s}`, port)
	address := odd(t, func(c net.Conn) {
		c.Write(lookupwire.AppendAnswer(nil, service))
		io.Copy(io.Discard, c)
	})
	silent := odd(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	good := startLookup(t, "127.0.0.1:0")
	r, _, log := newRegistrar(t, Options{AskTimeout: 100 * time.Millisecond}, address, silent, good.TCPAddr())
	eventually(t, "registered", func() bool { return log.count("registered with") >= 2 })
	resp, err := http.Post("http://"+good.HTTPAddr()+"/channel/create?topic=t&channel=c", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	begun := time.Now()
	got := r.Known(context.Background(), "t")
	if took := time.Since(begun); took > 5*time.Second || took < 100*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if !slices.Equal(got, []string{"c"}) {
		t.Errorf("got %q", got)
	}
}

func TestServicesAreReachedByTLS(t *testing.T) {
	authority := testcert.NewAuthority(t, "test")
	files := authority.Issue(t, testcert.Spec{})
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lookupd.Start(listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), lookupd.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, TLSRequired: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	trusting := tls.Dialer{Config: &tls.Config{RootCAs: authority.Pool()}}
	r, b, _ := newRegistrar(t, Options{DialTLS: trusting.DialContext}, "tls://"+s.TCPAddr())
	b.set(Topic{"t", []string{"c"}})
	eventually(t, "it is registered", func() bool { return r.Registered()["tls://"+s.TCPAddr()] })
	eventually(t, "the channels are known", func() bool { return slices.Equal(r.Known(context.Background(), "t"), []string{"c"}) })

	_, _, log := newRegistrar(t, Options{DialTLS: new(tls.Dialer).DialContext}, "tls://"+s.TCPAddr())
	eventually(t, "a service that nobody vouches for is refused", func() bool { return log.count("unknown authority") > 0 })
	_, _, log = newRegistrar(t, Options{}, "tls://"+s.TCPAddr())
	eventually(t, "without TLS it says so", func() bool { return log.count("TLS is not configured") > 0 })
	_, _, log = newRegistrar(t, Options{}, s.TCPAddr())
	eventually(t, "in the clear it is refused", func() bool { return log.count("not registered") > 0 })
}
