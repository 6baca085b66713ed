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

// group is one entry to be, and the proposals in it.
type group struct {
	kind      record.Kind
	flags     record.Flags
	payload   []byte
	proposals []*broker.Proposal // a part of Log.taken
}

// group forms entries out of proposals, in their order, into l.groups.
func (l *Log) group(taken []*broker.Proposal) {
	for i := 0; i < len(taken); {
		n, size := 0, 0
		for i+n < len(taken) && mergeable(taken[i+n]) && size+len(taken[i+n].Payload) <= mergeBytesMax {
			size += len(taken[i+n].Payload)
			n++
		}
		if n < 2 || !l.merge(taken[i:i+n]) {
			n = max(n, 1)
			for j := i; j < i+n; j++ {
				p := taken[j]
				l.groups = append(l.groups, group{p.Kind, p.Flags, p.Payload, taken[j : j+1]})
			}
		}
		i += n
	}
}

func mergeable(p *broker.Proposal) bool {
	return p.Kind == record.KindBatch && record.Batch(p.Payload).Count() <= mergeRecordsMax
}

// merge adds a group of one batch that holds all proposals. It reports false, having added nothing, if one of them must stay as
// it is: that of an idempotent producer, or a compressed one.
func (l *Log) merge(proposals []*broker.Proposal) bool {
	l.merging = l.merging[:0]
	for _, p := range proposals {
		l.merging = append(l.merging, record.Batch(p.Payload))
	}
	err := record.Merge(&l.merger, l.merging...)
	clear(l.merging)
	if err != nil {
		l.merger.Reset(nil)
		return false
	}
	flags := l.merger.Flags()
	batch := l.merger.Finish(time.Now().UnixMilli())
	l.groups = append(l.groups, group{record.KindBatch, flags, batch, proposals})
	return true
}
