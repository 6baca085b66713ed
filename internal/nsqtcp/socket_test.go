package nsqtcp

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// socketPair returns the reading side of a loopback connection, and both ends.
func socketPair(t *testing.T, l *lone) (*socket, net.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	s, ok := newSocket(server, l).(*socket)
	if !ok {
		t.Skip("no patience here: one processor, or no descriptors")
	}
	return s, client, server
}

// exchangeByte sends a byte and reads it at the other side; late is how long the reader waits before.
func exchangeByte(t *testing.T, s *socket, client net.Conn, late time.Duration) {
	t.Helper()
	go func() {
		time.Sleep(late)
		_, _ = client.Write([]byte{1}) // a failure shows as a read that ends
	}()
	if n, err := s.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("read %d bytes, error %v", n, err)
	}
}

func TestASlowClientEarnsNoTrust(t *testing.T) {
	s, client, _ := socketPair(t, new(lone))
	exchangeByte(t, s, client, 0)
	s.trust = maxTrust
	exchangeByte(t, s, client, 20*prompt)
	if s.trust != 0 {
		t.Errorf("trust %d", s.trust)
	}
}

func TestAPromptReadEarnsTrustUpToTheLimit(t *testing.T) {
	s, _, _ := socketPair(t, new(lone))
	s.judge() // becomes the only one
	for range 2 * maxTrust {
		s.waits, s.since = true, time.Now()
		s.judge()
	}
	if s.trust == 0 || s.trust > maxTrust {
		t.Errorf("trust %d", s.trust)
	}
	before := s.trust
	s.waits = false
	if s.judge(); s.trust != before {
		t.Errorf("what was there already has changed trust to %d", s.trust)
	}
}

func TestAnotherSessionEndsTrust(t *testing.T) {
	var l lone
	a, clientA, _ := socketPair(t, &l)
	b, clientB, _ := socketPair(t, &l)
	exchangeByte(t, a, clientA, 0)
	a.trust = maxTrust
	exchangeByte(t, b, clientB, 0)
	exchangeByte(t, a, clientA, 0)
	if a.trust != 0 {
		t.Errorf("trust %d beside another session", a.trust)
	}
}

func TestPatienceInVainIsPaidForAndKeepsTheDeadline(t *testing.T) {
	s, client, server := socketPair(t, new(lone))
	exchangeByte(t, s, client, 0)
	s.trust = maxTrust
	if err := server.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Read(make([]byte, 8))
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v", err)
	}
	if s.trust != maxTrust-vainPatience {
		t.Errorf("trust %d", s.trust)
	}
}

func TestASocketReportsTheEnd(t *testing.T) {
	s, client, _ := socketPair(t, new(lone))
	client.Close()
	if n, err := s.Read(make([]byte, 8)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}
