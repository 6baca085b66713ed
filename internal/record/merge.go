package record

import (
	"errors"
	"fmt"
	"math"
)

// ErrNotPlain means that a batch cannot be taken apart: it belongs to an idempotent producer or a transaction.
var ErrNotPlain = errors.New("batch of a producer with sequence, or of a transaction")

// Merge appends the records of all batches to dst, in order, with keys, headers and times; their offsets are counted
// anew. On an error (ErrCompressed, ErrMalformed, ErrNotPlain) dst holds some of the records and must be Reset.
func Merge(dst *Builder, batches ...Batch) error {
	for _, b := range batches {
		if b.ProducerID() >= 0 || b.Attributes().Transactional() || b.Attributes().Control() {
			return ErrNotPlain
		}
		it := b.Records()
		for it.Next() {
			dst.appendEncoded(it.Record(), dst.nextDelta())
		}
		if it.Err() != nil {
			return it.Err()
		}
	}
	return nil
}

// Subset appends to dst those records of b that keep chooses. They keep their offsets, so the batch that Finish returns
// has gaps, and its base offset is that of the first. Subset may be called again for a batch of higher offsets, but not
// mixed with Append or Merge. On an error (ErrCompressed, ErrMalformed, or offsets that do not rise or are too far
// apart) dst holds some of the records and must be Reset.
func Subset(dst *Builder, b Batch, keep func(Offset) bool) error {
	it := b.Records()
	for it.Next() {
		r := it.Record()
		if !keep(r.Offset) {
			continue
		}
		if dst.count == 0 {
			dst.base = r.Offset
		}
		delta := int64(r.Offset - dst.base)
		if delta < dst.nextDelta() || delta > math.MaxInt32 {
			return fmt.Errorf("offset %d cannot follow %d in one batch", r.Offset, dst.base+Offset(dst.lastDelta))
		}
		dst.appendEncoded(r, delta)
	}
	return it.Err()
}
