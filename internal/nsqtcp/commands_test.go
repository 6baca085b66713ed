package nsqtcp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const anyID = "0123456789abcdef"

// TestEveryRefusalClosesOrNot is the contract: for each error its text, and whether the connection lives on.
func TestEveryRefusalClosesOrNot(t *testing.T) {
	_, addr, _ := startBroker(t, Options{MaxMsgSize: 100, MaxBodySize: 300})
	sub := "SUB t c\n"
	for _, tc := range []struct {
		name, in string
		oks      string // frames before the error, separated by spaces
		want     string
		open     bool
	}{
		{name: "unknown command", in: "HELLO\n", want: "E_INVALID invalid command HELLO"},
		{name: "empty line", in: "\n", want: "E_INVALID invalid command "},
		{name: "lower case", in: "pub t\n", want: "E_INVALID invalid command pub"},
		{name: "long line", in: strings.Repeat("x", 20000), want: "E_INVALID command line longer than 16384 bytes"},
		{name: "IDENTIFY after SUB", in: sub + "IDENTIFY\n", oks: "OK", want: "E_INVALID cannot IDENTIFY in current state"},
		{name: "IDENTIFY without JSON", in: identify("x"), want: "E_BAD_BODY IDENTIFY failed to decode JSON body"},
		{name: "IDENTIFY empty", in: "IDENTIFY\n" + length(0), want: "E_BAD_BODY IDENTIFY invalid body size 0"},
		{name: "IDENTIFY too big", in: "IDENTIFY\n" + length(301), want: "E_BAD_BODY IDENTIFY body too big 301 > 300"},
		{name: "IDENTIFY range", in: identify(`{"msg_timeout":5}`), want: "E_BAD_BODY IDENTIFY msg timeout (5) is invalid"},
		{name: "AUTH", in: "AUTH\n" + sized("secret"), want: "E_AUTH_DISABLED AUTH disabled"},
		{name: "AUTH with parameter", in: "AUTH x\n", want: "E_INVALID AUTH invalid number of parameters"},
		{name: "AUTH after SUB", in: sub + "AUTH\n", oks: "OK", want: "E_INVALID cannot AUTH in current state"},
		{name: "SUB bad topic", in: "SUB t* c\n", want: `E_BAD_TOPIC SUB topic name "t*" is not valid`},
		{name: "SUB bad channel", in: "SUB t c*\n", want: `E_BAD_CHANNEL SUB channel name "c*" is not valid`},
		{name: "SUB short", in: "SUB t\n", want: "E_INVALID SUB insufficient number of parameters"},
		{name: "SUB twice", in: sub + sub, oks: "OK", want: "E_INVALID cannot SUB in current state"},
		{
			name: "SUB without heartbeats", in: identify(`{"heartbeat_interval":-1}`) + sub, oks: "OK",
			want: "E_INVALID cannot SUB with heartbeats disabled",
		},
		{name: "RDY before SUB", in: "RDY 1\n", want: "E_INVALID cannot RDY in current state"},
		{name: "RDY beyond", in: sub + "RDY 2501\n", oks: "OK", want: "E_INVALID RDY count 2501 out of range 0-2500"},
		{name: "RDY letters", in: sub + "RDY x\n", oks: "OK", want: "E_INVALID RDY could not parse count x"},
		{name: "FIN before SUB", in: "FIN " + anyID + "\n", want: "E_INVALID cannot FIN in current state"},
		{name: "FIN before SUB, malformed too", in: "FIN\n", want: "E_INVALID cannot FIN in current state"},
		{name: "FIN short", in: sub + "FIN\n", oks: "OK", want: "E_INVALID FIN insufficient number of params"},
		{name: "FIN short id", in: sub + "FIN 12\n", oks: "OK", want: "E_INVALID invalid message ID"},
		{name: "FIN unknown", in: sub + "FIN " + anyID + "\n", oks: "OK", want: "E_FIN_FAILED FIN " + anyID + " failed ID not in flight", open: true},
		{name: "FIN garbage id", in: sub + "FIN zzzzzzzzzzzzzzzz\n", oks: "OK", want: "E_FIN_FAILED FIN zzzzzzzzzzzzzzzz failed ID not in flight", open: true},
		{name: "REQ unknown", in: sub + "REQ " + anyID + " 0\n", oks: "OK", want: "E_REQ_FAILED REQ " + anyID + " failed ID not in flight", open: true},
		{name: "REQ negative", in: sub + "REQ " + anyID + " -1\n", oks: "OK", want: "E_INVALID REQ could not parse timeout -1"},
		{name: "REQ before SUB", in: "REQ " + anyID + " 0\n", want: "E_INVALID cannot REQ in current state"},
		{name: "TOUCH unknown", in: sub + "TOUCH " + anyID + "\n", oks: "OK", want: "E_TOUCH_FAILED TOUCH " + anyID + " failed ID not in flight", open: true},
		{name: "TOUCH before SUB", in: "TOUCH " + anyID + "\n", want: "E_INVALID cannot TOUCH in current state"},
		{name: "CLS before SUB", in: "CLS\n", want: "E_INVALID cannot CLS in current state"},
		{name: "CLS twice", in: sub + "CLS\nCLS\n", oks: "OK CLOSE_WAIT", want: "E_INVALID cannot CLS in current state"},
		{name: "RDY after CLS", in: sub + "CLS\nRDY 5\nSUB t c\n", oks: "OK CLOSE_WAIT", want: "E_INVALID cannot SUB in current state"},
		{name: "FIN after CLS", in: sub + "CLS\nFIN " + anyID + "\n", oks: "OK CLOSE_WAIT", want: "E_FIN_FAILED FIN " + anyID + " failed ID not in flight", open: true},
		{name: "PUB short", in: "PUB\n", want: "E_INVALID PUB insufficient number of parameters"},
		{name: "PUB bad topic", in: "PUB a/b\n", want: `E_BAD_TOPIC PUB topic name "a/b" is not valid`},
		{name: "PUB empty", in: "PUB t\n" + length(0), want: "E_BAD_MESSAGE PUB invalid message body size 0"},
		{name: "PUB too big", in: "PUB t\n" + length(101), want: "E_BAD_MESSAGE PUB message too big 101 > 100"},
		{name: "PUB 1 GiB", in: "PUB t\n" + length(1<<30), want: "E_BAD_MESSAGE PUB message too big 1073741824 > 100"},
		{name: "PUB after a good one", in: pub("t", "x") + "PUB t\n" + length(-1), oks: "OK", want: "E_BAD_MESSAGE PUB invalid message body size -1"},
		{name: "DPUB range", in: "DPUB t 3600001\n", want: "E_INVALID DPUB timeout 3600001 out of range 0-3600000"},
		{name: "MPUB bad topic", in: "MPUB a/b\n", want: `E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "a/b" is not valid`},
		{name: "MPUB too big", in: "MPUB t\n" + length(1<<30), want: "E_BAD_BODY MPUB body too big 1073741824 > 300"},
		{name: "MPUB no messages", in: "MPUB t\n" + sized(length(0)), want: "E_BAD_BODY MPUB invalid message count 0"},
		{name: "MPUB bad message", in: mpub("t", "x", ""), want: "E_BAD_MESSAGE MPUB invalid message(1) body size 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(tc.in)
			for _, ok := range strings.Fields(tc.oks) {
				c.expect(ok)
			}
			c.expectError(tc.want)
			if !tc.open {
				c.expectClosed()
				return
			}
			c.send(pub("other", "x"))
			c.expect("OK")
		})
	}
}

func TestBadMagicIsRefused(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dialSilent(t, addr)
	c.send("GET / HTTP/1.1\r\n\r\n")
	c.expectError("E_BAD_PROTOCOL")
	c.expectClosed()
}

func TestIdentifyNegotiates(t *testing.T) {
	_, addr, _ := startBroker(t, Options{Version: "1.3.0+weir.test", NoSnappy: true})
	c := dial(t, addr)
	c.send(identify(`{"feature_negotiation":true,"heartbeat_interval":1000,"msg_timeout":2000,"sample_rate":7,"tls_v1":true,` +
		`"snappy":true,"output_buffer_size":-1,"unknown":1}`))
	c.expect(`{"max_rdy_count":2500,"version":"1.3.0+weir.test","max_msg_timeout":900000,"msg_timeout":2000,"tls_v1":false,` +
		`"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":7,"auth_required":false,` +
		`"output_buffer_size":1,"output_buffer_timeout":0,"topology_region":"","topology_zone":""}`)
	c.send(identify(`{}`))
	c.expect("OK")
}

func TestMessagesTravel(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	before := time.Now().UnixNano()
	c := dial(t, addr)
	c.send("SUB t c\nRDY 10\n" + pub("t", "one") + mpub("t", "two", "three") + pub("t", "four") + "NOP\n")
	c.expect("OK") // of SUB
	var oks int
	got := map[string]message{}
	for len(got) < 4 || oks < 3 {
		kind, data, err := c.frame()
		switch {
		case err != nil:
			t.Fatal(err)
		case kind == 0 && data == "OK":
			oks++
		case kind == 2:
			got[data[26:]] = message{id: data[10:26], attempts: uint16(data[9])}
		}
	}
	ids := map[string]bool{}
	for body, m := range got {
		if m.attempts != 1 || ids[m.id] {
			t.Errorf("%s: %+v", body, m)
		}
		ids[m.id] = true
		c.send("FIN " + m.id + "\n")
	}
	for id := range ids { // finished once, gone
		c.send("FIN " + id + "\n")
		c.expectError("E_FIN_FAILED FIN " + id + " failed ID not in flight")
	}
	c.send(pub("t", "last"))
	var last message
	for range 2 { // the OK and the message, in any order
		if kind, data, err := c.frame(); err != nil {
			t.Fatal(err)
		} else if kind == 2 {
			last = message{time: int64(be64(data)), body: data[26:]}
		}
	}
	if last.body != "last" || last.time < before || last.time > time.Now().UnixNano() {
		t.Errorf("got %+v", last)
	}
}

func be64(s string) (n uint64) {
	for i := range 8 {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func TestRequeueCountsAttemptsAndWaits(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 1\n")
	c.expect("OK")
	p := dial(t, addr)
	p.send(pub("t", "x"))
	p.expect("OK")
	m := c.expectMessage()
	c.send("REQ " + m.id + " 0\n")
	again := c.expectMessage()
	if again.id != m.id || again.attempts != 2 || again.time != m.time {
		t.Fatalf("got %+v after %+v", again, m)
	}
	start := time.Now()
	c.send("REQ " + m.id + " 100\n")
	if third := c.expectMessage(); third.attempts != 3 || time.Since(start) < 100*time.Millisecond {
		t.Fatalf("got %+v after %v", third, time.Since(start))
	}
}

func TestDeferredPublishWaits(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 5\n")
	c.expect("OK")
	p := dial(t, addr)
	start := time.Now()
	p.send("DPUB t 150\n" + sized("later") + pub("t", "now"))
	p.expect("OK")
	p.expect("OK")
	if m := c.expectMessage(); m.body != "now" {
		t.Fatalf("got %+v first", m)
	}
	if m := c.expectMessage(); m.body != "later" || time.Since(start) < 150*time.Millisecond {
		t.Fatalf("got %+v after %v", m, time.Since(start))
	}
}

func TestTouchKeepsAMessageInFlight(t *testing.T) {
	t.Parallel()
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send(identify(`{"msg_timeout":1000}`), "SUB t c\nRDY 1\n", pub("t", "x"))
	c.expect("OK")
	c.expect("OK")
	var m message
	for m.id == "" {
		if kind, data, err := c.frame(); err != nil {
			t.Fatal(err)
		} else if kind == 2 {
			m = message{id: data[10:26]}
		}
	}
	for range 3 {
		time.Sleep(500 * time.Millisecond)
		c.send("TOUCH " + m.id + "\n")
	}
	if again := c.expectMessage(); again.id != m.id || again.attempts != 2 {
		t.Fatalf("after the timeout: %+v", again)
	}
}

func TestMessagesStopAtRDYAndCLS(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 2\n")
	c.expect("OK")
	p := dial(t, addr)
	for i := range 5 {
		p.send(pub("t", fmt.Sprint(i)))
		p.expect("OK")
	}
	first := c.expectMessage()
	c.expectMessage()
	c.expectNothing(50 * time.Millisecond)
	c.send("FIN " + first.id + "\n")
	third := c.expectMessage()
	c.send("CLS\n")
	c.expect("CLOSE_WAIT")
	c.send("FIN " + third.id + "\nRDY 100\n")
	c.expectNothing(50 * time.Millisecond)
}

func TestDisconnectGivesMessagesBackAtOnce(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	a, b := dial(t, addr), dial(t, addr)
	a.send("SUB t c\nRDY 10\n" + mpub("t", "1", "2", "3"))
	a.expect("OK")
	ids := map[string]string{}
	for len(ids) < 3 {
		if kind, data, err := a.frame(); err != nil {
			t.Fatal(err)
		} else if kind == 2 {
			ids[data[26:]] = data[10:26]
		}
	}
	b.send("SUB t c\nRDY 10\n")
	b.expect("OK")
	a.send("FIN " + ids["2"] + "\n") // executed although the end follows at once
	a.conn.Close()
	for range 2 {
		if m := b.expectMessage(); m.body == "2" || m.attempts != 2 || m.id != ids[m.body] {
			t.Errorf("got %+v", m)
		}
	}
	b.expectNothing(50 * time.Millisecond)
}

func TestDeletedChannelEndsItsSessions(t *testing.T) {
	_, addr, b := startBroker(t, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 1\n")
	c.expect("OK")
	topic, ok := b.Topic("t")
	if !ok {
		t.Fatal("no topic")
	}
	if err := topic.DeleteChannel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	c.expectClosed()
}

func TestHalfClosedClientGetsItsAnswers(t *testing.T) {
	_, addr, _ := startBroker(t, Options{})
	for in, want := range map[string]string{
		"":                                "",
		"PUB t":                           "",
		"PUB t\n" + length(5) + "he":      "E_BAD_MESSAGE PUB failed to read message body",
		"MPUB t\n" + length(50) + "\x00":  "E_BAD_BODY MPUB failed to read message count",
		"IDENTIFY\n" + length(50) + "{\"": "E_BAD_BODY IDENTIFY failed to read body",
	} {
		c := dial(t, addr)
		c.send(pub("t", "x"), pub("t", "y"), in)
		if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expect("OK")
		c.expect("OK")
		if want != "" {
			c.expectError(want)
		}
		c.expectClosed()
	}
}
