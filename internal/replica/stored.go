package replica

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// stored is the part of a broker.Log that is the same whoever decides what is committed: the log on this node's disk, and how far
// of it may be read.
type stored struct {
	disk atomic.Pointer[commitlog.Log] // a replica's is replaced when it takes over a snapshot
	high atomic.Int64                  // high watermark
	// looked tells that the checkpoint was read, and with it where carried messages are.
	looked atomic.Bool
	// damaged is told what a reader could not read, where another replica can be read instead. nil: nobody is told.
	damaged func(error)
}

func (s *stored) log() *commitlog.Log { return s.disk.Load() }

// look reads the checkpoint if nobody has: the commitlog finds carried messages with its help.
func (s *stored) look() error {
	if s.looked.Load() {
		return nil
	}
	_, _, err := s.Checkpoint()
	return err
}

// Bounds implements broker.Log.
func (s *stored) Bounds() (start, end record.Offset) {
	return s.log().Bounds().Start, record.Offset(s.high.Load())
}

// Checkpoint implements broker.Log.
func (s *stored) Checkpoint() ([]byte, record.Index, error) {
	s.looked.Store(true)
	state, at, err := s.log().Checkpoint()
	return state, at, translate(err)
}

// SaveCheckpoint implements broker.Log.
func (s *stored) SaveCheckpoint(state []byte, at record.Index) error {
	return translate(s.log().SaveCheckpoint(state, at))
}

// Segments implements broker.Log.
func (s *stored) Segments() []broker.Segment {
	list := s.log().Segments()
	segments := make([]broker.Segment, len(list))
	for i, x := range list {
		segments[i] = broker.Segment{First: x.First, Next: x.Next, Bytes: x.Bytes, LastTime: x.LastTime, Sealed: x.Sealed, Carries: x.Carries}
	}
	return segments
}

// Roll implements broker.Log.
func (s *stored) Roll() error { return translate(s.log().Roll()) }

// Trim implements broker.Log.
func (s *stored) Trim(below record.Offset) error { return translate(s.log().Trim(below)) }

// NewReader implements broker.Log.
func (s *stored) NewReader() broker.Reader { return &reader{stored: s} }

// reader keeps a commitlog's reader below the high watermark.
type reader struct {
	stored *stored
	disk   *commitlog.Log // that reads
	reads  *commitlog.Reader
}

// Batch implements broker.Reader.
func (r *reader) Batch(offset record.Offset) (record.Batch, int64, error) {
	if disk := r.stored.log(); r.disk != disk {
		r.Release()
		r.disk, r.reads = disk, disk.NewReader()
	}
	batch, time, err := r.reads.Batch(offset, record.Offset(r.stored.high.Load()))
	var damage *commitlog.DamageError
	if r.stored.damaged != nil && errors.As(err, &damage) {
		r.stored.damaged(err)
	}
	return batch, time, translate(err)
}

// Rest implements broker.Reader.
func (r *reader) Rest() {
	if r.reads != nil {
		r.reads.Rest()
	}
}

// Release implements broker.Reader.
func (r *reader) Release() {
	if r.reads != nil {
		r.reads.Release()
	}
}

// translate puts an error of the commitlog into the broker's terms.
func translate(err error) error {
	var lost *commitlog.LostError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lost):
		return &broker.LostError{First: lost.First, Next: lost.Next}
	case errors.Is(err, commitlog.ErrFull):
		return fmt.Errorf("%w: %w", broker.ErrFull, err)
	case errors.Is(err, commitlog.ErrOffsetOutOfRange):
		return fmt.Errorf("%w: %w", broker.ErrOffsetOutOfRange, err)
	case errors.Is(err, commitlog.ErrClosed):
		return fmt.Errorf("%w: %w", broker.ErrClosed, err)
	default:
		return fmt.Errorf("%w: %w", broker.ErrFailed, err)
	}
}
