package lookupd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/lookup/registry"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
	"github.com/weirmq/weir/internal/quiet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer runs a service on the loopback interface until the test ends.
func startServer(t *testing.T, options Options) *Server {
	t.Helper()
	s, err := Start(listen(t), listen(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// broker is a raw connection.
type broker struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, s *Server) broker {
	t.Helper()
	conn, err := net.Dial("tcp", s.TCPAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return broker{t, conn}
}

func (b broker) send(text string) broker {
	b.t.Helper()
	if _, err := io.WriteString(b, text); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// expect reads answers, "" for the end of the connection.
func (b broker) expect(answers ...string) broker {
	b.t.Helper()
	for _, want := range answers {
		got, err := readAnswer(b)
		if err != nil && (want != "" || err != io.EOF) || got != want {
			b.t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	return b
}

func readAnswer(r io.Reader) (string, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", err
	}
	data := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, data)
	return string(data), err
}

// identified connects a broker that consumers reach at host:port.
func identified(t *testing.T, s *Server, host string, tcpPort int) broker {
	t.Helper()
	b := dial(t, s)
	peer := lookupwire.Peer{BroadcastAddress: host, Hostname: "h", TCPPort: tcpPort, HTTPPort: tcpPort + 1, Version: "1.3.0"}
	b.send("  V1" + string(lookupwire.AppendIdentify(nil, peer)))
	if _, err := readAnswer(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// request returns status and body of an HTTP request.
func request(t *testing.T, s *Server, method, path string) string {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.HTTPAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

func TestConversations(t *testing.T) {
	s := startServer(t, Options{Hostname: "me", Version: "v"})
	identify := string(lookupwire.AppendIdentify(nil, lookupwire.Peer{BroadcastAddress: "b", TCPPort: 1, HTTPPort: 2, Version: "x"}))
	who := string(s.service.JSON())
	if !strings.Contains(who, `"broadcast_address":"me"`) {
		t.Errorf("the service calls itself %s", who)
	}
	for _, c := range []struct {
		send string
		want []string
	}{
		{"GET / HTTP/1.1\r\n\r\n", []string{"E_BAD_PROTOCOL", ""}},
		{"  V2PING\n", []string{"E_BAD_PROTOCOL", ""}},
		{"  V1PING\nPING\n", []string{"OK", "OK"}},
		{"  V1REGISTER t\n", []string{"E_INVALID client must IDENTIFY", ""}},
		{"  V1UNREGISTER $ $\n", []string{"E_INVALID client must IDENTIFY", ""}},
		{"  V1" + identify + "PING\n" + identify, []string{who, "OK", "E_INVALID cannot IDENTIFY again", ""}},
		{"  V1" + identify + "REGISTER t\nREGISTER u c\nUNREGISTER u c\nREGISTER\n",
			[]string{who, "OK", "OK", "OK", "E_INVALID REGISTER insufficient number of params", ""}},
		{"  V1IDENTIFY\n\x00\x00\x00\x02{}PING\n", []string{"E_BAD_BODY IDENTIFY missing fields", ""}},
		{"  V1IDENTIFY\n\x7f\xff\xff\xff", []string{"E_BAD_BODY IDENTIFY invalid body size 2147483647", ""}},
		{"  V1" + strings.Repeat("x", 5000), []string{"E_INVALID command line longer than 4096 bytes", ""}},
	} {
		dial(t, s).send(c.send).expect(c.want...)
	}
}

func TestIdentifyThatIsCutOffSaysSo(t *testing.T) {
	s := startServer(t, Options{})
	for sent, want := range map[string]string{
		"  V1IDENTIFY\n\x00\x00":          "E_BAD_BODY IDENTIFY failed to read body size",
		"  V1IDENTIFY\n\x00\x00\x00\x02{": "E_BAD_BODY IDENTIFY failed to read body",
	} {
		b := dial(t, s).send(sent)
		b.Conn.(*net.TCPConn).CloseWrite()
		b.expect(want, "")
	}
}

func TestLookupListsWhoIsThere(t *testing.T) {
	s := startServer(t, Options{})
	one := identified(t, s, "one", 4150).send("REGISTER t c\n").expect("OK")
	two := identified(t, s, "two", 4150).send("REGISTER t\nREGISTER u d#ephemeral\n").expect("OK", "OK")
	if got := request(t, s, "GET", "/lookup?topic=t"); !strings.Contains(got, `"channels":["c"]`) ||
		!strings.Contains(got, `"broadcast_address":"one"`) || !strings.Contains(got, `"broadcast_address":"two"`) {
		t.Errorf("lookup: %s", got)
	}
	if got := request(t, s, "POST", "/topic/tombstone?topic=t&node=one:4151"); got != "200 " {
		t.Errorf("tombstone: %s", got)
	}
	if got := request(t, s, "GET", "/lookup?topic=t"); strings.Contains(got, `"one"`) || !strings.Contains(got, `"two"`) {
		t.Errorf("lookup after tombstone: %s", got)
	}
	if got := request(t, s, "GET", "/nodes"); !strings.Contains(got, `"tombstones":[true],"topics":["t"]`) ||
		!strings.Contains(got, `"tombstones":[false,false],"topics":["t","u"]`) {
		t.Errorf("nodes: %s", got)
	}
	if got := request(t, s, "GET", "/debug"); !strings.Contains(got, `"id":"`+two.LocalAddr().String()) || !strings.Contains(got, `"channel:u:d#ephemeral":[{`) {
		t.Errorf("debug: %s", got)
	}
	one.Close()
	two.Close()
	for deadline := time.Now().Add(10 * time.Second); request(t, s, "GET", "/nodes") != `200 {"producers":[]}`; {
		if time.Now().After(deadline) {
			t.Fatalf("still there: %s", request(t, s, "GET", "/nodes"))
		}
	}
	for path, want := range map[string]string{
		"/lookup?topic=t":   `200 {"channels":["c"],"producers":[]}`,
		"/channels?topic=u": `200 {"channels":[]}`,
		"/topics":           `200 {"topics":["t","u"]}`,
	} {
		if got := request(t, s, "GET", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestHTTP(t *testing.T) {
	s := startServer(t, Options{Version: "v"})
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/ping", "200 OK"},
		{"GET", "/info", `200 {"version":"v"}`},
		{"GET", "/nothing", `404 {"message":"NOT_FOUND"}`},
		{"GET", "/topic/create", `405 {"message":"METHOD_NOT_ALLOWED"}`},
		{"GET", "/lookup", `400 {"message":"MISSING_ARG_TOPIC"}`},
		{"GET", "/lookup?topic=t", `404 {"message":"TOPIC_NOT_FOUND"}`},
		{"GET", "/channels?topic=%zz", `400 {"message":"INVALID_REQUEST"}`},
		{"POST", "/topic/create?topic=a$", `400 {"message":"INVALID_ARG_TOPIC"}`},
		{"POST", "/topic/create?topic=t", "200 "},
		{"GET", "/lookup?topic=t", `200 {"channels":[],"producers":[]}`},
		{"POST", "/topic/delete?topic=*", "200 "},
		{"POST", "/channel/create?topic=t&channel=c", "200 "},
		{"POST", "/channel/create?topic=t", `400 {"message":"MISSING_ARG_CHANNEL"}`},
		{"POST", "/channel/create?topic=t&channel=a$", `400 {"message":"INVALID_ARG_CHANNEL"}`},
		{"GET", "/channels?topic=t", `200 {"channels":["c"]}`},
		{"POST", "/channel/delete?topic=t&channel=c", "200 "},
		{"POST", "/channel/delete?topic=t&channel=c", `404 {"message":"CHANNEL_NOT_FOUND"}`},
		{"POST", "/topic/tombstone?topic=t", `400 {"message":"MISSING_ARG_NODE"}`},
		{"POST", "/topic/tombstone?topic=t&node=x:1", "200 "},
		{"POST", "/topic/delete?topic=t", "200 "},
		{"POST", "/topic/delete", `400 {"message":"MISSING_ARG_TOPIC"}`},
		{"GET", "/topics", `200 {"topics":[]}`},
	} {
		if got := request(t, s, c.method, c.path); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

func TestConnectionsAndRegistrationsAreBounded(t *testing.T) {
	s := startServer(t, Options{MaxConnections: 2, MaxRegistrations: 6})
	first := identified(t, s, "one", 1)
	second := dial(t, s).send("  V1PING\n").expect("OK")
	if _, err := readAnswer(dial(t, s)); err == nil {
		t.Error("a third connection is served")
	}
	second.send("PING\n").expect("OK")
	first.send("REGISTER t c\nREGISTER u\n").expect("OK", "E_INVALID REGISTER too many registrations", "")
	if got := request(t, s, "POST", "/topic/create?topic=u"); got != "200 " { // the first broker is gone
		t.Errorf("with room: %s", got)
	}
	request(t, s, "POST", "/topic/create?topic=v")
	if got := request(t, s, "POST", "/topic/create?topic=w"); got != `503 {"message":"TOO_MANY_REGISTRATIONS"}` {
		t.Errorf("without room: %s", got)
	}
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	s := startServer(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 5 {
		dial(t, s).send("GET / HTTP/1.1\r\n\r\n").expect("E_BAD_PROTOCOL")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "broker refused"); n != 1 {
		t.Errorf("%d lines tell of strangers: %s", n, log.String())
	}
}

func TestWhoSaysToBeABrokerDoesNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	s := startServer(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 { // two honest brokers on a host, which come back
		for _, tcpPort := range []int{4150, 5150} {
			identified(t, s, "h", tcpPort).Close()
		}
	}
	for i := range quiet.MaxKeys + 50 {
		identified(t, s, "h", 10_000+i).Close()
	}
	for begun, left := time.Now(), 1; left > 0; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		left = len(s.mu.sessions)
		s.mu.Unlock()
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d sessions do not end", left)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := log.String()
	for _, honest := range []string{"tcp_port=4150", "tcp_port=5150"} {
		if n := strings.Count(told, honest); n != 1 {
			t.Errorf("%d lines tell that the broker with %s is there", n, honest)
		}
	}
	if n := strings.Count(told, "\n"); n > quiet.MaxKeys+2 || n < quiet.MaxKeys {
		t.Errorf("%d lines tell of brokers", n)
	}
	if n := strings.Count(told, "broker gone"); n < 2 {
		t.Errorf("%d lines tell that brokers are gone", n)
	}
}

// A connection that says nothing, or a byte now and then, is closed: magic and first command are awaited for helloTimeout, further commands for twice
// the inactive timeout each.
func TestSilentConnectionsAreClosed(t *testing.T) {
	for _, c := range []struct {
		sent, slowly string
		want         time.Duration
	}{
		{"", "", helloTimeout}, {"", "  V1PING", helloTimeout}, {"  V1PI", "", helloTimeout}, {"  V1", "REGISTER a_long_name", helloTimeout},
		{"  V1PING\n", "", 10 * time.Minute}, {"  V1PING\n", strings.Repeat("x", 700), 10 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			options := Options{}
			options.setDefaults()
			s := &Server{options: options}
			s.mu.registry = registry.New(registry.Options{})
			ours, theirs := net.Pipe()
			begun := time.Now()
			go io.Copy(io.Discard, theirs)
			var writing sync.WaitGroup
			writing.Go(func() {
				_, err := io.WriteString(theirs, c.sent)
				for i := 0; i < len(c.slowly) && err == nil; i++ {
					_, err = theirs.Write([]byte{c.slowly[i]})
					time.Sleep(time.Second)
				}
			})
			(&session{server: s, conn: ours, id: "x"}).run()
			if took := time.Since(begun); took != c.want {
				t.Errorf("after %q and, slowly, %q it took %v, want %v", c.sent, c.slowly, took, c.want)
			}
			writing.Wait()
		})
	}
}
