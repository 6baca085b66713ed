package broker

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// relays remembers, for each node that passes batches on, which of its sequences are in the log: of its newest life only. It is
// part of a partition's applied state; the partition's mutex guards it.
type relays map[catalog.NodeID]*relayed

// relayed is what is known of one node. Sequences up to highest are applied, except for those in gaps and those up to floor,
// of which nothing is known any more.
type relayed struct {
	life           uint32
	floor, highest uint64
	gaps           []gap // ascending
}

// gap is a run of sequences that are not applied: [from, to].
type gap struct{ from, to uint64 }

// maxGaps bounds what is remembered of sequences that were left out. The oldest are forgotten first.
const maxGaps = 64

// What is known of a relayed batch.
type relayVerdict int

const (
	relayNew     relayVerdict = iota // not in the log
	relayApplied                     // in the log
	relayUnknown                     // too old to tell
)

func (r relays) verdict(b record.Relay) relayVerdict {
	k := r[catalog.NodeID(b.Node)]
	switch {
	case k == nil || b.Life > k.life:
		return relayNew
	case b.Life < k.life || b.Sequence <= k.floor:
		return relayUnknown
	case b.Sequence > k.highest || k.gapOf(b.Sequence) >= 0:
		return relayNew
	}
	return relayApplied
}

// applied notes that a batch is in the log.
func (r relays) applied(b record.Relay) {
	k := r[catalog.NodeID(b.Node)]
	if k == nil || b.Life > k.life {
		k = &relayed{life: b.Life}
		r[catalog.NodeID(b.Node)] = k
	}
	switch {
	case b.Life < k.life:
	case b.Sequence > k.highest:
		if b.Sequence > k.highest+1 {
			k.addGap(gap{k.highest + 1, b.Sequence - 1})
		}
		k.highest = b.Sequence
	default:
		k.fill(b.Sequence)
	}
}

func (k *relayed) addGap(g gap) {
	k.gaps = append(k.gaps, g)
	if len(k.gaps) > maxGaps {
		k.floor = k.gaps[0].to
		k.gaps = slices.Delete(k.gaps, 0, 1)
	}
}

// gapOf returns the place of the gap that a sequence lies in, -1 if there is none.
func (k *relayed) gapOf(sequence uint64) int {
	return slices.IndexFunc(k.gaps, func(g gap) bool { return g.from <= sequence && sequence <= g.to })
}

// fill takes a sequence out of its gap.
func (k *relayed) fill(sequence uint64) {
	i := k.gapOf(sequence)
	if i < 0 {
		return
	}
	g := k.gaps[i]
	var rest []gap
	if g.from < sequence {
		rest = append(rest, gap{g.from, sequence - 1})
	}
	if sequence < g.to {
		rest = append(rest, gap{sequence + 1, g.to})
	}
	k.gaps = slices.Replace(k.gaps, i, i+1, rest...)
	if len(k.gaps) > maxGaps {
		k.floor = k.gaps[0].to
		k.gaps = slices.Delete(k.gaps, 0, 1)
	}
}

// appendState appends count, and for each node: id, life, floor, highest, count of gaps, first and last of each.
func (r relays) appendState(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r)))
	for _, node := range slices.Sorted(maps.Keys(r)) {
		k := r[node]
		for _, v := range []uint64{uint64(node), uint64(k.life), k.floor, k.highest, uint64(len(k.gaps))} {
			dst = binary.AppendUvarint(dst, v)
		}
		for _, g := range k.gaps {
			dst = binary.AppendUvarint(dst, g.from)
			dst = binary.AppendUvarint(dst, g.to)
		}
	}
	return dst
}

// relays reads what appendState wrote.
func (r *stateReader) relays() (relays, error) {
	all := relays{}
	for n := r.count(5); n > 0 && r.err == nil; n-- {
		node := catalog.NodeID(r.uvarint())
		life := r.uvarint()
		k := &relayed{life: uint32(life), floor: r.uvarint(), highest: r.uvarint()}
		bad := all[node] != nil || life != uint64(k.life) || k.floor > k.highest || k.highest > record.RelaySequenceMax
		end := k.floor
		for g := r.count(2); g > 0 && r.err == nil; g-- {
			one := gap{r.uvarint(), r.uvarint()}
			bad = bad || one.from <= end || one.to < one.from || one.to >= k.highest
			end = one.to
			k.gaps = append(k.gaps, one)
		}
		if r.err == nil && (bad || len(k.gaps) > maxGaps) {
			return nil, fmt.Errorf("relay %d has sequences that cannot be: %w", node, errMalformedState)
		}
		all[node] = k
	}
	return all, nil
}
