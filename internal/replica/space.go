package replica

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
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
	// SpareBytes is the size of a file that keeps room in which finishes are recorded when other programs have filled the disk; on a
	// small disk it is a hundredth of that. Default 0: no such file.
	SpareBytes int64
	// WatchInterval is how often free space is looked at. Default 1s.
	WatchInterval time.Duration
}

// Space watches the free space of a node's disk for all its logs.
type Space struct {
	options Options
	store   *commitlog.Store
	spare   *spare       // the watching goroutine's
	low     atomic.Bool  // free space is below the reserve
	tight   atomic.Bool  // free space is below tightReserves reserves, or was and is not yet above easyReserves
	room    atomic.Int64 // bytes of messages to be admitted until the disk is looked at again, however early that is
	stop    context.CancelFunc
	runs    sync.WaitGroup
}

// tightReserves is how many reserves have to be free for finished messages to be kept for replay: fast publishers take a while to use up
// the rest. Once there were fewer, it takes easyReserves: a node that lives at the limit does not go to and fro with every segment.
const (
	tightReserves = 4
	easyReserves  = 5
)

// newSpace looks at the disk, and then again and again until close. It tells the store when space begins or ceases to be tight, or low.
func newSpace(options Options, store *commitlog.Store) *Space {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.WatchInterval == 0 {
		options.WatchInterval = time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Space{options: options, store: store, spare: newSpare(options), stop: stop}
	if usage, ok := s.look(); ok {
		s.spare.giveUp(usage)
		s.squeeze(usage)
	}
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
		}
		if usage, ok := s.look(); ok {
			s.spare.giveUp(usage)
			s.spare.keep(usage, s.reserve(usage))
			s.squeeze(usage)
		}
	}
}

// spend counts bytes of messages that are about to be appended: fast publishers fill a disk between two ticks.
func (s *Space) spend(bytes int) {
	if s.room.Add(-int64(bytes)) < 0 {
		s.look()
	}
}

// reserve returns the free space below which messages are refused.
func (s *Space) reserve(usage vfs.Usage) int64 {
	if s.options.ReserveBytes > 0 {
		return s.options.ReserveBytes
	}
	return min(256<<20, usage.Total/20)
}

// squeeze finds out whether space is tight. Files that hold nothing go first: messages have to give way only if that is not enough.
// It belongs to the watching goroutine.
func (s *Space) squeeze(usage vfs.Usage) {
	reserve := s.reserve(usage)
	switch {
	case usage.Free >= easyReserves*reserve:
		s.store.Tight(false)
		s.tight.Store(false)
	case usage.Free < tightReserves*reserve:
		if usage.Free+s.store.Tight(true) < tightReserves*reserve {
			s.tight.Store(true)
		}
	}
}

// look finds out whether space is low; ok is false if the disk does not tell.
func (s *Space) look() (usage vfs.Usage, ok bool) {
	usage, err := s.options.FS.Usage(s.options.Dir)
	if err != nil {
		return usage, false // the writes will tell
	}
	reserve := s.reserve(usage)
	low := usage.Free < reserve
	s.room.Store((usage.Free - reserve) / 4) // segments grow ahead of what is admitted
	if s.low.Swap(low) == low {
		return usage, true
	}
	s.store.Scarce(low)
	if low {
		s.options.Logger.Error("disk nearly full: messages are refused, consuming goes on; free some space",
			slog.Int64("free_bytes", usage.Free), slog.Int64("reserve_bytes", reserve))
	} else {
		s.options.Logger.Info("disk has space again: messages are accepted", slog.Int64("free_bytes", usage.Free))
	}
	return usage, true
}
