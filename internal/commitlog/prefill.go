package commitlog

// Writing zeros ahead of the tail: a sync of blocks that were written before has no metadata to write. So a busy segment is
// extended in large steps, and one sync in many pays. BenchmarkWriteAhead, 2-core VM, virtio disk, ext4: appends with sync of
// 512 B, 4 KiB and 24 KiB take 1.5 to 2 times as long without it; at 256 KiB there is no difference.

const (
	aheadFromBytes = 256 << 10 // a segment below this is quiet and stays small
	aheadStepBytes = 1 << 20
)

var zeroBlock [256 << 10]byte

// aheadMaxRound is how many bytes a round may have for zeros to be worth writing behind it: where so much is synced at once, the
// disk's bandwidth is what counts, and zeros take half of it.
const aheadMaxRound = 128 << 10

// writeAhead writes zeros behind the round under way if it left the file's blocks behind. The sync of the round
// covers them. That a disk is too full for it is no error.
func (t *tailFile) writeAhead(target int64) {
	end := t.pos + t.round
	if t.round >= aheadMaxRound || end < aheadFromBytes || end <= t.ready || end >= target {
		return
	}
	var bufs [aheadStepBytes / len(zeroBlock)][]byte
	n := 0
	for left := min(aheadStepBytes, target-end); left > 0; left -= int64(len(bufs[n-1])) {
		bufs[n] = zeroBlock[:min(int64(len(zeroBlock)), left)]
		n++
	}
	if wrote, err := t.file.WriteVec(bufs[:n], end); err == nil {
		t.ready = end + int64(wrote)
	}
}

// Tight says whether the disk's space runs low, which it does before it is scarce: then no files are kept for reuse, for what is
// deleted is deleted for its space. Those that are kept go in the background; frees is how many bytes that will give back.
func (s *Store) Tight(tight bool) (frees int64) {
	s.tight.Store(tight)
	if !tight {
		return 0
	}
	return s.recycler.clear()
}

// Scarce says whether the disk's space is low: then nothing is written ahead, and the little that is left goes to what has to be
// recorded.
func (s *Store) Scarce(scarce bool) { s.scarce.Store(scarce) }
