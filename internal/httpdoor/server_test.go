package httpdoor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientThatDoesNotReadIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		c := &boundedConn{Conn: server, in: &boundedListener{placeC: make(chan struct{}, 1)}}
		c.in.placeC <- struct{}{}
		defer c.Close()
		begun := time.Now()
		if _, err := c.Write([]byte("an answer")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took != writeTimeout {
			t.Errorf("after %v", took)
		}
		go io.ReadFull(client, make([]byte, 6))
		if _, err := c.Write([]byte("second")); err != nil {
			t.Errorf("one that reads again: %v", err)
		}
	})
}

func TestConnectionsBeyondTheBoundWait(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := Bound(inner, 1)
	acceptedC := make(chan net.Conn)
	endC := make(chan struct{})
	go func() {
		defer close(endC)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			acceptedC <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-acceptedC
	select {
	case <-acceptedC:
		t.Fatal("a second connection was accepted")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close() // gives its place back once
	second := <-acceptedC
	ln.Close()
	<-endC // although all places are taken
	second.Close()
}

// A client that keeps connections open may have one that it has never used. A stop does not wait for it.
func TestShutdownDoesNotWaitForUnusedConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(Bound(ln, 10)) }()
	unused, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	if resp, err := http.Get("http://" + ln.Addr().String()); err != nil { // accepted after the other one
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
}
