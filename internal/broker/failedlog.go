package broker

import "github.com/weirmq/weir/internal/record"

// failedLog stands in for a log that could not be opened: it takes nothing and has nothing, so that one damaged topic stands
// still while the others serve.
type failedLog struct{ err error }

var _ Log = failedLog{}

// Start implements Log.
func (l failedLog) Start(record.Index) error { return l.err }

// Propose implements Log.
func (l failedLog) Propose(p *Proposal) {
	p.Err = l.err
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}

// Bounds implements Log.
func (l failedLog) Bounds() (start, end record.Offset) { return 0, 0 }

// NewReader implements Log.
func (l failedLog) NewReader() Reader { return l }

// Batch implements Reader.
func (l failedLog) Batch(record.Offset) (record.Batch, int64, error) { return nil, 0, l.err }

// Rest implements Reader.
func (l failedLog) Rest() {}

// Release implements Reader.
func (l failedLog) Release() {}

// Checkpoint implements Log.
func (l failedLog) Checkpoint() ([]byte, record.Index, error) { return nil, 0, l.err }

// SaveCheckpoint implements Log.
func (l failedLog) SaveCheckpoint([]byte, record.Index) error { return l.err }

// Segments implements Log.
func (l failedLog) Segments() []Segment { return nil }

// Roll implements Log.
func (l failedLog) Roll() error { return l.err }

// Trim implements Log.
func (l failedLog) Trim(record.Offset) error { return l.err }

// Close implements Log.
func (l failedLog) Close() error { return nil }
