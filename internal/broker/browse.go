package broker

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// ErrNoPartition means that this node has no replica of a partition, or that the topic has no such partition.
var ErrNoPartition = errors.New("no such partition at this node")

// PartitionInfo describes this node's replica of a partition.
type PartitionInfo struct {
	Number     uint16
	Leading    bool
	Failure    error         // why it stands still; nil if it does not
	Start, End record.Offset // what can be read: [Start, End)
	Segments   int
	Bytes      int64 // of the log on disk
	Newest     int64 // append time of the last entry, Unix ns; 0 if there is none
}

// Partitions describes the replicas that this node has of the topic.
func (t *Topic) Partitions() []PartitionInfo {
	list := make([]PartitionInfo, 0, len(t.parts))
	for _, p := range t.parts {
		info := PartitionInfo{Number: p.number, Leading: p.leads.Load() || t.broker.options.Cluster == nil, Failure: p.failure()}
		info.Start, info.End = p.log.Bounds()
		for _, s := range p.log.Segments() {
			info.Segments++
			info.Bytes += s.Bytes
			info.Newest = max(info.Newest, s.LastTime)
		}
		list = append(list, info)
	}
	return list
}

// Browsed is a message as its log holds it. Its bytes are valid during the visit only.
type Browsed struct {
	Partition uint16
	Offset    record.Offset
	ID        MessageID
	Time      int64 // append time, Unix ns
	Record    *record.Record
}

// Browse calls visit for the messages of a partition from an offset on, in offset order, until it returns false, and returns where to go on.
// What cannot be read any more is passed over. It reads at most the batch in which visit ended, and blocks for the disk. Errors:
// ErrNoPartition, those of the log.
func (t *Topic) Browse(partition uint16, from record.Offset, visit func(*Browsed) bool) (next record.Offset, err error) {
	p := t.replica(partition)
	if p == nil {
		return from, ErrNoPartition
	}
	start, end := p.log.Bounds()
	reader := p.log.NewReader()
	defer reader.Release()
	for next = max(from, start); next < end; {
		batch, time, err := reader.Batch(next)
		switch gone, readErr := passOver(err, next); {
		case readErr != nil:
			return next, fmt.Errorf("browse %s/%d at %d: %w", t.name, partition, next, readErr)
		case gone > next:
			next = gone
			continue
		case errors.Is(err, ErrOffsetOutOfRange): // trimmed meanwhile
			if start, _ = p.log.Bounds(); start <= next {
				return next, fmt.Errorf("browse %s/%d at %d: %w", t.name, partition, next, err)
			}
			next = start
			continue
		}
		more := true
		if next, more, err = p.visitBatch(batch, time, next, visit); err != nil || !more {
			return next, err
		}
	}
	return next, nil
}

// passOver returns the offset behind messages that are lost, or an error that browsing cannot pass over.
func passOver(err error, at record.Offset) (record.Offset, error) {
	var lost *LostError
	switch {
	case errors.As(err, &lost):
		return max(lost.Next, at+1), nil
	case err == nil, errors.Is(err, ErrOffsetOutOfRange):
		return at, nil
	}
	return at, err
}

// visitBatch visits the messages of a batch from an offset on.
func (p *partition) visitBatch(batch record.Batch, time int64, from record.Offset, visit func(*Browsed) bool) (next record.Offset, more bool, err error) {
	it := batch.Records()
	for it.Next() {
		r := it.Record()
		if r.Offset < from {
			continue
		}
		m := Browsed{Partition: p.number, Offset: r.Offset, ID: makeMessageID(p.topic.id, p.number, r.Offset), Time: time, Record: r}
		if !visit(&m) {
			return r.Offset + 1, false, nil
		}
	}
	if err := it.Err(); err != nil {
		return from, false, fmt.Errorf("browse %s/%d: %w", p.topic.name, p.number, err)
	}
	return batch.LastOffset() + 1, true, nil
}

// ReadAt visits one message, carried ones too. Errors: ErrNoPartition, ErrOffsetOutOfRange, ErrLost, those of the log.
func (t *Topic) ReadAt(partition uint16, offset record.Offset, visit func(*Browsed)) error {
	p := t.replica(partition)
	if p == nil {
		return ErrNoPartition
	}
	reader := p.log.NewReader()
	defer reader.Release()
	batch, time, err := reader.Batch(offset)
	if err != nil {
		return fmt.Errorf("read %s/%d at %d: %w", t.name, partition, offset, err)
	}
	found := false
	_, _, err = p.visitBatch(batch, time, offset, func(m *Browsed) bool {
		if found = m.Offset == offset; found {
			visit(m)
		}
		return false
	})
	if err == nil && !found {
		err = fmt.Errorf("read %s/%d at %d: %w", t.name, partition, offset, ErrOffsetOutOfRange)
	}
	return err
}

// OffsetAt returns the offset of the first message of a partition that was appended at or after a time in Unix ns; the end if there is
// none. It reads a few batches. Errors: ErrNoPartition, those of the log.
func (t *Topic) OffsetAt(partition uint16, time int64) (record.Offset, error) {
	p := t.replica(partition)
	if p == nil {
		return 0, ErrNoPartition
	}
	start, end := p.log.Bounds()
	for _, s := range p.log.Segments() {
		if s.LastTime > 0 && s.LastTime < time {
			start = max(start, s.Next) // whole segments are older
		}
	}
	reader := p.log.NewReader()
	defer reader.Release()
	var failed error
	// Append times never decrease, so that the messages from a time on are a suffix.
	n := sort.Search(int(max(end-start, 0)), func(i int) bool {
		at := start + record.Offset(i)
		_, appended, err := reader.Batch(at)
		switch _, readErr := passOver(err, at); {
		case failed != nil:
			return true
		case readErr != nil:
			failed = fmt.Errorf("look for a time in %s/%d: %w", t.name, partition, readErr)
			return true
		case err != nil:
			return false // lost, or trimmed just now: what is wanted lies behind
		}
		return appended >= time
	})
	return start + record.Offset(n), failed
}

// Locate returns the partition and the offset of a message id of this topic, in hex.
func (t *Topic) Locate(id string) (partition uint16, offset record.Offset, ok bool) {
	var raw MessageID
	if len(id) != len(raw) {
		return 0, 0, false
	}
	if _, err := hex.DecodeString(id); err != nil {
		return 0, 0, false
	}
	copy(raw[:], id)
	partition, offset, ok = raw.split(t.id)
	return partition, offset, ok && partition < t.partitions
}

// ID returns the id of a message of this topic.
func (t *Topic) ID(partition uint16, offset record.Offset) MessageID {
	return makeMessageID(t.id, partition, offset)
}

// Placed returns the partition that a published batch is in, from p.Base on; ok is false if it had to look for a leader.
func (t *Topic) Placed(p *Proposal) (partition uint16, ok bool) {
	part := t.target.Load()
	if part == nil || p.route != nil || p.Err != nil {
		return 0, false
	}
	return part.number, true
}
