package nsqhttp

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/httpdoor"
)

// trickle gives one byte at a time, then fails if it is told to.
type trickle struct {
	left int
	err  error
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, r.err
	}
	r.left--
	p[0] = 'x'
	return 1, nil
}

func TestBodiesAreBoundedTogether(t *testing.T) {
	b := &bodies{limit: 10_000}
	read := func(n int) (*body, error) {
		return b.read(httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", n))), 9000, httpdoor.NewError(413, "BIG"))
	}
	first, err := read(5000)
	if err != nil || len(first.bytes) != 5000 {
		t.Fatal(err)
	}
	if _, err := read(5000); err != errOverloaded {
		t.Errorf("beyond the bound: %v", err)
	}
	first.release()
	if used := b.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
	if again, err := read(9000); err != nil || len(again.bytes) != 9000 {
		t.Errorf("after the release: %v", err)
	}
}

func TestBodyTakesMemoryAsItArrives(t *testing.T) {
	b := &bodies{limit: 1 << 20}
	r := httptest.NewRequest("POST", "/", &trickle{left: 100, err: io.EOF})
	r.ContentLength = 1 << 19 // a promise
	in, err := b.read(r, 1<<19, httpdoor.NewError(413, "BIG"))
	if err != nil || !bytes.Equal(in.bytes, bytes.Repeat([]byte("x"), 100)) {
		t.Fatalf("got %v", err)
	}
	if used := b.used.Load(); used != firstBodyBytes {
		t.Errorf("100 bytes took %d", used)
	}
}

func TestBrokenOffAndTooLongBodiesGiveTheirMemoryBack(t *testing.T) {
	b := &bodies{limit: 1 << 20}
	for _, r := range []*trickle{{left: 100, err: io.ErrUnexpectedEOF}, {left: 1001, err: io.EOF}} {
		if _, err := b.read(httptest.NewRequest("POST", "/", r), 1000, httpdoor.NewError(413, "BIG")); err == nil {
			t.Error("no error")
		}
	}
	if used := b.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}
