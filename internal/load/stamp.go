package load

import "encoding/binary"

// StampBytes is the length of the stamp, and so of the smallest body.
const StampBytes = 16

// putStamp writes the stamp of a message: when it is due, in ns since the run began, and its sequence.
func putStamp(body []byte, due int64, sequence uint64) {
	binary.LittleEndian.PutUint64(body, uint64(due))
	binary.LittleEndian.PutUint64(body[8:], sequence)
}

// stampOf reads what putStamp wrote.
func stampOf(body []byte) (due int64, sequence uint64) {
	return int64(binary.LittleEndian.Uint64(body)), binary.LittleEndian.Uint64(body[8:])
}

// mix spreads a sequence over 64 bits, so that sums of different sets of sequences differ.
func mix(sequence uint64) uint64 {
	x := sequence + 0x9e3779b97f4a7c15
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>29
}

// tally is a multiset of sequences: how many, and their mixed sum.
type tally struct {
	count int64
	sum   uint64
}

// add counts one sequence.
func (t *tally) add(sequence uint64) { t.count, t.sum = t.count+1, t.sum+mix(sequence) }

// merge counts all of other.
func (t *tally) merge(other tally) { t.count, t.sum = t.count+other.count, t.sum+other.sum }
