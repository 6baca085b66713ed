package publish

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/tools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// standIn answers PUB as nsqd does. After every so many messages of a connection it takes one without an answer and hangs up.
type standIn struct {
	listener net.Listener
	hangUp   int // 0: never
	serving  sync.WaitGroup

	mu  sync.Mutex
	got map[string]bool // true: answered OK; false: taken without an answer
}

func startStandIn(t *testing.T, hangUp int) *standIn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{listener: listener, hangUp: hangUp, got: map[string]bool{}}
	s.serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.serving.Wait() })
	return s
}

func (s *standIn) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	in.Discard(4)
	for n := 0; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if command != "IDENTIFY" && command != "PUB" {
			continue
		}
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		kind, answer := uint32(0), "OK"
		if command == "PUB" {
			n++
			last := n == s.hangUp
			if string(body) == "refused" {
				kind, answer = 1, "E_BAD_MESSAGE refused"
			} else {
				s.mu.Lock()
				s.got[string(body)] = s.got[string(body)] || !last
				s.mu.Unlock()
			}
			if last {
				return
			}
		}
		frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(answer)))
		frame = append(binary.BigEndian.AppendUint32(frame, kind), answer...)
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}

func newPublisher(t *testing.T, address string) *Publisher {
	t.Helper()
	cfg, err := tools.NewConfig("nsq_to_nsq", nil)
	if err != nil {
		t.Fatal(err)
	}
	return NewPublisher(address, cfg, slog.New(slog.DiscardHandler))
}

// Whoever is told OK has a message that the nsqd has answered, however often connections break.
func TestEachAnswerBelongsToItsMessage(t *testing.T) {
	s := startStandIn(t, 37)
	p := newPublisher(t, s.listener.Addr().String())
	var publishing sync.WaitGroup
	var mu sync.Mutex
	ok, lost := []string{}, 0
	for g := range 20 {
		publishing.Go(func() {
			for i := range 100 {
				body := fmt.Sprintf("%d-%d", g, i)
				err := p.Publish("t", []byte(body))
				mu.Lock()
				if err == nil {
					ok = append(ok, body)
				} else {
					lost++
				}
				mu.Unlock()
			}
		})
	}
	publishing.Wait()
	p.Close()
	for _, body := range ok {
		if !s.got[body] {
			t.Fatalf("%s was told OK, and was not answered", body)
		}
	}
	if len(ok)+lost != 2000 || lost == 0 || len(ok) < 500 {
		t.Errorf("%d OK, %d lost", len(ok), lost)
	}
}

func TestARefusalIsTheMessagesAloneAndNoBrokerIsAnError(t *testing.T) {
	s := startStandIn(t, 0)
	p := newPublisher(t, s.listener.Addr().String())
	if err := p.Publish("t", []byte("refused")); err == nil || errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "E_BAD_MESSAGE") {
		t.Errorf("got %v", err)
	}
	if err := p.Publish("t", []byte("taken")); err != nil {
		t.Error(err)
	}
	p.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	p = newPublisher(t, gone.Addr().String())
	if err := p.Publish("t", []byte("nowhere")); err == nil {
		t.Error("published to nobody")
	}
	p.Close()
}
