package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// The file `votes` of a data directory, docs/format/votes.md, holds what each replica of the node must never forget besides its
// entries: its id, term and vote. It is a header and records, the last one of a log counts; a record with replica id 0 says that
// the replica is gone. It is written anew at each start and when most of it is out of date. Each record is there twice: a vote may be
// years old when its file is damaged, and must not pass for one that was torn by a power cut before it was promised to anybody.
//
//	header   0 4 magic "WVOT"   4 1 format   5 3 zero
//	record   0 8 topic id   8 2 partition   10 2 records before it in its round   12 4 CRC-32C of the rest
//	         16 8 replica id   24 8 term   32 8 vote
const (
	votesName        = "votes"
	votesMagic       = "WVOT"
	votesFormat      = 1
	votesHeaderBytes = 8
	voteBytes        = 40
	// votesSlack is how many records out of date the file may hold beyond the number of logs.
	votesSlack = 4096
	// votesRoundMax is how many records are written and synced at once.
	votesRoundMax = 1 << 15
)

// vote is what a replica must not forget.
type vote struct {
	replica uint64 // the replica's own id in its group
	term    uint64
	vote    uint64 // whom it voted for in this term; 0 for nobody
}

// votes is the votes of all replicas of a node. Those that come while one sync runs share the next.
//
// Concurrency: mu guards the map and what waits; the file belongs to run.
type votes struct {
	fs    vfs.FS
	dir   string
	wakeC chan struct{}
	stopC chan struct{}
	runs  sync.WaitGroup

	mu      sync.Mutex
	stored  map[broker.LogID]vote // durable
	waiting []voteChange
	failed  error

	file    vfs.File
	end     int64
	records int // in the file
}

type voteChange struct {
	id   broker.LogID
	vote vote
	done func(error)
}

// openVotes reads the file, makes it if it is missing, and writes it anew. Records of the last round may be torn, if the power went
// before its sync; anything else that is not as written is damage. known says that
// there must be a file.
func openVotes(fsys vfs.FS, dir string, known bool) (*votes, error) {
	v := &votes{fs: fsys, dir: dir, wakeC: make(chan struct{}, 1), stopC: make(chan struct{}), stored: make(map[broker.LogID]vote)}
	name := path.Join(dir, votesName)
	b, err := vfs.ReadFile(fsys, name, math.MaxInt64-1)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !known:
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing, but this node has voted: its disk has lost it, and its replicas must not vote before they are rebuilt", name)
	case err != nil:
		return nil, fmt.Errorf("read votes: %w", err)
	default:
		if err := v.decode(b); err != nil {
			return nil, fmt.Errorf("%s: %w; the replicas of this node must not vote before they are rebuilt", name, err)
		}
	}
	if err := v.rewrite(); err != nil {
		return nil, fmt.Errorf("write votes: %w", err)
	}
	v.runs.Go(v.run)
	return v, nil
}

func (v *votes) decode(b []byte) error {
	if len(b) < votesHeaderBytes || string(b[:4]) != votesMagic || b[4] != votesFormat {
		return fmt.Errorf("damaged at byte 0: not votes of format %d", votesFormat)
	}
	torn := -1
	for pos := votesHeaderBytes; pos < len(b); pos += 2 * voteBytes {
		row := b[pos:]
		id, x, ok := decodeVote(row)
		if !ok && len(row) >= voteBytes {
			row = row[voteBytes:]
			id, x, ok = decodeVote(row)
		}
		if ok && torn >= 0 && torn < pos-2*voteBytes*int(binary.BigEndian.Uint16(row[10:])) { // before the round that this one is of
			return fmt.Errorf("damaged at byte %d: checksum does not match", torn)
		}
		switch {
		case !ok && torn < 0:
			torn = pos
		case ok && x.replica == 0:
			delete(v.stored, id)
		case ok:
			v.stored[id] = x
		}
	}
	return nil
}

// appendVote encodes a record, twice, the one behind so many others of its round.
func appendVote(dst []byte, id broker.LogID, x vote, place int) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, id.Topic)
	dst = binary.BigEndian.AppendUint16(dst, id.Partition)
	dst = binary.BigEndian.AppendUint16(dst, uint16(place))
	dst = append(dst, 0, 0, 0, 0)
	for _, n := range [...]uint64{x.replica, x.term, x.vote} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	binary.BigEndian.PutUint32(dst[at+12:], voteChecksum(dst[at:]))
	return append(dst, dst[at:]...)
}

func decodeVote(b []byte) (broker.LogID, vote, bool) {
	if len(b) < voteBytes || binary.BigEndian.Uint32(b[12:]) != voteChecksum(b[:voteBytes]) {
		return broker.LogID{}, vote{}, false
	}
	id := broker.LogID{Topic: binary.BigEndian.Uint64(b), Partition: binary.BigEndian.Uint16(b[8:])}
	return id, vote{binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}, true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// voteChecksum is never 0, so that zeros never pass for a record.
func voteChecksum(b []byte) uint32 {
	if c := crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:]); c != 0 {
		return c
	}
	return ^uint32(0)
}

// rewrite replaces the file by one of the stored votes only. After an error that is ErrNoSpace the old file is in use as before.
func (v *votes) rewrite() error {
	b := append([]byte(votesMagic), votesFormat, 0, 0, 0)
	for id, x := range v.stored {
		b = appendVote(b, id, x, 0)
	}
	f, err := writeWhole(v.fs, path.Join(v.dir, votesName), b)
	if err != nil {
		return err
	}
	old := v.file
	v.file, v.end, v.records = f, int64(len(b)), len(v.stored)
	if old != nil {
		return old.Close()
	}
	return nil
}

// get returns the stored vote of a replica, if it has one.
func (v *votes) get(id broker.LogID) (vote, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, ok := v.stored[id]
	return x, ok
}

// save stores a vote; done is told when it is durable, or never will be. It must not block.
func (v *votes) save(id broker.LogID, x vote, done func(error)) {
	v.mu.Lock()
	v.waiting = append(v.waiting, voteChange{id, x, done})
	v.mu.Unlock()
	v.wake()
}

func (v *votes) wake() {
	select {
	case v.wakeC <- struct{}{}:
	default:
	}
}

// store is save, waited for.
func (v *votes) store(id broker.LogID, x vote) error {
	done := make(chan error, 1)
	v.save(id, x, func(err error) { done <- err })
	return <-done
}

func (v *votes) run() {
	for {
		select {
		case <-v.wakeC:
			v.round()
		case <-v.stopC:
			v.round()
			return
		}
	}
}

// votesRetry is how long votes wait for a full disk.
const votesRetry = 500 * time.Millisecond

// round writes and syncs what waits, and tells whom it concerns. A failed write or sync is final, a full disk is not.
func (v *votes) round() {
	v.mu.Lock()
	n := min(len(v.waiting), votesRoundMax)
	changes, failed := v.waiting[:n:n], v.failed
	if v.waiting = v.waiting[n:]; len(v.waiting) > 0 {
		defer v.wake()
	} else {
		v.waiting = nil
	}
	v.mu.Unlock()
	if n == 0 {
		return
	}
	if failed == nil {
		failed = v.write(changes)
	}
	v.mu.Lock()
	if errors.Is(failed, vfs.ErrNoSpace) { // nothing is promised yet: whoever asked waits until there is room
		v.waiting = append(changes, v.waiting...)
		v.mu.Unlock()
		time.AfterFunc(votesRetry, v.wake)
		return
	}
	if failed == nil {
		for _, c := range changes {
			if c.vote.replica == 0 {
				delete(v.stored, c.id)
			} else {
				v.stored[c.id] = c.vote
			}
		}
	}
	v.failed = failed
	stale := v.records > 2*len(v.stored)+votesSlack
	v.mu.Unlock()
	for _, c := range changes {
		c.done(failed)
	}
	if stale && failed == nil {
		if err := v.rewrite(); err != nil && !errors.Is(err, vfs.ErrNoSpace) { // a full disk: later, then
			v.mu.Lock()
			v.failed = err
			v.mu.Unlock()
		}
	}
}

func (v *votes) write(changes []voteChange) error {
	b := make([]byte, 0, len(changes)*2*voteBytes)
	for i, c := range changes {
		b = appendVote(b, c.id, c.vote, i)
	}
	if _, err := v.file.WriteAt(b, v.end); err != nil {
		return fmt.Errorf("write votes: %w", err)
	}
	if err := v.file.Sync(); err != nil {
		return fmt.Errorf("sync votes: %v", err) // final, also when the disk is full: a sync is not tried again
	}
	v.end += int64(len(b))
	v.records += len(changes)
	return nil
}

// close stores what waits and ends.
func (v *votes) close() error {
	close(v.stopC)
	v.runs.Wait()
	return v.file.Close()
}

// writeWhole replaces a file durably and leaves it open. A crash leaves the old content or the new.
func writeWhole(fsys vfs.FS, name string, b []byte) (vfs.File, error) {
	tmp := name + ".tmp"
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err == nil {
		if err = fsys.SyncDir(path.Dir(name)); err != nil {
			err = fmt.Errorf("after the rename: %v", err) // nobody knows which of the two is there: no matter of space any more
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
