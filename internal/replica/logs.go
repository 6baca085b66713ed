package replica

import (
	"context"
	"errors"
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
	// WatchInterval is how often free space is looked at. Default 1s.
	WatchInterval time.Duration
}

// Logs opens the logs of a lone node. It implements broker.Logs.
type Logs struct {
	store   *commitlog.Store
	options Options
	low     atomic.Bool  // free space is below the reserve
	room    atomic.Int64 // bytes of messages to be admitted until the disk is looked at again, however early that is
	stop    context.CancelFunc
	runs    sync.WaitGroup
}

var _ broker.Logs = (*Logs)(nil)

// NewLogs serves the logs of a store. Close stops it; the store stays the caller's.
func NewLogs(store *commitlog.Store, options Options) *Logs {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.WatchInterval == 0 {
		options.WatchInterval = time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Logs{store: store, options: options, stop: stop}
	l.look()
	l.runs.Go(func() { l.watch(ctx) })
	return l
}

// Close stops watching the disk. The logs must be closed before.
func (l *Logs) Close() {
	l.stop()
	l.runs.Wait()
}

// Create implements broker.Logs.
func (l *Logs) Create(id broker.LogID) error { return l.store.Create(commitlog.LogID(id)) }

// Delete implements broker.Logs.
func (l *Logs) Delete(id broker.LogID) error { return l.store.Delete(commitlog.LogID(id)) }

// List implements broker.Logs.
func (l *Logs) List() ([]broker.LogID, error) {
	ids, err := l.store.List()
	if err != nil {
		return nil, err
	}
	list := make([]broker.LogID, len(ids))
	for i, id := range ids {
		list[i] = broker.LogID(id)
	}
	return list, nil
}

// Open implements broker.Logs.
func (l *Logs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log := &Log{logs: l, machine: m}
	log.idle = sync.NewCond(&log.mu)
	var err error
	if log.store, err = l.store.Open(commitlog.LogID(id), log, commitlog.LogOptions{}); err != nil {
		return nil, err
	}
	return log, nil
}

// Healthy implements broker.Logs.
func (l *Logs) Healthy() error {
	if l.low.Load() {
		return fmt.Errorf("%w: free space is below the reserve", broker.ErrFull)
	}
	return nil
}

// watch looks at the free space until the context ends.
func (l *Logs) watch(ctx context.Context) {
	tick := time.NewTicker(l.options.WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.look()
		}
	}
}

// spend counts bytes of messages that are about to be appended: fast publishers fill a disk between two ticks.
func (l *Logs) spend(bytes int) {
	if l.room.Add(-int64(bytes)) < 0 {
		l.look()
	}
}

func (l *Logs) look() {
	usage, err := l.options.FS.Usage(l.options.Dir)
	if err != nil {
		return // the writes will tell
	}
	reserve := l.options.ReserveBytes
	if reserve == 0 {
		reserve = min(256<<20, usage.Total/20)
	}
	low := usage.Free < reserve
	l.room.Store((usage.Free - reserve) / 4) // segments grow ahead of what is admitted
	if l.low.Swap(low) == low {
		return
	}
	if low {
		l.options.Logger.Error("disk nearly full: messages are refused, consuming goes on; free some space",
			slog.Int64("free_bytes", usage.Free), slog.Int64("reserve_bytes", reserve))
	} else {
		l.options.Logger.Info("disk has space again: messages are accepted", slog.Int64("free_bytes", usage.Free))
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
