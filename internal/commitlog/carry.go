package commitlog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

var errCarry = errors.New("malformed carry entry")

// eachCarried calls fn with the parts of a carry entry's payload (see record.NextCarried), until fn returns false.
func eachCarried(payload []byte, fn func(time int64, b record.Batch) bool) error {
	for len(payload) > 0 {
		time, b, rest, err := record.NextCarried(payload)
		if err != nil {
			return fmt.Errorf("%w: %w", errCarry, err)
		}
		if !fn(time, b) {
			return nil
		}
		payload = rest
	}
	return nil
}

// carriedOffsets returns the offsets of all messages in a carry entry's payload.
func carriedOffsets(payload []byte) ([]record.Offset, error) {
	var offsets []record.Offset
	var bad error
	err := eachCarried(payload, func(_ int64, b record.Batch) bool {
		if bad = b.Verify(); bad != nil {
			return false
		}
		records := b.Records()
		for records.Next() {
			offsets = append(offsets, records.Record().Offset)
		}
		bad = records.Err()
		return bad == nil
	})
	if bad != nil {
		err = fmt.Errorf("%w: %w", errCarry, bad)
	}
	return offsets, err
}

// carriedRef says that a message is in a carry entry.
type carriedRef struct {
	offset record.Offset
	index  record.Index // of the carry entry
}

// carryTable finds carried messages. It is sorted by offset, then by index: of several carry entries with one message the
// latest counts, and the earlier ones count again if it is truncated.
type carryTable struct{ refs []carriedRef }

func (r carriedRef) compare(o carriedRef) int {
	return cmp.Or(cmp.Compare(r.offset, o.offset), cmp.Compare(r.index, o.index))
}

// add notes what the carry entry e holds. Adding an entry again changes nothing.
func (t *carryTable) add(e *record.Entry) error {
	offsets, err := carriedOffsets(e.Payload)
	if err != nil {
		return err
	}
	for _, o := range offsets {
		t.refs = append(t.refs, carriedRef{o, e.Index})
	}
	slices.SortFunc(t.refs, carriedRef.compare)
	t.refs = slices.Compact(t.refs)
	return nil
}

// find returns the index of the latest carry entry that holds offset, 0 if there is none.
func (t *carryTable) find(offset record.Offset) record.Index {
	i := sort.Search(len(t.refs), func(i int) bool { return t.refs[i].offset > offset })
	if i == 0 || t.refs[i-1].offset != offset {
		return 0
	}
	return t.refs[i-1].index
}

// keep drops what lies in entries outside [first, end).
func (t *carryTable) keep(first, end record.Index) {
	t.refs = slices.DeleteFunc(t.refs, func(r carriedRef) bool { return r.index < first || r.index >= end })
}

// within reports whether an entry in [first, last] holds carried messages.
func (t *carryTable) within(first, last record.Index) bool {
	return slices.ContainsFunc(t.refs, func(r carriedRef) bool { return first <= r.index && r.index <= last })
}
