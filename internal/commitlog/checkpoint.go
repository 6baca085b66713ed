package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// The checkpoint file, docs/format/checkpoint.md: a header, the table of carried messages, the caller's state.
const (
	checkpointMagic      = "WCKP"
	checkpointHeaderSize = 48
	carriedRefSize       = 16
	keptCheckpoints      = 2
)

// checkpoint is the content of a checkpoint file.
type checkpoint struct {
	id      LogID
	at      record.Index // the state holds all entries up to this one
	carried []carriedRef
	state   []byte
}

// encode returns the file as buffers; the last is the state itself.
func (c *checkpoint) encode() [][]byte {
	b := make([]byte, checkpointHeaderSize, checkpointHeaderSize+carriedRefSize*len(c.carried))
	copy(b, checkpointMagic)
	b[4] = formatVersion
	binary.BigEndian.PutUint16(b[6:], c.id.Partition)
	binary.BigEndian.PutUint64(b[8:], c.id.Topic)
	binary.BigEndian.PutUint64(b[16:], uint64(c.at))
	binary.BigEndian.PutUint64(b[24:], uint64(len(c.state)))
	binary.BigEndian.PutUint64(b[32:], uint64(len(c.carried)))
	for _, r := range c.carried {
		b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
		b = binary.BigEndian.AppendUint64(b, uint64(r.index))
	}
	binary.BigEndian.PutUint32(b[44:], checkpointChecksum(b, c.state))
	return [][]byte{b, c.state}
}

// checkpointChecksum covers all but itself.
func checkpointChecksum(head, state []byte) uint32 {
	sum := crc32.Update(0, castagnoli, head[:44])
	sum = crc32.Update(sum, castagnoli, head[48:])
	return crc32.Update(sum, castagnoli, state)
}

// parseCheckpoint decodes and checks a checkpoint file. The state shares b.
func parseCheckpoint(b []byte) (checkpoint, error) {
	if len(b) < checkpointHeaderSize || string(b[:4]) != checkpointMagic {
		return checkpoint{}, errors.New("not a checkpoint")
	}
	if b[4] != formatVersion {
		return checkpoint{}, fmt.Errorf("checkpoint of format version %d, this program knows %d", b[4], formatVersion)
	}
	c := checkpoint{
		id: LogID{Topic: binary.BigEndian.Uint64(b[8:]), Partition: binary.BigEndian.Uint16(b[6:])},
		at: record.Index(binary.BigEndian.Uint64(b[16:])),
	}
	size, refs := binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])
	rest := uint64(len(b) - checkpointHeaderSize)
	if refs > rest/carriedRefSize || size != rest-refs*carriedRefSize {
		return checkpoint{}, errors.New("length does not match")
	}
	head := checkpointHeaderSize + int(refs)*carriedRefSize
	if binary.BigEndian.Uint32(b[44:]) != checkpointChecksum(b[:head], b[head:]) {
		return checkpoint{}, errors.New("checksum does not match")
	}
	c.carried, c.state = make([]carriedRef, refs), b[head:]
	for i := range c.carried {
		p := b[checkpointHeaderSize+i*carriedRefSize:]
		c.carried[i] = carriedRef{record.Offset(binary.BigEndian.Uint64(p)), record.Index(binary.BigEndian.Uint64(p[8:]))}
	}
	if !slices.IsSortedFunc(c.carried, carriedRef.compare) {
		return checkpoint{}, errors.New("carried messages are not in order")
	}
	return c, nil
}

// Checkpoint returns the newest intact state and the index up to which it holds; nil and 0 if there is none. A damaged
// checkpoint is reported in the log and skipped: the older one and more entries lead to the same state. The caller owns the
// state. It also restores the table of carried messages, so it comes before Replay.
func (l *Log) Checkpoint() (state []byte, at record.Index, err error) {
	l.mu.Lock()
	states := slices.Clone(l.mu.states)
	l.mu.Unlock()
	c, err := l.newestCheckpoint(states)
	if err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if first := l.firstIndexLocked(); c.at+1 < first {
		return nil, 0, &DamageError{Path: path.Join(l.dir, identityName), Pos: 16,
			Reason: fmt.Sprintf("the log begins with entry %d, and no intact checkpoint holds what was before", first)}
	}
	if c.at == 0 {
		return nil, 0, nil
	}
	l.mu.states = slices.DeleteFunc(l.mu.states, func(i record.Index) bool { return i > c.at }) // damaged ones
	l.mu.carried.refs = slices.Compact(slices.SortedFunc(slices.Values(append(c.carried, l.mu.carried.refs...)), carriedRef.compare))
	l.mu.carried.keep(l.firstIndexLocked(), math.MaxUint64)
	return c.state, c.at, nil
}

// newestCheckpoint reads checkpoint files, the newest first, until one is intact.
func (l *Log) newestCheckpoint(states []record.Index) (checkpoint, error) {
	for _, at := range slices.Backward(states) {
		name := numberedName(l.dir, uint64(at), stateSuffix)
		b, err := vfs.ReadFile(l.store.fs, name, math.MaxInt64-1)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
		}
		c, err := parseCheckpoint(b)
		if err == nil && (c.id != l.id || c.at != at) {
			err = fmt.Errorf("it is of log %v, entry %d", c.id, c.at)
		}
		if err == nil {
			return c, nil
		}
		l.store.logger.Error("checkpoint is damaged, using the one before it and more of the log", "file", name, "error", err)
	}
	return checkpoint{}, nil
}

// SaveCheckpoint stores the state as applied up to entry at, durably, and drops all older ones but one. What the log holds up
// to at is made durable first, so that a state never outlives its entries. It blocks for the disk; one call runs at a time.
func (l *Log) SaveCheckpoint(state []byte, at record.Index) error {
	l.keepTurn.acquire()
	defer l.keepTurn.release()
	if b := l.Bounds(); at == 0 || at > b.LastIndex {
		return fmt.Errorf("log %v: checkpoint at entry %d, but the log has those up to %d", l.id, at, b.LastIndex)
	} else if b.DurableIndex < at {
		l.syncTurn.acquire()
		err := l.syncWritten()
		l.syncTurn.release()
		if err != nil {
			return err
		}
	}
	l.mu.Lock()
	err := l.errLocked()
	c := checkpoint{id: l.id, at: at, state: state, carried: slices.Clone(l.mu.carried.refs)}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	c.carried = slices.DeleteFunc(c.carried, func(r carriedRef) bool { return r.index > at })
	name := numberedName(l.dir, uint64(at), stateSuffix)
	err = l.store.withRoom(func() error { return vfs.ReplaceFile(l.store.fs, name, c.encode()) })
	if err != nil {
		if errors.Is(err, vfs.ErrNoSpace) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return fmt.Errorf("log %v: save checkpoint: %w", l.id, err)
	}
	return l.dropOldCheckpoints(at)
}

// dropOldCheckpoints removes all checkpoints but the newest two. They must not come back and be taken for the newest, which
// their numbers prevent; so nothing is synced.
func (l *Log) dropOldCheckpoints(at record.Index) error {
	l.mu.Lock()
	if n := len(l.mu.states); n == 0 || l.mu.states[n-1] != at {
		l.mu.states = append(l.mu.states, at)
	}
	n := max(0, len(l.mu.states)-keptCheckpoints)
	old := slices.Clone(l.mu.states[:n])
	l.mu.states = slices.Clone(l.mu.states[n:])
	l.mu.Unlock()
	for _, i := range old {
		if err := l.store.fs.Remove(numberedName(l.dir, uint64(i), stateSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log %v: remove old checkpoint: %w", l.id, err)
		}
	}
	return nil
}
