package raftspike

import (
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// self is the id of the only voter.
const self = 1

// storage is raft.Storage over a commitlog. Entries on their way from the disk to the machine are kept in memory, so
// that applying reads nothing; older ones are read back from the log.
type storage struct {
	log    *commitlog.Log
	hard   hardState
	commit uint64          // what is known to be committed when Raft starts
	recent []*raftpb.Entry // appended, not applied; consecutive
}

var _ raft.Storage = (*storage)(nil)

// InitialState implements raft.Storage.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	state := &raftpb.HardState{Term: new(s.hard.term), Vote: new(s.hard.vote), Commit: new(s.commit)}
	return state, &raftpb.ConfState{Voters: []uint64{self}}, nil
}

// FirstIndex implements raft.Storage.
func (s *storage) FirstIndex() (uint64, error) { return uint64(s.log.Bounds().FirstIndex), nil }

// LastIndex implements raft.Storage.
func (s *storage) LastIndex() (uint64, error) { return uint64(s.log.Bounds().LastIndex), nil }

// Term implements raft.Storage.
func (s *storage) Term(index uint64) (uint64, error) {
	if n := len(s.recent); n > 0 {
		if first := s.recent[0].GetIndex(); index >= first && index < first+uint64(n) {
			return s.recent[index-first].GetTerm(), nil
		}
	}
	b := s.log.Bounds()
	switch {
	case index == uint64(b.LastIndex):
		return uint64(b.LastTerm), nil
	case index < uint64(b.FirstIndex):
		return 0, raft.ErrCompacted // the spike never asks for the term before the first entry
	case index > uint64(b.LastIndex):
		return 0, raft.ErrUnavailable
	}
	entries, err := s.read(index, index+1, 1)
	if err != nil {
		return 0, err
	}
	return entries[0].GetTerm(), nil
}

// Entries implements raft.Storage.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	if len(s.recent) == 0 || lo < s.recent[0].GetIndex() {
		if lo < uint64(s.log.Bounds().FirstIndex) {
			return nil, raft.ErrCompacted
		}
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

// errEnough ends a Replay.
var errEnough = errors.New("enough entries read")

// read reads entries [lo, hi) from the disk, of about maxSize bytes, at least one.
func (s *storage) read(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	var entries []*raftpb.Entry
	size := uint64(0)
	err := s.log.Replay(record.Index(lo-1), func(e *record.Entry) error {
		size += uint64(len(e.Payload))
		if uint64(e.Index) >= hi || len(entries) > 0 && size > maxSize {
			return errEnough
		}
		entries = append(entries, toRaft(e))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, raft.ErrUnavailable
	}
	return entries, nil
}

// Snapshot implements raft.Storage. One voter sends none.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// appended keeps entries until applied drops them.
func (s *storage) appended(entries []*raftpb.Entry) { s.recent = append(s.recent, entries...) }

// applied drops the entries up to index.
func (s *storage) applied(index uint64) {
	n := 0
	for n < len(s.recent) && s.recent[n].GetIndex() <= index {
		n++
	}
	rest := copy(s.recent, s.recent[n:])
	clear(s.recent[rest:])
	s.recent = s.recent[:rest]
}
