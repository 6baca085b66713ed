package peer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// encoded returns the bytes of a frame as the outbox sends them.
func encoded(t testing.TB, h header, head []byte, parts ...[]byte) []byte {
	t.Helper()
	o := newOutbox(1 << 30)
	if !o.add(h, head, parts...) {
		t.Fatal("frame refused")
	}
	b, _ := o.take()
	var out []byte
	for _, s := range b.spans {
		out = append(out, s.outside...)
		out = append(out, b.arena[s.from:s.to]...)
	}
	return out
}

func testHello() *hello {
	return &hello{protocol: Protocol, clusterID: 0x0102030405060708, from: 3, to: 1, life: Life{Number: 9, Nonce: 10}, lane: Append,
		answer: true, seen: Life{Number: 11, Nonce: 12}, version: "1.2.3", refusal: "no"}
}

// The bytes are the protocol (docs/format/peer.md): cases are only ever added.
func TestGoldenBytes(t *testing.T) {
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"hello": {testHello().encode(), "57454952504545520001003c" + "0102030405060708" + "0000000000000003" + "0000000000000001" +
			"00000009" + "000000000000000a" + "01" + "01" + "0000000b" + "000000000000000c" + "05312e322e33" + "00026e6f" + "e899272a"},
		"call": {encoded(t, header{kind: kindCall, method: 5, id: 7}, []byte("ab"), []byte("c")),
			"2b1b6a59" + "00000003" + "02" + "05" + "0000" + "0000000000000007" + "616263"},
		"failure": {encoded(t, header{kind: kindFailure, code: 0x0102, id: 7}, nil),
			"44cbdb35" + "00000000" + "05" + "00" + "0102" + "0000000000000007"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

func TestAHelloSurvivesEncoding(t *testing.T) {
	want := testHello()
	got, err := readHello(bytes.NewReader(want.encode()))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	frame := encoded(t, header{kind: kindCall, method: 5, id: 7}, []byte("hello"))
	for bit := range 8 * len(frame) {
		p := bytes.Clone(frame)
		p[bit/8] ^= 1 << (bit % 8)
		_, _, err := newFrameReader(bytes.NewReader(p), 1<<20).next()
		if !errors.Is(err, errMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
	}
	h := testHello().encode()
	for bit := range 8 * len(h) {
		p := bytes.Clone(h)
		p[bit/8] ^= 1 << (bit % 8)
		if _, err := readHello(bytes.NewReader(p)); err == nil {
			t.Fatalf("hello: bit %d flipped and not noticed", bit)
		}
	}
}

func TestALongFrameIsRefusedBeforeItIsAllocated(t *testing.T) {
	frame := encoded(t, header{kind: kindMessage}, make([]byte, 1001))
	if _, _, err := newFrameReader(bytes.NewReader(frame), 1000).next(); !errors.Is(err, errMalformed) {
		t.Fatal(err)
	}
	frame[4] = 0xff // some 4 GB, which do not follow
	bounded.Memory(t, len(frame), func() {
		_, _, _ = newFrameReader(bytes.NewReader(frame), 1<<20).next()
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("garbage"))
	frame := encoded(f, header{kind: kindMessage, id: 1}, []byte("hello"))
	f.Add(append(frame, frame...))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := newFrameReader(bytes.NewReader(p), 1<<16)
		var again []byte
		for {
			h, payload, err := r.next()
			if err != nil {
				break
			}
			again = append(again, encoded(t, h, payload)...)
		}
		if !bytes.HasPrefix(p, again) {
			t.Fatalf("%x was read from %x", again, p)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add(testHello().encode())
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		bounded.Memory(t, len(p), func() { readHello(bytes.NewReader(p)) })
		h, err := readHello(bytes.NewReader(p))
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.encode()))
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}
