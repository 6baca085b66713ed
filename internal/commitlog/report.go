package commitlog

import (
	"path"

	"github.com/weirmq/weir/internal/record"
)

// Problem is something that is not intact in a log's directory.
type Problem struct {
	Path   string
	Pos    int64 // first byte concerned
	Bytes  int64 // how many; 0 for the whole file
	Reason string
	Action string // what Repair does about it, or did
	// Torn tells that the bytes were never known to be durable: Repair leaves them to the next start, which cuts them.
	Torn bool

	// What is lost: entries [FirstIndex, LastIndex] and messages [First, Next). At the end of a log that is an upper bound, so
	// that no index and no offset is given out twice.
	FirstIndex, LastIndex record.Index
	First, Next           record.Offset
}

// Loses reports whether entries are lost.
func (p *Problem) Loses() bool { return p.LastIndex >= p.FirstIndex && p.LastIndex > 0 }

// Report is what Repair found in a log's directory.
type Report struct {
	Dir      string
	Segments int
	Frames   int          // intact ones
	Bytes    int64        // of all segments
	First    record.Index // of the oldest entry
	Last     record.Index // of the newest entry; its place may be lost
	Start    record.Offset
	Next     record.Offset
	Problems []Problem
}

// Damaged reports whether there is anything to repair: a torn end is not.
func (r *Report) Damaged() bool {
	for i := range r.Problems {
		if !r.Problems[i].Torn {
			return true
		}
	}
	return false
}

// Aside is the folder that keeps the damaged files as they were.
func (r *Report) Aside() string { return path.Join(r.Dir, asideName) }
