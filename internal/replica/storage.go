package replica

import (
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// storage is raft.Storage over a commitlog: the log's frames are Raft's log. Entries on their way from the disk to the machine are
// kept in memory, so that applying reads nothing; others are read back from the log. It belongs to the group's pass.
type storage struct {
	group  *Group
	log    *commitlog.Log
	hard   raftpb.HardState // as of the start
	conf   *raftpb.ConfState
	recent []*raftpb.Entry // given to the log, not yet applied; consecutive
}

var _ raft.Storage = (*storage)(nil)

// InitialState implements raft.Storage.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return &raftpb.HardState{Term: s.hard.Term, Vote: s.hard.Vote, Commit: s.hard.Commit}, s.conf, nil
}

// FirstIndex implements raft.Storage.
func (s *storage) FirstIndex() (uint64, error) { return uint64(s.log.Bounds().FirstIndex), nil }

// LastIndex implements raft.Storage.
func (s *storage) LastIndex() (uint64, error) { return uint64(s.log.Bounds().LastIndex), nil }

// Term implements raft.Storage.
func (s *storage) Term(index uint64) (uint64, error) {
	if e := s.recentAt(index); e != nil {
		return e.GetTerm(), nil
	}
	term, err := s.log.Term(record.Index(index))
	return uint64(term), raftError(err)
}

// recentAt returns the entry of that index if it is kept in memory.
func (s *storage) recentAt(index uint64) *raftpb.Entry {
	if len(s.recent) == 0 || index < s.recent[0].GetIndex() {
		return nil
	}
	if at := index - s.recent[0].GetIndex(); at < uint64(len(s.recent)) {
		return s.recent[at]
	}
	return nil
}

// Entries implements raft.Storage.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	if len(s.recent) > 0 && lo < s.recent[0].GetIndex() {
		hi = min(hi, s.recent[0].GetIndex()) // Raft asks again for the rest
	}
	if s.recentAt(lo) == nil {
		return s.read(lo, hi, maxSize)
	}
	first := s.recent[0].GetIndex()
	if hi > first+uint64(len(s.recent)) {
		return nil, raft.ErrUnavailable
	}
	size, n := uint64(0), lo
	for n < hi {
		size += uint64(len(s.recent[n-first].GetData()))
		if n > lo && size > maxSize {
			break
		}
		n++
	}
	return slices.Clone(s.recent[lo-first : n-first]), nil // Raft keeps it until it is applied, applied changes recent
}

// read reads entries [lo, hi) from the disk, of about maxSize bytes, at least one.
func (s *storage) read(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	const readMax = 4 << 20
	list, err := s.log.Entries(record.Index(lo), record.Index(hi), int(min(maxSize, readMax)))
	if err != nil {
		return nil, raftError(err)
	}
	entries := make([]*raftpb.Entry, len(list))
	for i := range list {
		entries[i] = toRaft(&list[i])
	}
	return entries, nil
}

// Snapshot implements raft.Storage: it names the newest checkpoint. The follower fetches it, with the entries up to it, as a stream.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) {
	at := s.log.CheckpointIndex()
	if at == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := s.log.Term(at)
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	s.group.snapshotSent()
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: s.conf, Index: new(uint64(at)), Term: new(uint64(term))}}, nil
}

// given keeps entries until applied drops them. A lower index than the last replaces what follows.
func (s *storage) given(entries []*raftpb.Entry) {
	if len(entries) == 0 {
		return
	}
	if n := len(s.recent); n > 0 {
		first, last := s.recent[0].GetIndex(), s.recent[n-1].GetIndex()
		switch at := entries[0].GetIndex(); {
		case at <= first, at > last+1:
			s.recent = nil
		case at <= last:
			s.recent = s.recent[: at-first : at-first]
		}
	}
	s.recent = append(s.recent, entries...)
}

// last is the index of the last entry given to the log that is not yet applied; 0 if all are.
func (s *storage) last() uint64 {
	if n := len(s.recent); n > 0 {
		return s.recent[n-1].GetIndex()
	}
	return 0
}

// applied drops the entries up to index.
func (s *storage) applied(index uint64) {
	n := 0
	for n < len(s.recent) && s.recent[n].GetIndex() <= index {
		n++
	}
	clear(s.recent[:n])
	if s.recent = s.recent[n:]; len(s.recent) == 0 {
		s.recent = nil
	}
}

// raftError puts an error of the commitlog into Raft's terms.
func raftError(err error) error {
	switch {
	case errors.Is(err, commitlog.ErrCompacted):
		return raft.ErrCompacted
	case errors.Is(err, commitlog.ErrOffsetOutOfRange):
		return raft.ErrUnavailable
	default:
		return err
	}
}
