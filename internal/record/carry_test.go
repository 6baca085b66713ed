package record

import (
	"bytes"
	"errors"
	"testing"
)

func TestCarriedPartsComeBackInOrder(t *testing.T) {
	var b Builder
	b.Append([]byte("one"), 0)
	first := b.Finish(1)
	b.Append([]byte("two"), 5)
	second := b.Finish(2)
	payload := AppendCarried(AppendCarried(nil, 11, first), 22, second)
	for _, want := range []struct {
		time  int64
		batch Batch
	}{{11, first}, {22, second}} {
		time, batch, rest, err := NextCarried(payload)
		if err != nil || time != want.time || !bytes.Equal(batch, want.batch) {
			t.Fatalf("got %d %x %v, want %d %x", time, batch, err, want.time, want.batch)
		}
		payload = rest
	}
	if len(payload) != 0 {
		t.Fatalf("%d bytes are left", len(payload))
	}
}

func FuzzNextCarried(f *testing.F) {
	var b Builder
	b.Append([]byte("one"), 0)
	f.Add(AppendCarried(nil, 11, b.Finish(1)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			_, b, rest, err := NextCarried(p)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				return
			}
			if len(b)+8+len(rest) != len(p) {
				t.Fatalf("%d + 8 + %d bytes out of %d", len(b), len(rest), len(p))
			}
			p = rest
		}
	})
}
