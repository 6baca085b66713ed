package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func isMalformed(err error) bool { return errors.Is(err, ErrMalformed) }

// drain reads all records and returns how many came before the error.
func drain(p []byte) (n int, err error) {
	b, err := ParseBatch(p)
	if err != nil {
		return 0, err
	}
	it := b.Records()
	for it.Next() {
		n++
	}
	return n, it.Err()
}

func TestMalformedRecordsStopTheIterator(t *testing.T) {
	// Bytes from 61 on: 0a*2 00 00 00 01 02*2 'h' 'i' 00 | the same with offset delta 1.
	valid := build([]plain{{value: []byte("hi")}, {value: []byte("yo")}})
	const first, second = 61, 70
	for _, c := range []struct {
		what   string
		at     int
		value  byte
		before int // records that come out before the error
	}{
		{"record longer than the batch", first, 0x7e, 0},
		{"record of negative length", first, 1, 0},
		{"record shorter than its fields", first, 3 * 2, 0},
		{"offset delta of the first is negative", first + 3, 1, 0},
		{"offset delta above the last", first + 3, 2 * 2, 0},
		{"key length -2", first + 4, 3, 0},
		{"value longer than the record", first + 5, 5 * 2, 0},
		{"value shorter than the record", first + 5, 1 * 2, 0},
		{"headers that are not there", first + 8, 2, 0},
		{"negative count of headers", first + 8, 1, 0},
		{"offset delta repeated", second + 3, 0, 1},
	} {
		p := bytes.Clone(valid)
		p[c.at] = c.value
		if n, err := drain(p); n != c.before || !isMalformed(err) {
			t.Errorf("%s: %d records, %v", c.what, n, err)
		}
	}
	if n, err := drain(valid); n != 2 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
}

func TestBytesAfterTheLastRecordAreAnError(t *testing.T) {
	p := build([]plain{{value: []byte("hi")}, {value: []byte("yo")}})
	p[60] = 1 // one record fewer by the header
	if n, err := drain(p); n != 0 || !isMalformed(err) {
		t.Fatalf("%d records, %v", n, err)
	}
}

func TestCompressedBatchIsRefusedClearly(t *testing.T) {
	for codec := byte(1); codec <= 7; codec++ {
		p := build([]plain{{value: []byte("hi")}})
		p[22] = codec
		b, err := ParseBatch(p)
		if err != nil {
			t.Fatal(err)
		}
		var dst Builder
		_, drainErr := drain(p)
		for i, err := range []error{drainErr, Merge(&dst, b), Subset(&dst, b, func(Offset) bool { return true })} {
			if !errors.Is(err, ErrCompressed) {
				t.Errorf("codec %d, way %d: %v", codec, i, err)
			}
		}
	}
}

func TestMergeRefusesProducersAndTransactions(t *testing.T) {
	for what, change := range map[string]func(p []byte){
		"producer id":   func(p []byte) { copy(p[43:], make([]byte, 8)) },
		"transactional": func(p []byte) { p[22] = 1 << 4 },
		"control":       func(p []byte) { p[22] = 1 << 5 },
	} {
		p := build([]plain{{value: []byte("hi")}})
		change(p)
		if err := Merge(new(Builder), p); !errors.Is(err, ErrNotPlain) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLogAppendTimeStandsForAllRecords(t *testing.T) {
	p := build([]plain{{timestamp: 5}, {timestamp: 9}})
	p[22] = 1 << 3
	it := p.Records()
	for it.Next() {
		if it.Record().Timestamp != 9 {
			t.Fatalf("time %d, want 9", it.Record().Timestamp)
		}
	}
}

func TestDueNeedsEightBytes(t *testing.T) {
	for _, value := range [][]byte{nil, {}, make([]byte, 7), make([]byte, 9)} {
		r := Record{Headers: Headers{}.Add(DueHeader, value)}
		if ms, ok := r.Due(); ok {
			t.Errorf("%d bytes are due at %d", len(value), ms)
		}
	}
}

func TestVarintsAreThoseOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		value int64
		bytes []byte
	}{
		{0, []byte{0}}, {-1, []byte{1}}, {1, []byte{2}}, {63, []byte{0x7e}}, {-64, []byte{0x7f}},
		{64, []byte{0x80, 0x01}}, {-65, []byte{0x81, 0x01}}, {300, []byte{0xd8, 0x04}},
		{math.MaxInt64, []byte{0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 0x01}},
		{math.MinInt64, []byte{0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0x01}},
	} {
		if got := appendVarint(nil, c.value); !bytes.Equal(got, c.bytes) || varintLen(c.value) != len(got) {
			t.Errorf("%d is encoded as %x, want %x", c.value, got, c.bytes)
		}
		if v, n := varint(append(bytes.Clone(c.bytes), 0xff)); v != c.value || n != len(c.bytes) {
			t.Errorf("%x is decoded as %d in %d bytes", c.bytes, v, n)
		}
		if _, n := varint(c.bytes[:len(c.bytes)-1]); n != 0 {
			t.Errorf("%x decoded though it is cut off", c.bytes[:len(c.bytes)-1])
		}
	}
	tooLong := append(bytes.Repeat([]byte{0xff}, 9), 2)
	if _, n := varint(tooLong); n != 0 {
		t.Error("65 bits decoded")
	}
}
