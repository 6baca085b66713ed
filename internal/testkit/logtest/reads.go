package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// expectReads fails the test unless every message reads as the batch that was applied.
func (s *subject) expectReads() {
	s.t.Helper()
	rd := s.log.NewReader()
	start, _ := s.log.Bounds()
	for _, e := range s.machine.Entries() {
		if e.Kind != record.KindBatch || e.Base < start {
			continue
		}
		for off := e.Base; off < e.Next(); off++ {
			b, at, err := rd.Batch(off)
			if err != nil {
				s.t.Fatalf("read offset %d: %v", off, err)
			}
			if !bytes.Equal(b, e.Payload) || at != e.Time {
				s.t.Fatalf("offset %d reads as %d bytes of time %d, applied were %d of time %d",
					off, len(b), at, len(e.Payload), e.Time)
			}
			if off%5 == 0 {
				rd.Release()
			}
		}
	}
	rd.Release()
}

func testReads(t *testing.T, s *subject) {
	s.publishMany(40)
	large := make([]byte, 300<<10)
	rand.NewChaCha8([32]byte{1}).Read(large)
	s.publish(large)
	s.publish(nil, []byte{}, []byte("after two empty ones"))
	if p := Propose(s.log, s.machine, record.KindControl, []byte("between")).Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	if err := s.log.Roll(); err != nil {
		t.Fatal(err)
	}
	s.publishMany(10)
	s.expectReads()
	s.restart(0)
	s.expectReads()
}

func testReadBounds(t *testing.T, s *subject) {
	rd := s.log.NewReader()
	for _, off := range []record.Offset{-1, 0, 1, 1 << 40} {
		if _, _, err := rd.Batch(off); !errors.Is(err, broker.ErrOffsetOutOfRange) {
			t.Errorf("offset %d of an empty log: %v", off, err)
		}
	}
	s.publish([]byte("a"), []byte("b"))
	for _, off := range []record.Offset{-1, 2, 1 << 40} {
		if _, _, err := rd.Batch(off); !errors.Is(err, broker.ErrOffsetOutOfRange) {
			t.Errorf("offset %d of two messages: %v", off, err)
		}
	}
	if _, _, err := rd.Batch(1); err != nil {
		t.Errorf("offset 1 after errors: %v", err)
	}
}

func testReadWhileProposing(t *testing.T, s *subject) {
	const messages = 400
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			rd := s.log.NewReader()
			defer rd.Release()
			for off := record.Offset(0); off < messages; {
				if !s.machine.await(func() bool { _, end := s.log.Bounds(); return off < end }) {
					t.Errorf("offset %d was not committed for %v", off, Patience)
					return
				}
				b, _, err := rd.Batch(off)
				if err != nil {
					t.Errorf("read offset %d: %v", off, err)
					return
				}
				bodies, err := Bodies(b)
				if want := fmt.Sprint("body ", off); err != nil || string(bodies[off]) != want {
					t.Errorf("offset %d holds %q, %v", off, bodies[off], err)
					return
				}
				off++
			}
		})
	}
	var seq sequence
	for i := range messages {
		seq.propose(s.log, fmt.Append(nil, "body ", i))
		if i%50 == 49 {
			seq.wg.Wait()
		}
	}
	seq.wg.Wait()
	wg.Wait()
}
