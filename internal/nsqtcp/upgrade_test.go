package nsqtcp

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/testkit/testcert"
	"github.com/weirmq/weir/internal/tlsconf"
)

// secured are options with a certificate of ca.
func secured(t testing.TB, ca *testcert.Authority) Options {
	t.Helper()
	pair := ca.Issue(t, testcert.Spec{})
	source, err := tlsconf.Open(tlsconf.Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile})
	if err != nil {
		t.Fatal(err)
	}
	return Options{TLS: source.Server()}
}

// clientTLS is what a client of ca's servers uses.
func clientTLS(ca *testcert.Authority) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
}

// through makes a client go on through layers; like a real one it takes no more from the connection than it needs.
type through struct {
	net.Conn
	r io.Reader
	w func([]byte) (int, error)
}

func (c *through) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c *through) Write(p []byte) (int, error) { return c.w(p) }

func (c *client) startTLS(ca *testcert.Authority) {
	c.t.Helper()
	conn := tls.Client(c.conn, clientTLS(ca))
	conn.SetDeadline(time.Now().Add(patience))
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.conn = conn
	c.expect("OK")
}

func (c *client) startSnappy() {
	c.t.Helper()
	w := s2.NewWriter(c.conn, s2.WriterSnappyCompat(), s2.WriterConcurrency(1), s2.WriterFlushOnWrite())
	c.conn = &through{c.conn, s2.NewReader(c.conn), w.Write}
	c.expect("OK")
}

func (c *client) startDeflate() {
	c.t.Helper()
	w, err := flate.NewWriter(c.conn, 6)
	if err != nil {
		c.t.Fatal(err)
	}
	c.conn = &through{c.conn, flate.NewReader(c.conn), func(p []byte) (int, error) {
		n, err := w.Write(p)
		if err == nil {
			err = w.Flush()
		}
		return n, err
	}}
	c.expect("OK")
}

// negotiate sends an IDENTIFY and makes sure that the reply has these words.
func (c *client) negotiate(ask string, words ...string) {
	c.t.Helper()
	c.send(identify(`{"feature_negotiation":true,` + ask + `}`))
	kind, data, err := c.frame()
	if err != nil || kind != nsqwire.FrameResponse {
		c.t.Fatalf("got frame %d %q, %v", kind, data, err)
	}
	for _, word := range words {
		if !strings.Contains(data, word) {
			c.t.Errorf("the reply %s lacks %s", data, word)
		}
	}
}

func TestConnectionsAreUpgraded(t *testing.T) {
	t.Parallel()
	ca := testcert.NewAuthority(t, "ca")
	_, addr, _ := startBroker(t, secured(t, ca))
	for _, c := range []struct {
		ask   string
		words []string
		start []func(*client)
	}{
		{`"tls_v1":true`, []string{`"tls_v1":true`}, []func(*client){func(c *client) { c.startTLS(ca) }}},
		{`"snappy":true`, []string{`"snappy":true`, `"tls_v1":false`}, []func(*client){(*client).startSnappy}},
		{`"deflate":true`, []string{`"deflate":true`}, []func(*client){(*client).startDeflate}},
		{`"tls_v1":true,"snappy":true`, []string{`"tls_v1":true`, `"snappy":true`},
			[]func(*client){func(c *client) { c.startTLS(ca) }, (*client).startSnappy}},
		{`"tls_v1":true,"deflate":true`, []string{`"tls_v1":true`, `"deflate":true`},
			[]func(*client){func(c *client) { c.startTLS(ca) }, (*client).startDeflate}},
	} {
		t.Run(c.ask, func(t *testing.T) {
			topic := fmt.Sprintf("t%d", rand.Uint32())
			conn := dial(t, addr)
			conn.negotiate(c.ask, c.words...)
			for _, start := range c.start {
				start(conn)
			}
			large := strings.Repeat("a message that is long and compresses well ", 20_000) // 840 KiB: many blocks
			noise := make([]byte, 300_000)
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			bodies := []string{"x", large, string(noise), strings.Repeat("y", 65536), "end"}
			conn.send("SUB " + topic + " c\nRDY 10\n")
			conn.expect("OK")
			for _, body := range bodies {
				conn.send(pub(topic, body))
				got := map[string]bool{}
				for range 2 { // neither the OK nor the message needs to be first
					kind, data, err := conn.frame()
					if err != nil {
						t.Fatal(err)
					}
					if kind == nsqwire.FrameMessage {
						conn.send("FIN " + data[10:26] + "\n")
						data = data[26:]
					}
					got[data] = true
				}
				if !got["OK"] || !got[body] {
					t.Fatalf("a message of %d bytes did not come back", len(body))
				}
			}
			conn.send("CLS\n")
			conn.expect("CLOSE_WAIT")
			conn.send("IDENTIFY\n" + sized("{}"))
			conn.expectError("E_INVALID cannot IDENTIFY in current state")
		})
	}
}

func TestDeflateLevelIsAsAskedWithinTheLimit(t *testing.T) {
	_, addr, _ := startBroker(t, Options{MaxDeflateLevel: 4})
	for ask, level := range map[string]string{
		`"deflate":true`: "4", `"deflate":true,"deflate_level":2`: "2", `"deflate":true,"deflate_level":9`: "4",
		`"deflate":true,"deflate_level":-3`: "4", `"deflate_level":2`: "4",
	} {
		c := dial(t, addr)
		c.negotiate(ask, `"deflate_level":`+level+`,`, `"max_deflate_level":4`)
	}
}

func TestUpgradesThatAreRefused(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send(identify(`{"feature_negotiation":true,"snappy":true,"deflate":true}`))
	c.expectError("E_IDENTIFY_FAILED cannot enable both deflate and snappy compression")
	c.expectClosed()

	_, addr, _ = startBroker(t, Options{NoDeflate: true})
	c = dial(t, addr)
	c.negotiate(`"snappy":true,"deflate":true,"tls_v1":true`, `"deflate":false`, `"snappy":true`, `"tls_v1":false`)
	c.startSnappy()
	c.send(identify(`{}`))
	c.expectError("E_INVALID cannot IDENTIFY in current state")
	c.expectClosed()

	_, addr, _ = startBroker(t, Options{NoSnappy: true})
	c = dial(t, addr)
	c.negotiate(`"snappy":true`, `"snappy":false`)
	c.send(pub("t", "in the clear"))
	c.expect("OK")
}

func TestWithoutFeatureNegotiationNothingIsUpgraded(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send(identify(`{"snappy":true,"deflate":true}`))
	c.expect("OK")
	c.send(pub("t", "in the clear"))
	c.expect("OK")
}

func TestTLSRequiredRefusesEveryCommandWithoutIt(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	o := secured(t, ca)
	o.TLSRequired = true
	_, addr, _ := startBroker(t, o)
	for _, command := range []string{"PUB t\n", "MPUB t\n", "DPUB t 1\n", "SUB t c\n", "AUTH\n", "NOP\n", "RDY 1\n", "CLS\n"} {
		c := dial(t, addr)
		c.send(command)
		verb, _, _ := strings.Cut(strings.TrimSpace(command), " ")
		c.expectError("E_INVALID cannot " + verb + " in current state (TLS required)")
		c.expectClosed()
	}
	c := dial(t, addr)
	c.negotiate(`"snappy":true`, `"snappy":true`)
	c.startSnappy()
	c.send(pub("t", "compressed is not encrypted"))
	c.expectError("E_INVALID cannot PUB in current state (TLS required)")
	c = dial(t, addr)
	c.negotiate(`"tls_v1":true`, `"tls_v1":true`)
	c.startTLS(ca)
	c.send(pub("t", "x"))
	c.expect("OK")
	if _, err := newServer(newFakeBackend(), Options{TLSRequired: true}); err == nil {
		t.Error("TLS can be required without a certificate")
	}
}

func TestFailedHandshakeEndsTheSessionOnly(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	server, addr, _ := startBroker(t, secured(t, ca))
	c := dial(t, addr)
	c.negotiate(`"tls_v1":true`, `"tls_v1":true`)
	c.send("PUB t\n\x00\x00\x00\x01x")
	data, _ := io.ReadAll(bufio.NewReader(c.conn))
	if !bytes.Contains(data, []byte("E_IDENTIFY_FAILED IDENTIFY failed")) {
		t.Errorf("got %q", data)
	}
	eventually(t, "the session is gone", func() bool { return server.Connections() == 0 })
	c = dial(t, addr)
	c.negotiate(`"tls_v1":true`, `"tls_v1":true`)
	conn := tls.Client(c.conn, clientTLS(testcert.NewAuthority(t, "another")))
	if err := conn.Handshake(); err == nil {
		t.Error("a client that trusts somebody else goes on")
	}
	conn.Close()
	eventually(t, "the session is gone", func() bool { return server.Connections() == 0 })
}

func TestWhatComesBeforeTheReplyBelongsToTheNewLayer(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	_, addr, _ := startBroker(t, secured(t, ca))
	// Commands in the clear behind an IDENTIFY that asks for TLS are no part of the encrypted session.
	c := dial(t, addr)
	c.send(identify(`{"feature_negotiation":true,"tls_v1":true}`) + pub("injected", "x"))
	c.frame()
	data, _ := io.ReadAll(bufio.NewReader(c.conn))
	if !bytes.Contains(data, []byte("E_IDENTIFY_FAILED")) {
		t.Errorf("got %q", data)
	}
	// A client in a hurry sends compressed commands at once.
	var packed bytes.Buffer
	w := s2.NewWriter(&packed, s2.WriterSnappyCompat())
	io.WriteString(w, pub("hurried", "x"))
	w.Close()
	c = dial(t, addr)
	c.send(identify(`{"feature_negotiation":true,"snappy":true}`) + packed.String())
	c.frame()
	c.conn = &through{c.conn, s2.NewReader(c.conn), c.conn.Write}
	c.expect("OK")
	c.expect("OK")
}

func TestHeartbeatsGoThroughTheLayers(t *testing.T) {
	t.Parallel()
	ca := testcert.NewAuthority(t, "ca")
	_, addr, _ := startBroker(t, secured(t, ca))
	for name, start := range map[string]func(*client){"snappy": (*client).startSnappy, "deflate": (*client).startDeflate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, addr)
			c.negotiate(`"tls_v1":true,"heartbeat_interval":1000,"` + name + `":true`)
			c.startTLS(ca)
			start(c)
			for range 3 {
				c.expect("_heartbeat_")
				c.send("NOP\n")
			}
			c.conn.SetReadDeadline(time.Now().Add(patience)) // silent now: closed after two heartbeats
			begun := time.Now()
			_, err := io.Copy(io.Discard, c.conn)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // a deflate stream has no other end
				t.Error(err)
			}
			if took := time.Since(begun); took < 1500*time.Millisecond || took > 3500*time.Millisecond {
				t.Errorf("closed after %v", took)
			}
		})
	}
}

func TestStopDuringAHandshakeDoesNotWaitForIt(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	server, addr, _ := startBroker(t, secured(t, ca))
	c := dial(t, addr)
	c.negotiate(`"tls_v1":true`)
	begun := time.Now()
	for _, s := range server.list() {
		s.stop()
	}
	eventually(t, "the session is gone", func() bool { return server.Connections() == 0 })
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSnappyChunksThatAreTooLargeTakeNoMemory(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	announce := func(kind byte, size int, data string) string {
		var head [4]byte
		binary.LittleEndian.PutUint32(head[:], uint32(size)<<8|uint32(kind))
		return string(head[:]) + data
	}
	for name, chunk := range map[string]string{
		"compressed of 16 MiB":     announce(0, 1<<24-1, "1234"),
		"uncompressed of 16 MiB":   announce(1, 1<<24-1, "1234"),
		"decodes to 1 GiB":         announce(0, 16, "1234\x80\x80\x80\x80\x04abcdefg"),
		"wrong checksum":           announce(1, 8, "1234NOP\n"),
		"reserved, not skippable":  announce(2, 4, "1234"),
		"identifier of wrong size": announce(0xff, 9, "sNaPpYxxx"),
	} {
		c := dial(t, addr)
		c.negotiate(`"snappy":true`)
		raw := c.conn
		c.startSnappy()
		c.conn = raw
		before := heap()
		c.send("\xff\x06\x00\x00sNaPpY" + chunk)
		c.conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c.conn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if grown := heap() - before; grown > 8<<20 {
			t.Errorf("%s: the heap grew by %d KiB", name, grown>>10)
		}
	}
}

func TestBombsAreReadInSmallPieces(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, 9)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("NOP\n"), 1<<18)
	for range 32 {
		w.Write(piece)
	}
	io.WriteString(w, pub("t", "still there"))
	w.Flush()
	c := dial(t, addr)
	c.negotiate(`"deflate":true`)
	raw := c.conn
	c.startDeflate()
	before, highest := heap(), int64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw.Write(bomb.Bytes())
	}()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if _, data, err := c.frame(); err != nil || data != "OK" {
			t.Errorf("got %q, %v", data, err)
		}
	}()
	for over := false; !over; {
		highest = max(highest, heap())
		select {
		case <-answered:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	<-done
	if highest > before+8<<20 {
		t.Errorf("32 MiB in %d KiB made the heap grow by %d KiB", bomb.Len()>>10, (highest-before)>>10)
	}
}

func TestCompressorsAreSharedByQuietSessions(t *testing.T) {
	p := new(pools)
	var wire bytes.Buffer
	a := &deflateWriter{to: gather{to: &wire}, level: 6, pools: p}
	var sent bytes.Buffer
	write := func(w io.Writer, text string) {
		if n, err := io.WriteString(w, text); err != nil || n != len(text) {
			t.Fatal(n, err)
		}
		sent.WriteString(text)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		write(a, strings.Repeat(fmt.Sprint("message ", i%7, " "), 1+chance.IntN(3000)))
		if a.held == nil && sent.Len() > smallWrite && i == 0 {
			t.Fatal("no compressor is kept between messages")
		}
		if chance.IntN(3) == 0 {
			a.release()
			write(a, "heartbeat")
			if a.held != nil {
				t.Fatal("a heartbeat takes a compressor")
			}
			other := &deflateWriter{to: gather{to: io.Discard}, level: 6, pools: p}
			io.WriteString(other, strings.Repeat("another session's ", 100)) // dirties what it took from the pool
			other.release()
		}
	}
	got := make([]byte, sent.Len())
	if _, err := io.ReadFull(flate.NewReader(&wire), got); err != nil || !bytes.Equal(got, sent.Bytes()) {
		t.Fatalf("what arrives differs: %v", err)
	}
}

func TestGoNSQThroughEveryLayer(t *testing.T) {
	t.Parallel()
	ca := testcert.NewAuthority(t, "ca")
	server, addr, _ := startBroker(t, secured(t, ca))
	for name, change := range map[string]func(*nsq.Config){
		"tls":         func(c *nsq.Config) { c.TlsV1, c.TlsConfig = true, clientTLS(ca) },
		"snappy":      func(c *nsq.Config) { c.Snappy = true },
		"deflate":     func(c *nsq.Config) { c.Deflate, c.DeflateLevel = true, 1 },
		"tls snappy":  func(c *nsq.Config) { c.TlsV1, c.TlsConfig, c.Snappy = true, clientTLS(ca), true },
		"tls deflate": func(c *nsq.Config) { c.TlsV1, c.TlsConfig, c.Deflate = true, clientTLS(ca), true },
	} {
		t.Run(name, func(t *testing.T) {
			topic := strings.ReplaceAll(name, " ", "_")
			var mu sync.Mutex
			got := map[string]int{}
			goNSQConsumer(t, addr, topic, "c", func(m *nsq.Message) error {
				mu.Lock()
				defer mu.Unlock()
				got[string(m.Body)]++
				return nil
			}, change)
			config := nsq.NewConfig()
			change(config)
			p, err := nsq.NewProducer(addr, config)
			if err != nil {
				t.Fatal(err)
			}
			p.SetLoggerLevel(nsq.LogLevelError)
			defer p.Stop()
			const total = 2000
			done := make(chan *nsq.ProducerTransaction, total)
			for i := range total {
				body := fmt.Sprint(i, strings.Repeat(" padding", i%500))
				if err := p.PublishAsync(topic, []byte(body), done); err != nil {
					t.Fatal(err)
				}
			}
			for range total {
				if tx := <-done; tx.Error != nil {
					t.Fatal(tx.Error)
				}
			}
			eventually(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == total })
			want := strings.Contains(name, "tls")
			for _, client := range server.Producers() {
				if client.PubCounts[0].Topic == topic && (client.TLS != want || client.Snappy != strings.Contains(name, "snappy") ||
					client.Deflate != strings.Contains(name, "deflate")) {
					t.Errorf("/stats would show %+v", client)
				}
			}
		})
	}
}
