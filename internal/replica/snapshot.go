package replica

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// A replica that was away for so long that the entries it misses are trimmed gets a snapshot: the newest checkpoint, and all
// entries that are kept up to it. It travels as a stream, docs/format/peer.md:
//
//	head   0 4 magic "WSNP"   4 1 format   5 3 zero   8 8 index of the checkpoint   16 8 length of the state
//	       24 8 last index before the first entry   32 8 its term   40 8 first offset   48 8 its time   56 4 zero
//	       60 4 CRC-32C of the head and the state
//	       the state
//	entry  0 4 length of the payload   4 4 CRC-32C of the rest   8 1 kind   9 1 flags   10 6 zero   16 8 term   24 8 index
//	       32 8 offset   40 8 time   48 the payload
const (
	snapshotMagic     = "WSNP"
	snapshotFormat    = 1
	snapshotHeadBytes = 64
	snapshotRowBytes  = 48
	// snapshotStateMax bounds the state of a partition, in bytes.
	snapshotStateMax = 1 << 30
	// snapshotReadBytes is how much of a log is read at once.
	snapshotReadBytes = 1 << 20
)

var errMalformedSnapshot = errors.New("malformed snapshot")

// Snapshot writes a snapshot of a log of this node to w. Errors: that there is none, damage, or w's.
func (gs *Groups) Snapshot(id LogID, w io.Writer) error {
	g := gs.group(id)
	if g == nil {
		return fmt.Errorf("log %v is not here", commitlog.LogID(id))
	}
	g.sent.serving.Add(1)
	defer g.sent.serving.Add(-1)
	disk := g.log()
	state, at, err := disk.Checkpoint()
	if err != nil {
		return err
	}
	if at == 0 {
		return fmt.Errorf("log %v has no checkpoint", commitlog.LogID(id))
	}
	origin := disk.Origin()
	if _, err := w.Write(appendSnapshotHead(nil, state, at, origin)); err != nil {
		return err
	}
	if _, err := w.Write(state); err != nil {
		return err
	}
	for next := origin.Index + 1; next <= at; {
		entries, err := disk.Entries(next, at+1, snapshotReadBytes)
		if err != nil {
			return err
		}
		for i := range entries {
			if _, err := w.Write(appendSnapshotRow(nil, &entries[i])); err != nil {
				return err
			}
			if _, err := w.Write(entries[i].Payload); err != nil {
				return err
			}
		}
		next += record.Index(len(entries))
	}
	return nil
}

func appendSnapshotHead(dst, state []byte, at record.Index, origin commitlog.Origin) []byte {
	b := make([]byte, snapshotHeadBytes)
	copy(b, snapshotMagic)
	b[4] = snapshotFormat
	for i, v := range [...]uint64{uint64(at), uint64(len(state)), uint64(origin.Index), uint64(origin.Term), uint64(origin.Next), uint64(origin.Time)} {
		binary.BigEndian.PutUint64(b[8+8*i:], v)
	}
	binary.BigEndian.PutUint32(b[60:], crc32.Update(crc32.Checksum(b[:60], castagnoli), castagnoli, state))
	return append(dst, b...)
}

// appendSnapshotRow encodes what goes before an entry's payload.
func appendSnapshotRow(dst []byte, e *record.Entry) []byte {
	b := make([]byte, snapshotRowBytes)
	binary.BigEndian.PutUint32(b, uint32(len(e.Payload)))
	b[8], b[9] = byte(e.Kind), byte(e.Flags)
	for i, v := range [...]uint64{uint64(e.Term), uint64(e.Index), uint64(e.Base), uint64(e.Time)} {
		binary.BigEndian.PutUint64(b[16+8*i:], v)
	}
	binary.BigEndian.PutUint32(b[4:], crc32.Update(crc32.Checksum(b[8:], castagnoli), castagnoli, e.Payload))
	return append(dst, b...)
}

// snapshotReader reads a stream that Snapshot wrote.
type snapshotReader struct {
	r      *bufio.Reader
	at     record.Index
	origin commitlog.Origin
	state  []byte
	next   record.Index
}

// readSnapshot reads and checks the head and the state.
func readSnapshot(r io.Reader) (*snapshotReader, error) {
	s := &snapshotReader{r: bufio.NewReaderSize(r, 256<<10)}
	var b [snapshotHeadBytes]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return nil, fmt.Errorf("%w: head: %w", errMalformedSnapshot, err)
	}
	if string(b[:4]) != snapshotMagic || b[4] != snapshotFormat {
		return nil, fmt.Errorf("%w: not of format %d", errMalformedSnapshot, snapshotFormat)
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[8+8*i:]) }
	s.at = record.Index(number(0))
	s.origin = commitlog.Origin{Index: record.Index(number(2)), Term: record.Term(number(3)), Next: record.Offset(number(4)), Time: int64(number(5))}
	s.next = s.origin.Index + 1
	if size := number(1); size > snapshotStateMax || s.at < s.origin.Index {
		return nil, fmt.Errorf("%w: state of %d bytes, entries (%d, %d]", errMalformedSnapshot, size, s.origin.Index, s.at)
	}
	var err error
	if s.state, err = io.ReadAll(io.LimitReader(s.r, int64(number(1)))); err != nil {
		return nil, fmt.Errorf("%w: state: %w", errMalformedSnapshot, err)
	}
	sum := crc32.Update(crc32.Checksum(b[:60], castagnoli), castagnoli, s.state)
	if uint64(len(s.state)) != number(1) || sum != binary.BigEndian.Uint32(b[60:]) {
		return nil, fmt.Errorf("%w: checksum of the state does not match", errMalformedSnapshot)
	}
	return s, nil
}

// entry reads the next entry, io.EOF behind the last.
func (s *snapshotReader) entry() (record.Entry, error) {
	if s.next > s.at {
		return record.Entry{}, io.EOF
	}
	var b [snapshotRowBytes]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return record.Entry{}, fmt.Errorf("%w: entry %d: %w", errMalformedSnapshot, s.next, err)
	}
	size := binary.BigEndian.Uint32(b[:])
	if size > commitlog.MaxPayload {
		return record.Entry{}, fmt.Errorf("%w: entry %d of %d bytes", errMalformedSnapshot, s.next, size)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return record.Entry{}, fmt.Errorf("%w: entry %d: %w", errMalformedSnapshot, s.next, err)
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[16+8*i:]) }
	e := record.Entry{Kind: record.Kind(b[8]), Flags: record.Flags(b[9]), Term: record.Term(number(0)), Index: record.Index(number(1)),
		Base: record.Offset(number(2)), Time: int64(number(3)), Payload: payload}
	if crc32.Update(crc32.Checksum(b[8:], castagnoli), castagnoli, payload) != binary.BigEndian.Uint32(b[4:]) || e.Index != s.next {
		return record.Entry{}, fmt.Errorf("%w: checksum of entry %d does not match", errMalformedSnapshot, s.next)
	}
	s.next++
	return e, nil
}

// fetch is a snapshot on its way here.
type fetch struct {
	message *raftpb.Message // the leader's offer
	at      record.Index
	term    record.Term
	state   []byte
	offered bool // Raft has heard that it is here
	taken   bool // Raft wants it in place
}

// fetchSnapshot begins to fetch the snapshot that a leader offers; Raft hears of the offer when it is here, or at once if there is
// nothing new in it. It belongs to a pass.
func (g *Group) fetchSnapshot(m *raftpb.Message) {
	if g.fetching != nil || m.GetTerm() < g.saved.term {
		return
	}
	if m.GetSnapshot().GetMetadata().GetIndex() <= g.node.BasicStatus().GetCommit() {
		_ = g.node.Step(m)
		return
	}
	node, ok := g.config.Replicas[m.GetFrom()]
	if !ok {
		return
	}
	f := &fetch{message: m}
	g.fetching = f
	g.groups.runs.Go(func() {
		g.logger.Info("too far behind: fetching a snapshot", slog.Uint64("from_node", uint64(node)))
		var err error
		r, err := g.groups.peers.Fetch(node, g.id)
		if err == nil {
			err = errors.Join(f.load(g, r), r.Close())
		}
		g.call(func() { g.fetched(f, err) })
	})
}

// load imports the stream.
func (f *fetch) load(g *Group, r io.Reader) error {
	s, err := readSnapshot(r)
	if err != nil {
		return err
	}
	im, err := g.groups.store.Import(commitlog.LogID(g.id), s.origin)
	if err != nil {
		return err
	}
	f.at, f.term, f.state = s.at, s.origin.Term, s.state
	for {
		e, err := s.entry()
		if err == io.EOF {
			return im.Finish(s.state)
		}
		if err == nil {
			err = im.Append([]record.Entry{e})
		}
		if err != nil {
			im.Abandon()
			return err
		}
		f.term = e.Term
	}
}

// fetched tells Raft of the snapshot. It belongs to a pass.
func (g *Group) fetched(f *fetch, err error) {
	if err != nil {
		g.fetching = nil // the leader offers it again
		g.logger.Warn("fetching a snapshot failed; it will be offered again", slog.Any("error", err))
		return
	}
	m := f.message
	m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: g.storage.conf, Index: new(uint64(f.at)), Term: new(uint64(f.term))}}
	_ = g.node.Step(m)
	f.offered = true
}

// dropUnwanted forgets a fetched snapshot that Raft has not taken: what it holds has come by entries meanwhile. It ends a pass.
func (g *Group) dropUnwanted() {
	if f := g.fetching; f != nil && f.offered && !f.taken {
		g.fetching = nil
	}
}

// installSnapshot puts the fetched snapshot in the place of the log. It belongs to a pass; no commit round runs, for the job at the
// front is this one.
func (g *Group) installSnapshot() {
	g.appends.Lock()
	if len(g.appends.jobs) == 0 || g.appends.jobs[0].snapshot == nil || g.appends.taken > 0 {
		g.appends.Unlock()
		return
	}
	job := g.appends.jobs[0]
	g.appends.Unlock()
	f := g.fetching
	g.fetching = nil
	if f == nil || uint64(f.at) != job.snapshot.GetMetadata().GetIndex() {
		g.fail(fmt.Errorf("raft wants the snapshot at %d in place, which is not here", job.snapshot.GetMetadata().GetIndex()))
		return
	}
	if err := g.adopt(f); err != nil {
		g.fail(fmt.Errorf("install snapshot at %d: %w", f.at, err))
		return
	}
	g.appends.Lock()
	job.snapshot = nil
	g.appends.Unlock()
	g.logger.Info("snapshot installed", slog.Uint64("index", uint64(f.at)))
	g.proceed()
}

func (g *Group) adopt(f *fetch) error {
	if err := g.log().Close(); err != nil {
		return err
	}
	id := commitlog.LogID(g.id)
	if err := g.groups.store.Adopt(id); err != nil {
		return err
	}
	disk, err := g.groups.store.Open(id, g, commitlog.LogOptions{})
	if err != nil {
		return err
	}
	g.disk.Store(disk)
	g.looked.Store(false)
	if err := g.look(); err != nil {
		return err
	}
	g.storage.log, g.storage.recent = disk, nil
	g.answered(g.forsake(fmt.Errorf("%w: a snapshot took the place of what was under way", broker.ErrUnknown)))
	if err := g.machine.Restore(f.state, f.at); err != nil {
		return err
	}
	return g.placeApplied(f.at)
}

// snapshotSent watches over snapshots that a leader has offered: Raft sends nothing else to a replica until it is told how that
// ended.
type snapshotSent struct {
	serving atomic.Int32 // streams under way
	waiting int          // ticks since one was offered or a stream was under way; 0 if none was offered. Of the pass
}

// snapshotPatience is how many ticks a replica has to fetch a snapshot and to say that it has it.
const snapshotPatience = 25

// snapshotSent notes that a snapshot was offered.
func (g *Group) snapshotSent() { g.sent.waiting = 1 }

// tick offers a snapshot again to those that have not taken it.
func (s *snapshotSent) tick(g *Group) {
	if s.waiting == 0 {
		return
	}
	if s.serving.Load() > 0 {
		s.waiting = 1
		return
	}
	if s.waiting++; s.waiting < snapshotPatience {
		return
	}
	s.waiting = 0
	var late []uint64
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if p.State == tracker.StateSnapshot {
			late = append(late, id)
		}
	})
	for _, id := range late {
		g.node.ReportSnapshot(id, raft.SnapshotFailure)
	}
}
