package raftspike

import (
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// The limits of merging are those of package replica, so that both write the same entries.
const (
	mergeRecordsMax = 8
	mergeBytesMax   = 64 << 10
)

// former forms entries out of proposals, merging small batches as package replica does.
type former struct {
	entries []record.Entry // kind, flags and payload only
	owners  [][]*broker.Proposal

	merger  record.Builder
	merging []record.Batch
}

// form replaces entries and owners by those of the proposals, in their order.
func (f *former) form(taken []*broker.Proposal) {
	clear(f.entries)
	clear(f.owners)
	f.entries, f.owners = f.entries[:0], f.owners[:0]
	for i := 0; i < len(taken); {
		n, size := 0, 0
		for i+n < len(taken) && mergeable(taken[i+n]) && size+len(taken[i+n].Payload) <= mergeBytesMax {
			size += len(taken[i+n].Payload)
			n++
		}
		if n < 2 || !f.merge(taken[i:i+n]) {
			n = max(n, 1)
			for j := i; j < i+n; j++ {
				f.add(taken[j].Kind, taken[j].Flags, taken[j].Payload, taken[j:j+1])
			}
		}
		i += n
	}
}

func mergeable(p *broker.Proposal) bool {
	return p.Kind == record.KindBatch && record.Batch(p.Payload).Count() <= mergeRecordsMax
}

// merge adds one entry for all proposals. It reports false, having added nothing, if one of them must stay as it is.
func (f *former) merge(proposals []*broker.Proposal) bool {
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

func (f *former) add(kind record.Kind, flags record.Flags, payload []byte, owners []*broker.Proposal) {
	f.entries = append(f.entries, record.Entry{Kind: kind, Flags: flags, Payload: payload})
	f.owners = append(f.owners, owners)
}
