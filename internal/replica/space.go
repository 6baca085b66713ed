package replica

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// Options configure Logs. The zero value of a field means its default.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// FS and Dir say where the data lie: free space is watched there.
	FS  vfs.FS
	Dir string
	// ReserveBytes is the free space below which messages are refused, so that finishes and other small entries can still be
	// recorded. Default: 256 MiB, or 5 % of the disk if that is less.
	ReserveBytes int64
	// WatchInterval is how often free space is looked at. Default 1s.
	WatchInterval time.Duration
}

// Space watches the free space of a node's disk for all its logs.
type Space struct {
	options Options
	low     atomic.Bool  // free space is below the reserve
	room    atomic.Int64 // bytes of messages to be admitted until the disk is looked at again, however early that is
	stop    context.CancelFunc
	runs    sync.WaitGroup
}

// newSpace looks at the disk, and then again and again until close.
func newSpace(options Options) *Space {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.WatchInterval == 0 {
		options.WatchInterval = time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Space{options: options, stop: stop}
	s.look()
	s.runs.Go(func() { s.watch(ctx) })
	return s
}

// close stops watching.
func (s *Space) close() {
	s.stop()
	s.runs.Wait()
}

// Healthy returns nil, or ErrFull, wrapped, while messages are refused.
func (s *Space) Healthy() error {
	if s.low.Load() {
		return fmt.Errorf("%w: free space is below the reserve", broker.ErrFull)
	}
	return nil
}

func (s *Space) watch(ctx context.Context) {
	tick := time.NewTicker(s.options.WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look()
		}
	}
}

// spend counts bytes of messages that are about to be appended: fast publishers fill a disk between two ticks.
func (s *Space) spend(bytes int) {
	if s.room.Add(-int64(bytes)) < 0 {
		s.look()
	}
}

func (s *Space) look() {
	usage, err := s.options.FS.Usage(s.options.Dir)
	if err != nil {
		return // the writes will tell
	}
	reserve := s.options.ReserveBytes
	if reserve == 0 {
		reserve = min(256<<20, usage.Total/20)
	}
	low := usage.Free < reserve
	s.room.Store((usage.Free - reserve) / 4) // segments grow ahead of what is admitted
	if s.low.Swap(low) == low {
		return
	}
	if low {
		s.options.Logger.Error("disk nearly full: messages are refused, consuming goes on; free some space",
			slog.Int64("free_bytes", usage.Free), slog.Int64("reserve_bytes", reserve))
	} else {
		s.options.Logger.Info("disk has space again: messages are accepted", slog.Int64("free_bytes", usage.Free))
	}
}
