package nsqtcp

import (
	"net"
	"testing"

	"github.com/weirmq/weir/internal/nsqwire"
)

// A committing goroutine that finds no room must leave the answer where it is, not take it off and forget it.
func TestAnAnswerWithoutRoomIsLeftToTheWritingGoroutine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := newServer(newFakeBackend(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(server, conn)
	s.out.buf = make([]byte, flushSize)
	b := &batch{session: s, verb: nsqwire.PUB, name: "t"}
	s.answers.push(answer{batch: b, commands: 1})

	b.Proposed(&b.proposal)

	if !s.answers.ready() {
		t.Error("the answer is neither sent nor waiting")
	}
	if len(s.wakeC) == 0 || !s.owner.accept() {
		t.Error("the writing goroutine was not given the output")
	}
}
