package nsqtcp

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/s2"
)

// FuzzSnappyWriter compresses what a session writes, in two writes, and has the library read it.
func FuzzSnappyWriter(f *testing.F) {
	f.Add([]byte("PUB t\n"), uint16(3))
	f.Add(bytes.Repeat([]byte("again and again "), 9000), uint16(1))
	f.Add([]byte{0}, uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		at := min(int(cut), len(data))
		var wire bytes.Buffer
		w := &snappyWriter{to: &wire, pools: new(pools)}
		for _, part := range [][]byte{data[:at], data[at:]} {
			if n, err := w.Write(part); err != nil || n != len(part) {
				t.Fatal(n, err)
			}
		}
		if len(data) == 0 {
			return
		}
		got, err := io.ReadAll(s2.NewReader(&wire, s2.ReaderMaxBlockSize(snappyBlockSize)))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came back as %d: %v", len(data), len(got), err)
		}
	})
}

// FuzzLayers feeds what a client sends to both decompressors: no panic, and no more than is asked for.
func FuzzLayers(f *testing.F) {
	f.Add([]byte("\xff\x06\x00\x00sNaPpY\x01\x08\x00\x00abcdNOP\n"))
	f.Add([]byte{0xf2, 0xf3, 0x0f, 0xe0, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range []io.Reader{newSnappyReader(bytes.NewReader(data)), newDeflateReader(bytes.NewReader(data))} {
			buf := make([]byte, 512)
			for range 10_000 {
				n, err := r.Read(buf)
				if n > len(buf) {
					t.Fatal("more than the buffer holds")
				}
				if err != nil {
					break
				}
			}
		}
	})
}
