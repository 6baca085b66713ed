package commitlog

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/vfs"
)

// Options configure a Store. Fields left zero have the defaults that are named.
type Options struct {
	FS     vfs.FS       // the disk; required
	Dir    string       // the store's directory, made if it is missing; required
	Logger *slog.Logger // slog.Default()
	Sync   SyncPolicy   // of logs that name none of their own; SyncAlways

	CacheBytes int64 // newest batches kept in memory, of all logs together; 12 MiB
	IndexBytes int64 // indexes of sealed segments kept in memory; 8 MiB
	OpenFiles  int   // segments kept open for readers; 256

	RecycleBytes    int64 // files of deleted segments kept to be written over, at most a fiftieth of the disk; 256 MiB, less than 0 for none
	MinSegmentBytes int64 // size at which a quiet log begins a new segment; 1 MiB
	MaxSegmentBytes int64 // the same of a busy log; 64 MiB
	RoundBytes      int   // payload bytes that one log may bring to a commit round; 4 MiB

	// Synced is told how long each round of syncs took. It must not block. nil for nobody.
	Synced func(took time.Duration)
}

// LogOptions configure one log.
type LogOptions struct {
	Sync *SyncPolicy // nil for the store's
}

// withDefaults fills in what is left zero.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, v := range []struct {
		field *int64
		value int64
	}{{&o.CacheBytes, 12 << 20}, {&o.IndexBytes, 8 << 20}, {&o.MinSegmentBytes, 1 << 20}, {&o.MaxSegmentBytes, 64 << 20}, {&o.RecycleBytes, 256 << 20}} {
		if *v.field == 0 {
			*v.field = v.value
		}
	}
	if o.OpenFiles == 0 {
		o.OpenFiles = 256
	}
	if o.RoundBytes == 0 {
		o.RoundBytes = 4 << 20
	}
	return o
}

// Validate names the first field that makes no sense.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch {
	case o.FS == nil:
		return fmt.Errorf("option FS is missing")
	case o.Dir == "":
		return fmt.Errorf("option Dir is missing")
	case o.CacheBytes < 0:
		return fmt.Errorf("CacheBytes is %d, want 0 or more", o.CacheBytes)
	case o.IndexBytes < 0:
		return fmt.Errorf("IndexBytes is %d, want 0 or more", o.IndexBytes)
	case o.OpenFiles < 0:
		return fmt.Errorf("OpenFiles is %d, want 0 or more", o.OpenFiles)
	case o.MinSegmentBytes < segmentHeaderSize:
		return fmt.Errorf("MinSegmentBytes is %d, want %d or more", o.MinSegmentBytes, segmentHeaderSize)
	case o.MaxSegmentBytes < o.MinSegmentBytes || o.MaxSegmentBytes > 1<<30:
		return fmt.Errorf("MaxSegmentBytes is %d, want MinSegmentBytes to 1 GiB", o.MaxSegmentBytes)
	case o.RoundBytes < 1:
		return fmt.Errorf("RoundBytes is %d, want 1 or more", o.RoundBytes)
	}
	return nil
}
