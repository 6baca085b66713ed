package replica

import (
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Small batches that wait together are merged into one, since each costs over a hundred bytes of headers. Larger ones stay as
// their publishers encoded them.
const (
	mergeRecordsMax = 8
	mergeBytesMax   = 64 << 10
)

// Former forms entries out of proposals: one each, but small batches that wait together become one. The zero value is ready; it
// belongs to one goroutine at a time and reuses what it holds.
type Former struct {
	// Entries have kind, flags and payload; the log adds the rest.
	Entries []record.Entry
	// Owners are the proposals in each of Entries, parts of the slice given to Form.
	Owners [][]*broker.Proposal

	merger  record.Builder
	merging []record.Batch
}

// Form replaces Entries and Owners by those of the proposals, in their order. It keeps the slice until Clear or the next Form.
func (f *Former) Form(proposals []*broker.Proposal) {
	f.Clear()
	for i := 0; i < len(proposals); {
		n, size := 0, 0
		for i+n < len(proposals) && mergeable(proposals[i+n]) && size+len(proposals[i+n].Payload) <= mergeBytesMax {
			size += len(proposals[i+n].Payload)
			n++
		}
		if n < 2 || !f.merge(proposals[i:i+n]) {
			n = max(n, 1)
			for j := i; j < i+n; j++ {
				p := proposals[j]
				f.add(p.Kind, p.Flags, p.Payload, proposals[j:j+1])
			}
		}
		i += n
	}
}

// Clear lets go of what was formed.
func (f *Former) Clear() {
	clear(f.Entries)
	clear(f.Owners)
	f.Entries, f.Owners = f.Entries[:0], f.Owners[:0]
}

func mergeable(p *broker.Proposal) bool {
	return p.Kind == record.KindBatch && record.Batch(p.Payload).Count() <= mergeRecordsMax
}

// merge adds an entry of one batch that holds all proposals. It reports false, having added nothing, if one of them must stay as
// it is: that of an idempotent producer, or a compressed one.
func (f *Former) merge(proposals []*broker.Proposal) bool {
	f.merging = f.merging[:0]
	for _, p := range proposals {
		f.merging = append(f.merging, record.Batch(p.Payload))
	}
	err := record.Merge(&f.merger, f.merging...)
	clear(f.merging)
	if err != nil {
		f.merger.Reset(nil)
		return false
	}
	flags := f.merger.Flags()
	f.add(record.KindBatch, flags, f.merger.Finish(time.Now().UnixMilli()), proposals)
	return true
}

func (f *Former) add(kind record.Kind, flags record.Flags, payload []byte, owners []*broker.Proposal) {
	f.Entries = append(f.Entries, record.Entry{Kind: kind, Flags: flags, Payload: payload})
	f.Owners = append(f.Owners, owners)
}
