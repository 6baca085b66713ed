package record

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plain is a record in a form that tests can compare.
type plain struct {
	offset    Offset
	timestamp int64
	key       []byte
	value     []byte
	headers   []plainHeader
}

type plainHeader struct {
	key   string
	value []byte
}

func (p plain) record() *Record {
	r := &Record{Timestamp: p.timestamp, Key: p.key, Value: p.value}
	for _, h := range p.headers {
		r.Headers = r.Headers.Add(h.key, h.value)
	}
	return r
}

func plainOf(r *Record) plain {
	p := plain{offset: r.Offset, timestamp: r.Timestamp, key: cloneNullable(r.Key), value: cloneNullable(r.Value)}
	for it := r.Headers.Iter(); it.Next(); {
		p.headers = append(p.headers, plainHeader{string(it.Key()), cloneNullable(it.Value())})
	}
	return p
}

func cloneNullable(p []byte) []byte {
	if p == nil {
		return nil
	}
	return append([]byte{}, p...)
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func (p plain) equal(q plain) bool {
	return p.offset == q.offset && p.timestamp == q.timestamp && sameBytes(p.key, q.key) && sameBytes(p.value, q.value) &&
		slices.EqualFunc(p.headers, q.headers, func(a, b plainHeader) bool {
			return a.key == b.key && sameBytes(a.value, b.value)
		})
}

// decode reads a whole batch, checking everything.
func decode(t rapid.TB, p []byte) []plain {
	t.Helper()
	b, err := ParseBatch(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
	var out []plain
	it := b.Records()
	for it.Next() {
		out = append(out, plainOf(it.Record()))
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	if len(out) != b.Count() {
		t.Fatalf("header counts %d records, there are %d", b.Count(), len(out))
	}
	return out
}

func equalRecords(t rapid.TB, got, want []plain) {
	t.Helper()
	if !slices.EqualFunc(got, want, plain.equal) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

var (
	drawBytes  = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 200))
	drawTime   = rapid.Int64Range(0, 1<<45)
	drawHeader = rapid.Custom(func(t *rapid.T) plainHeader {
		key := rapid.OneOf(rapid.StringN(0, 20, 80), rapid.Just(DueHeader)).Draw(t, "key")
		return plainHeader{key, drawBytes.Draw(t, "value")}
	})
	drawRecord = rapid.Custom(func(t *rapid.T) plain {
		return plain{
			timestamp: drawTime.Draw(t, "time"),
			key:       drawBytes.Draw(t, "key"),
			value:     drawBytes.Draw(t, "value"),
			headers:   rapid.SliceOfN(drawHeader, 0, 4).Draw(t, "headers"),
		}
	})
	drawRecords = rapid.SliceOfN(drawRecord, 1, 100)
)

func TestMessagesComeBackAsAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 200).Draw(t, "bodies")
		dues := rapid.SliceOfN(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()), len(bodies), len(bodies)).Draw(t, "dues")
		base := Offset(rapid.Int64Range(0, math.MaxInt64-1000).Draw(t, "base"))
		var b Builder
		var wantFlags Flags
		for i, body := range bodies {
			b.Append(body, dues[i])
			if dues[i] != 0 {
				wantFlags = FlagDue
			}
		}
		if b.Flags() != wantFlags || b.Count() != len(bodies) {
			t.Fatalf("flags %d, count %d", b.Flags(), b.Count())
		}
		size := b.Len()
		batch := b.Finish(77)
		if len(batch) != size || b.Len() != 0 || b.Count() != 0 || b.Flags() != 0 {
			t.Fatalf("%d bytes, announced %d; builder left with %d records", len(batch), size, b.Count())
		}
		batch.Stamp(base, 9)
		if batch.LastOffset() != base+Offset(len(bodies))-1 || batch.LeaderEpoch() != 9 || batch.MaxTimestamp() != 77 {
			t.Fatalf("header says last %d, epoch %d, time %d", batch.LastOffset(), batch.LeaderEpoch(), batch.MaxTimestamp())
		}
		for i, got := range decode(t, batch) {
			if got.offset != base+Offset(i) || got.timestamp != 77 || got.key != nil || !bytes.Equal(got.value, bodies[i]) {
				t.Fatalf("record %d is %+v", i, got)
			}
			due, ok := got.record().Due()
			if ok != (dues[i] != 0) || due != dues[i] {
				t.Fatalf("record %d: due %d %v, want %d", i, due, ok, dues[i])
			}
		}
	})
}

func TestRecordsKeepKeysHeadersAndTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecords.Draw(t, "records")
		equalRecords(t, decode(t, build(want)), want)
	})
}

// build encodes records and numbers them as the batch does.
func build(records []plain) Batch {
	var b Builder
	for i := range records {
		records[i].offset = Offset(i)
		b.AppendRecord(records[i].record())
	}
	return b.Finish(0)
}

func TestMergeKeepsOrderAndContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []plain
		var batches []Batch
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			records := drawRecords.Draw(t, "records")
			batches = append(batches, build(records))
			want = append(want, records...)
		}
		for i := range want {
			want[i].offset = Offset(i)
		}
		var b Builder
		if err := Merge(&b, batches...); err != nil {
			t.Fatal(err)
		}
		equalRecords(t, decode(t, b.Finish(5)), want)
	})
}

func TestMergeCarriesTheDueFlag(t *testing.T) {
	var source, b Builder
	source.Append([]byte("x"), 0)
	now := source.Finish(1)
	source.Append([]byte("y"), 99)
	later := source.Finish(1)
	if err := Merge(&b, now); err != nil || b.Flags() != 0 {
		t.Fatalf("flags %d, %v", b.Flags(), err)
	}
	if err := Merge(&b, later); err != nil || b.Flags() != FlagDue {
		t.Fatalf("flags %d, %v", b.Flags(), err)
	}
}

func TestSubsetKeepsOffsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Builder
		var want []plain
		base := Offset(rapid.Int64Range(0, 1<<40).Draw(t, "base"))
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			records := drawRecords.Draw(t, "records")
			batch := build(records)
			batch.Stamp(base, 1)
			keep := map[Offset]bool{}
			for i := range records {
				records[i].offset = base + Offset(i)
				if rapid.Bool().Draw(t, "keep") {
					keep[records[i].offset] = true
					want = append(want, records[i])
				}
			}
			if err := Subset(&b, batch, func(o Offset) bool { return keep[o] }); err != nil {
				t.Fatal(err)
			}
			base += Offset(len(records)) + Offset(rapid.IntRange(0, 1000).Draw(t, "gap"))
		}
		batch := b.Finish(0)
		if len(want) == 0 {
			if batch != nil {
				t.Fatal("a batch without records")
			}
			return
		}
		equalRecords(t, decode(t, batch), want)
		if batch.BaseOffset() != want[0].offset || batch.LastOffset() != want[len(want)-1].offset {
			t.Fatalf("offsets %d to %d", batch.BaseOffset(), batch.LastOffset())
		}
	})
}

func TestSubsetRefusesOffsetsThatDoNotFit(t *testing.T) {
	all := func(Offset) bool { return true }
	for _, second := range []Offset{9, 10, 11 + math.MaxInt32} {
		var source, b Builder
		source.Append(nil, 0)
		first := source.Finish(0)
		next := slices.Clone(first)
		first.Stamp(10, 0)
		next.Stamp(second, 0)
		if err := Subset(&b, first, all); err != nil {
			t.Fatal(err)
		}
		if err := Subset(&b, next, all); err == nil {
			t.Errorf("offset %d accepted after 10", second)
		}
	}
}

func TestStampLeavesTheChecksumValid(t *testing.T) {
	batch := build([]plain{{value: []byte("hello")}})
	before := batch.CRC()
	batch.Stamp(1<<40, 12)
	if err := batch.Verify(); err != nil || batch.CRC() != before {
		t.Fatalf("checksum changed: %v", err)
	}
}

func TestEveryFlippedBitBehindTheStampIsNoticed(t *testing.T) {
	batch := build([]plain{{value: []byte("hello"), key: []byte("k")}})
	for bit := StampBytes * 8; bit < len(batch)*8; bit++ {
		bad := slices.Clone(batch)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := bad.Verify(); !errors.Is(err, ErrChecksum) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
}

func TestFinishedBatchIsNeverTouchedAgain(t *testing.T) {
	var b Builder
	b.Reset(make([]byte, 100, 1000))
	var batches, copies []Batch
	for i := range 50 {
		for range 1 + i%7*20 {
			b.Append(bytes.Repeat([]byte{byte(i)}, i), int64(i%2))
		}
		batch := b.Finish(int64(i))
		if cap(batch) != len(batch) {
			t.Fatalf("batch %d has %d spare bytes", i, cap(batch)-len(batch))
		}
		batches, copies = append(batches, batch), append(copies, slices.Clone(batch))
	}
	for i := range batches {
		if !bytes.Equal(batches[i], copies[i]) {
			t.Fatalf("batch %d changed", i)
		}
	}
}

func TestResetDropsEverything(t *testing.T) {
	var b Builder
	b.AppendRecord(plain{timestamp: 12345}.record())
	b.Append([]byte("gone"), 7)
	b.Reset(nil)
	if b.Count() != 0 || b.Len() != 0 || b.Flags() != 0 || b.Finish(1) != nil {
		t.Fatal("something is left")
	}
	b.Append([]byte("stays"), 0)
	equalRecords(t, decode(t, b.Finish(3)), []plain{{timestamp: 3, value: []byte("stays")}})
}
