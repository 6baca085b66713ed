package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// FuzzParseBatch feeds arbitrary bytes: nothing panics, no more than the bytes can hold comes out, and what is well-formed
// survives being taken apart and encoded again.
func FuzzParseBatch(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.hex")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(fromHex(f, text))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before := slices.Clone(p)
		bounded.Memory(t, len(p), func() { ParseBatch(p) })
		b, err := ParseBatch(p)
		if err != nil {
			return
		}
		_ = b.Verify()
		var records []plain
		it := b.Records()
		last := b.BaseOffset() - 1
		for it.Next() {
			r := it.Record()
			if r.Offset <= last || r.Offset > b.LastOffset() {
				t.Fatalf("offset %d after %d in a batch up to %d", r.Offset, last, b.LastOffset())
			}
			last = r.Offset
			r.Due()
			if len(records) > len(p)/minRecordBytes {
				t.Fatalf("more than %d records in %d bytes", len(records), len(p))
			}
			records = append(records, plainOf(r))
		}
		if !bytes.Equal(p, before) {
			t.Fatal("reading changed the bytes")
		}
		if it.Err() != nil {
			return
		}
		if len(records) != b.Count() {
			t.Fatalf("%d records, header says %d", len(records), b.Count())
		}
		encodedAgain(t, b, records)
	})
}

// encodedAgain checks that Subset, AppendRecord and Merge give the same records back.
func encodedAgain(t *testing.T, b Batch, want []plain) {
	var subset, appended, merged Builder
	if err := Subset(&subset, b, func(Offset) bool { return true }); err != nil {
		t.Fatal(err)
	}
	equalRecords(t, decode(t, subset.Finish(0)), want)
	for i := range want {
		appended.AppendRecord(want[i].record())
		want[i].offset = Offset(i)
	}
	equalRecords(t, decode(t, appended.Finish(0)), want)
	if b.ProducerID() >= 0 || b.Attributes().Transactional() || b.Attributes().Control() {
		return
	}
	if err := Merge(&merged, b); err != nil {
		t.Fatal(err)
	}
	equalRecords(t, decode(t, merged.Finish(0)), want)
}

// FuzzVarint checks decoding against the definition: what is decoded encodes to as many bytes as were read, unless the
// encoding was longer than need be.
func FuzzVarint(f *testing.F) {
	for _, p := range [][]byte{{0}, {1}, {0x80, 1}, bytes.Repeat([]byte{0xff}, 9), append(bytes.Repeat([]byte{0xff}, 9), 1)} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, n := varint(p)
		if n == 0 {
			return
		}
		again := appendVarint(nil, v)
		if back, m := varint(again); back != v || m != len(again) || len(again) > n || varintLen(v) != len(again) {
			t.Fatalf("%x is %d in %d bytes, encoded as %x", p, v, n, again)
		}
		if len(again) == n && !bytes.Equal(again, p[:n]) {
			t.Fatalf("%x is %d, encoded as %x", p[:n], v, again)
		}
	})
}
