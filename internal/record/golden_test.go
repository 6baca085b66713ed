package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden are batches whose bytes stand in testdata/golden, where each line says what its bytes are. Files are only ever
// added: what was written once must be readable for ever.
var golden = []struct {
	file  string
	build func(b *Builder) Batch
}{
	{"one_message", func(b *Builder) Batch {
		b.Append([]byte("hi"), 0)
		return b.Finish(1_700_000_000_000)
	}},
	{"deferred", func(b *Builder) Batch {
		b.Append([]byte("later"), 1_700_000_060_000)
		return b.Finish(1_700_000_000_000)
	}},
	{"null_and_empty", func(b *Builder) Batch {
		b.AppendRecord(&Record{Timestamp: 1000})
		b.AppendRecord(&Record{Timestamp: 999, Key: []byte{}, Value: []byte{}})
		return b.Finish(0)
	}},
	{"headers", func(b *Builder) Batch {
		h := Headers{}.Add("a", []byte("1")).Add("a", nil)
		b.AppendRecord(&Record{Timestamp: 5, Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 70), Headers: h})
		return b.Finish(0)
	}},
	{"gaps", func(b *Builder) Batch {
		var source Builder
		for _, body := range []string{"a", "b", "c", "d"} {
			source.Append([]byte(body), 0)
		}
		all := source.Finish(1)
		all.Stamp(100, 7)
		if err := Subset(b, all, func(o Offset) bool { return o%2 == 1 }); err != nil {
			panic(err)
		}
		return b.Finish(0)
	}},
	{"stamped", func(b *Builder) Batch {
		b.Append([]byte("hi"), 0)
		batch := b.Finish(1_700_000_000_000)
		batch.Stamp(0x0102030405060708, 0x0a0b0c0d)
		return batch
	}},
}

func TestBatchesAreTheGoldenBytes(t *testing.T) {
	for _, g := range golden {
		text, err := os.ReadFile(filepath.Join("testdata", "golden", g.file+".hex"))
		if err != nil {
			t.Fatal(err)
		}
		want := fromHex(t, text)
		var b Builder
		if got := g.build(&b); !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %x\nwant %x", g.file, got, want)
		}
		decode(t, want)
	}
}

// TestEachByteOfABatchIsWhereTheLayoutSays reads a batch without this package's code, by the table of
// docs/format/batch.md.
func TestEachByteOfABatchIsWhereTheLayoutSays(t *testing.T) {
	var b Builder
	b.Append([]byte("later"), 0x0102030405060708)
	p := b.Finish(0x1112131415161718)
	p.Stamp(0x2122232425262728, 0x31323334)

	be := binary.BigEndian
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"baseOffset", be.Uint64(p[0:]), 0x2122232425262728},
		{"batchLength", uint64(be.Uint32(p[8:])), uint64(len(p) - 12)},
		{"partitionLeaderEpoch", uint64(be.Uint32(p[12:])), 0x31323334},
		{"magic", uint64(p[16]), 2},
		{"crc", uint64(be.Uint32(p[17:])), uint64(crc32.Checksum(p[21:], crc32.MakeTable(crc32.Castagnoli)))},
		{"attributes", uint64(be.Uint16(p[21:])), 0},
		{"lastOffsetDelta", uint64(be.Uint32(p[23:])), 0},
		{"baseTimestamp", be.Uint64(p[27:]), 0x1112131415161718},
		{"maxTimestamp", be.Uint64(p[35:]), 0x1112131415161718},
		{"producerId", be.Uint64(p[43:]), 1<<64 - 1},
		{"producerEpoch", uint64(be.Uint16(p[51:])), 1<<16 - 1},
		{"baseSequence", uint64(be.Uint32(p[53:])), 1<<32 - 1},
		{"record count", uint64(be.Uint32(p[57:])), 1},
	} {
		if f.got != f.want {
			t.Errorf("%s is %#x, want %#x", f.name, f.got, f.want)
		}
	}
	want := []byte{
		29 * 2, // length of what follows, as a zigzag varint: twice the number
		0,      // attributes
		0,      // time delta
		0,      // offset delta
		1,      // key length -1: null
		5 * 2,  // value length
		'l', 'a', 't', 'e', 'r',
		1 * 2, // one header
		8 * 2, // length of its key
		'w', 'e', 'i', 'r', '.', 'd', 'u', 'e',
		8 * 2,                  // length of its value
		1, 2, 3, 4, 5, 6, 7, 8, // due time, big-endian
	}
	if got := p[61:]; !bytes.Equal(got, want) {
		t.Errorf("record is\n%x, want\n%x", got, want)
	}
}

func TestTheFormatPageShowsAGoldenBatch(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "batch.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "deferred.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, text) {
		t.Error("docs/format/batch.md does not show testdata/golden/deferred.hex as it is")
	}
}

// fromHex reads the golden files: hex digits and blanks, comments from # to the end of the line.
func fromHex(t testing.TB, text []byte) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	p, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBadBatchesAreRefused(t *testing.T) {
	valid := build([]plain{{value: []byte("hello")}, {value: []byte("world")}})
	for _, c := range []struct {
		what   string
		change func(p []byte) []byte
	}{
		{"nothing", func(p []byte) []byte { return nil }},
		{"less than a header", func(p []byte) []byte { return p[:60] }},
		{"cut off", func(p []byte) []byte { return p[:len(p)-1] }},
		{"too long", func(p []byte) []byte { return append(p, 0) }},
		{"magic 1", func(p []byte) []byte { p[16] = 1; return p }},
		{"no records", func(p []byte) []byte { p[60] = 0; return p }},
		{"negative count", func(p []byte) []byte { p[57] = 0x80; return p }},
		{"more records than offsets", func(p []byte) []byte { p[60] = 3; return p }},
		{"more records than bytes", func(p []byte) []byte { p[59], p[25] = 1, 2; return p }},
		{"negative base offset", func(p []byte) []byte { p[0] = 0x80; return p }},
		{"last offset above 63 bits", func(p []byte) []byte {
			copy(p, []byte{0x7f, 255, 255, 255, 255, 255, 255, 255})
			return p
		}},
	} {
		if _, err := ParseBatch(c.change(bytes.Clone(valid))); !isMalformed(err) {
			t.Errorf("%s: got %v", c.what, err)
		}
	}
	if _, err := ParseBatch(valid); err != nil {
		t.Fatal(err)
	}
}
