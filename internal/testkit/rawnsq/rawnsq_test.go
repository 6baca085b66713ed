package rawnsq

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve accepts one connection, checks the magic and hands it to the script; the test ends when the script has.
func serve(t *testing.T, script func(in *bufio.Reader, out net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		in := bufio.NewReader(c)
		if got := read(in, 4); got != "  V2" {
			t.Errorf("magic is %q", got)
			return
		}
		script(in, c)
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func read(in *bufio.Reader, n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(in, b); err != nil {
		return err.Error()
	}
	return string(b)
}

func line(in *bufio.Reader) string {
	s, err := in.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(s, "\n")
}

func body(in *bufio.Reader) string {
	return read(in, int(binary.BigEndian.Uint32([]byte(read(in, 4)))))
}

func frame(kind FrameType, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+4))
	return append(binary.BigEndian.AppendUint32(b, uint32(kind)), data...)
}

func message(id, text string) []byte {
	b := binary.BigEndian.AppendUint64(nil, 77)
	b = binary.BigEndian.AppendUint16(b, 3)
	return frame(Message, string(b)+id+text)
}

func TestPublisherTellsWhatWasAnsweredAndWhatNobodyKnows(t *testing.T) {
	addr := serve(t, func(in *bufio.Reader, out net.Conn) {
		for i := range 2 {
			if got := line(in); got != "PUB t" {
				t.Errorf("command is %q", got)
			}
			body(in)
			switch i {
			case 0:
				out.Write(frame(Response, "OK"))
			case 1:
				out.Write(frame(Response, Heartbeat))
				if got := line(in); got != "PUB t" && got != "NOP" { // whichever comes first
					t.Errorf("after a heartbeat came %q", got)
				} else if got == "PUB t" {
					body(in)
				}
				out.Write(frame(Error, "E_BAD_MESSAGE no"))
				return
			}
		}
	})
	var mu sync.Mutex
	outcomes := map[uint64]error{}
	p, err := NewPublisher(addr, 2, func(tag uint64, err error) {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := outcomes[tag]; twice {
			t.Errorf("tag %d has two outcomes", tag)
		}
		outcomes[tag] = err
	})
	if err != nil {
		t.Fatal(err)
	}
	for tag := range uint64(5) {
		p.Publish(tag, AppendPub(nil, "t", []byte("x")))
	}
	p.Wait()
	p.Close()
	if len(outcomes) != 5 || outcomes[0] != nil {
		t.Fatalf("outcomes are %v", outcomes)
	}
	var refused BrokerError
	if !errors.As(outcomes[1], &refused) || refused != "E_BAD_MESSAGE no" {
		t.Errorf("the refused command ended with %v", outcomes[1])
	}
	for tag := uint64(2); tag < 5; tag++ {
		if !errors.Is(outcomes[tag], ErrUnknown) {
			t.Errorf("command %d ended with %v, want ErrUnknown", tag, outcomes[tag])
		}
	}
	if err := p.Publish(9, AppendPub(nil, "t", []byte("x"))); err == nil || !errors.Is(outcomes[9], ErrUnknown) {
		t.Errorf("publishing on an ended connection: %v, outcome %v", err, outcomes[9])
	}
}

func TestPublisherKeepsItsWindow(t *testing.T) {
	most := 0
	addr := serve(t, func(in *bufio.Reader, out net.Conn) {
		for answered, unanswered := 0, 0; answered < 100; answered++ {
			for unanswered == 0 || in.Buffered() > 0 {
				line(in)
				body(in)
				unanswered++
			}
			most = max(most, unanswered)
			out.Write(frame(Response, "OK"))
			unanswered--
		}
		in.ReadByte() // until the client closes
	})
	count := 0
	p, err := NewPublisher(addr, 7, func(_ uint64, err error) {
		if err == nil {
			count++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for tag := range uint64(100) {
		if err := p.Publish(tag, AppendPub(nil, "t", []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if count != 100 {
		t.Errorf("%d answered after Wait", count)
	}
	p.Close()
	if most < 2 || most > 7 {
		t.Errorf("the server saw up to %d unanswered commands, want 2 to 7", most)
	}
}

func TestConsumerDeliversAndSendsItsCommands(t *testing.T) {
	var got []string
	addr := serve(t, func(in *bufio.Reader, out net.Conn) {
		got = append(got, line(in))
		body(in)
		out.Write(frame(Response, `{"max_rdy_count":2500}`))
		got = append(got, line(in))
		out.Write(frame(Response, "OK"))
		got = append(got, line(in))
		out.Write(frame(Response, Heartbeat))
		got = append(got, line(in))
		first, second := message("0123456789abcdef", "one"), message("fedcba9876543210", "two")
		out.Write(append(slices.Clone(first), second[:30]...)) // the rest of the second comes only after the FIN of the first
		got = append(got, line(in))
		out.Write(second[30:])
		out.Write(frame(Error, "E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"))
		got = append(got, line(in), line(in), line(in))
		out.Write(frame(Response, "CLOSE_WAIT"))
	})
	var failed []BrokerError
	c, err := NewConsumer(addr, "t", "c", ConsumerOptions{Ready: 5, Failed: func(e BrokerError) { failed = append(failed, e) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := c.Next()
	if err != nil || string(d.Body) != "one" || d.Attempts != 3 || d.Time.UnixNano() != 77 {
		t.Fatalf("first: %+v, %v", d, err)
	}
	c.Finish(d.ID)
	d, err = c.Next()
	if err != nil || string(d.Body) != "two" {
		t.Fatalf("second: %+v, %v", d, err)
	}
	c.Touch(d.ID)
	c.Requeue(d.ID, 1500*time.Millisecond)
	c.Cls()
	if _, err := c.Next(); !errors.Is(err, ErrCloseWait) {
		t.Errorf("after CLS: %v", err)
	}
	want := []string{"IDENTIFY", "SUB t c", "RDY 5", "NOP", "FIN 0123456789abcdef", "TOUCH fedcba9876543210", "REQ fedcba9876543210 1500", "CLS"}
	if !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
	if len(failed) != 1 || c.Heartbeats != 1 {
		t.Errorf("failed %v, heartbeats %d", failed, c.Heartbeats)
	}
}

func TestMultiHasCountAndSizes(t *testing.T) {
	got := AppendMulti(nil, "t", [][]byte{[]byte("a"), []byte("bc")})
	want := "MPUB t\n\x00\x00\x00\x0f\x00\x00\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x02bc"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
