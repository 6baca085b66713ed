package nsqtcp

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"

	"github.com/weirmq/weir/internal/testkit/bounded"
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

// bombs are inputs that decompress to a thousand times their size: 4 MiB of zeros through each layer.
func bombs(tb testing.TB) (snappy, deflate []byte) {
	const pieces = 64
	zeros := make([]byte, snappyBlockSize)
	snappy = []byte(snappyIdentifier)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 9)
	if err != nil {
		tb.Fatal(err)
	}
	for range pieces {
		snappy = appendSnappyChunk(snappy, zeros)
		w.Write(zeros) // to memory
	}
	w.Flush()
	return snappy, out.Bytes()
}

// FuzzLayers feeds what a client sends to both decompressors: no panic, no more than is asked for, and memory for the input, not for what it
// becomes.
func FuzzLayers(f *testing.F) {
	f.Add([]byte("\xff\x06\x00\x00sNaPpY\x01\x08\x00\x00abcdNOP\n"))
	f.Add([]byte("\xff\x06\x00\x00sNaPpY\x00\xff\xff\xffabcd\x80\x80\x80\x80\x04")) // a chunk of 16 MiB that becomes 1 GiB
	f.Add([]byte{0xf2, 0xf3, 0x0f, 0xe0, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff})
	snappy, deflate := bombs(f)
	f.Add(snappy)
	f.Add(deflate)
	f.Fuzz(func(t *testing.T, data []byte) {
		buf := make([]byte, 512)
		bounded.Memory(t, len(data), func() {
			for _, r := range []io.Reader{newSnappyReader(bytes.NewReader(data)), newDeflateReader(bytes.NewReader(data))} {
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
	})
}
