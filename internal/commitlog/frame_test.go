package commitlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/bounded"
)

// golden reads hexadecimal bytes with blanks and # comments. Golden files are only ever added to.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	if want := golden(t, name); !bytes.Equal(got, want) {
		t.Fatalf("%s: encoded\n%s, golden\n%s", name, hex.Dump(got), hex.Dump(want))
	}
}

var goldenSalt = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}

func goldenFrame() []byte {
	b := make([]byte, frameHeaderSize, 64)
	e := record.Entry{Kind: record.KindControl, Flags: 1, Term: 2, Index: 7, Base: 100, Time: 1_700_000_000_000_000_000, Payload: []byte("pause")}
	h := entryHeader(&e, 5)
	putFrameHeader(b, &h, saltSeed(goldenSalt))
	return append(append(b, e.Payload...), padding[:h.size()-frameHeaderSize-5]...)
}

func TestFrameFormat(t *testing.T) {
	checkGolden(t, "frame-control.hex", goldenFrame())
	mark := make([]byte, frameHeaderSize)
	h := logEnd{index: 7, next: 100, term: 2, time: 1_700_000_000_000_000_000}.markHeader(7)
	putFrameHeader(mark, &h, saltSeed(goldenSalt))
	checkGolden(t, "frame-mark.hex", mark)
	if back, err := parseFrameHeader(golden(t, "frame-mark.hex"), saltSeed(goldenSalt)); err != nil || back != h {
		t.Fatalf("%+v, %v", back, err)
	}
}

func TestScannerRefusesAnyFlippedBit(t *testing.T) {
	entry := batchOf("m", 2, 20)
	h := entryHeader(&entry, 0)
	good := make([]byte, frameHeaderSize)
	putFrameHeader(good, &h, saltSeed(goldenSalt))
	good = append(good, entry.Payload...)
	good = append(good, padding[:h.size()-int64(len(good))]...)
	for bit := range 8 * len(good) {
		b := bytes.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		sc := scanner{file: bytes.NewReader(b), seed: saltSeed(goldenSalt), limit: int64(len(b)), ahead: 1}
		if f, err := sc.next(); err == nil {
			t.Fatalf("bit %d of byte %d flipped: %+v", bit%8, bit/8, f.frameHeader)
		}
	}
	if _, err := parseFrameHeader(good, saltSeed([8]byte{9})); err == nil {
		t.Fatal("a frame of another segment passes")
	}
}

// resealed puts a right checksum of the first n bytes at a position, so that a fuzzer gets past it.
func resealed(b []byte, n, at int) []byte {
	b = bytes.Clone(b)
	if n >= 0 && at+4 <= len(b) {
		binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b[:n], castagnoli))
	}
	return b
}

func FuzzFrame(f *testing.F) {
	f.Add(goldenFrame())
	f.Add(make([]byte, 200))
	f.Add(append(goldenFrame(), goldenFrame()...))
	seed := saltSeed(goldenSalt)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= frameHeaderSize { // get past the checksum
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b, headerChecksum(b, seed))
		}
		if h, err := parseFrameHeader(b, seed); err == nil {
			again := make([]byte, frameHeaderSize)
			putFrameHeader(again, &h, seed)
			if !bytes.Equal(again, b[:frameHeaderSize]) {
				t.Fatalf("%+v does not encode to what it was decoded from", h)
			}
		}
		sc := scanner{file: bytes.NewReader(b), seed: seed, limit: int64(len(b)), ahead: 64}
		for range len(b)/frameHeaderSize + 1 {
			f, err := sc.next()
			if err != nil {
				break
			}
			if f.end() > int64(len(b)) {
				t.Fatal("a frame behind the end")
			}
		}
		sc.skipToHeader(1)
	})
}

func FuzzSegmentHeader(f *testing.F) {
	f.Add(goldenSegmentHeader().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, 60, 60)
		if h, err := parseSegmentHeader(b); err == nil {
			if back, err := parseSegmentHeader(h.encode()); err != nil || back != h {
				t.Fatalf("%+v, %v", h, err)
			}
		}
	})
}

func goldenSegmentHeader() *segmentHeader {
	return &segmentHeader{id: LogID{Topic: 42, Partition: 3}, salt: goldenSalt, base: 8,
		before: logEnd{index: 7, next: 100, term: 2, time: 1_700_000_000_000_000_000}, previous: 7, durableBefore: true}
}

func TestSegmentHeaderFormat(t *testing.T) {
	checkGolden(t, "segment-header.hex", goldenSegmentHeader().encode())
	if back, err := parseSegmentHeader(golden(t, "segment-header.hex")); err != nil || back != *goldenSegmentHeader() {
		t.Fatalf("%+v, %v", back, err)
	}
}

func goldenIndex() *sparseIndex {
	return &sparseIndex{
		points: []indexPoint{{8, 100, 1_700_000_000_000_000_001, 64}, {9, 110, 1_700_000_000_000_000_002, 20_064}},
		terms:  []termRun{{8, 2}, {9, 3}},
		end:    20_200, last: logEnd{index: 9, next: 111, term: 3, time: 1_700_000_000_000_000_002},
	}
}

func TestIndexFormat(t *testing.T) {
	checkGolden(t, "index.hex", goldenIndex().encode(goldenSegmentHeader()))
	x, salt, err := parseSidecar(golden(t, "index.hex"))
	if err != nil || salt != goldenSalt || x.last != goldenIndex().last || x.points[1] != goldenIndex().points[1] || x.term(9) != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(goldenIndex().encode(goldenSegmentHeader()))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, len(b)-4, len(b)-4)
		bounded.Memory(t, len(b), func() { parseSidecar(b) })
		x, salt, err := parseSidecar(b)
		if err != nil {
			return
		}
		for _, at := range []int64{-1, 0, 5, 1 << 60} {
			if p := x.byOffset(record.Offset(at)); p < segmentHeaderSize || p > x.end {
				t.Fatal("position", p)
			}
			x.byIndex(record.Index(at))
			x.byTime(at)
			x.term(record.Index(at))
		}
		if again := x.encode(&segmentHeader{salt: salt}); !bytes.Equal(again[8:len(again)-4], b[8:len(b)-4]) {
			t.Fatal("does not encode to what it was decoded from")
		}
	})
}

func goldenCheckpoint() checkpoint {
	return checkpoint{id: LogID{Topic: 42, Partition: 3}, at: 9, state: []byte("state"), carried: []carriedRef{{17, 8}, {17, 9}, {23, 9}}}
}

func TestCheckpointFormat(t *testing.T) {
	c := goldenCheckpoint()
	checkGolden(t, "checkpoint.hex", bytes.Join(c.encode(), nil))
	back, err := parseCheckpoint(golden(t, "checkpoint.hex"))
	if err != nil || back.at != 9 || back.id != c.id || string(back.state) != "state" || len(back.carried) != 3 || back.carried[2] != c.carried[2] {
		t.Fatalf("%+v, %v", back, err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	c := goldenCheckpoint()
	f.Add(bytes.Join(c.encode(), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= checkpointHeaderSize {
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[44:], checkpointChecksum(b, nil))
		}
		bounded.Memory(t, len(b), func() { parseCheckpoint(b) })
		c, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		again := bytes.Join(c.encode(), nil)
		if back, err := parseCheckpoint(again); err != nil || !bytes.Equal(back.state, c.state) || len(back.carried) != len(c.carried) {
			t.Fatalf("%+v, %v", back, err)
		}
	})
}

func TestIdentityFormat(t *testing.T) {
	v := identity{id: LogID{Topic: 42, Partition: 3}, first: 8}
	checkGolden(t, "identity.hex", v.encode())
	if back, err := parseIdentity(golden(t, "identity.hex")); err != nil || back != v {
		t.Fatalf("%+v, %v", back, err)
	}
	v.repaired = true
	checkGolden(t, "identity-repaired.hex", v.encode())
	if back, err := parseIdentity(golden(t, "identity-repaired.hex")); err != nil || back != v {
		t.Fatalf("%+v, %v", back, err)
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add(identity{id: LogID{Topic: 42, Partition: 3}, first: 8}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, 28, 28)
		if v, err := parseIdentity(b); err == nil {
			if back, err := parseIdentity(v.encode()); err != nil || back != v {
				t.Fatalf("%+v, %v", back, err)
			}
		}
	})
}

func FuzzCarry(f *testing.F) {
	f.Add(record.AppendCarried(nil, 5, record.Batch(batchOf("m", 3, 10).Payload)))
	f.Fuzz(func(t *testing.T, b []byte) {
		offsets, err := carriedOffsets(b)
		if err != nil {
			return
		}
		var table carryTable
		if err := table.add(&record.Entry{Index: 3, Payload: b}); err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			if table.find(o) != 3 {
				t.Fatal("not found:", o)
			}
		}
	})
}

func TestLogIDNames(t *testing.T) {
	for _, id := range []LogID{{}, {Topic: 42, Partition: 7}, {Topic: 1<<64 - 1, Partition: 65535}} {
		if back, ok := parseLogID(id.String()); !ok || back != id {
			t.Errorf("%v: %v, %v", id, back, ok)
		}
	}
	for _, name := range []string{"", ".", "..", "000000000000002A-00000", "000000000000002a-70000", "000000000000002a-+0001", "000000000000002a_00001", "lost+found"} {
		if id, ok := parseLogID(name); ok {
			t.Errorf("%q passes for %v", name, id)
		}
	}
}

func TestSyncPolicies(t *testing.T) {
	for text, want := range map[string]SyncPolicy{"always": SyncAlways, "os": SyncOS, "250ms": SyncEvery(250e6), "2s": SyncEvery(2e9)} {
		p, err := ParseSyncPolicy(text)
		if err != nil || p != want || p.String() != text {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "never", "0s", "-1s", "5"} {
		if p, err := ParseSyncPolicy(text); err == nil {
			t.Errorf("%q passes for %v", text, p)
		}
	}
}
