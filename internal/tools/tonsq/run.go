package tonsq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/tools"
)

// Run publishes the records of in until its end, an error of reading, or the end of ctx, and waits until every record read
// is acknowledged or given up. It returns an error unless every record was acknowledged by every nsqd.
//
// When ctx ends while in blocks, the goroutine that reads in is left behind; it ends with the next byte.
func Run(ctx context.Context, in io.Reader, o Options) (Totals, error) {
	if err := o.Validate(); err != nil {
		return Totals{}, err
	}
	defer o.Meter.Start()()
	destinations := make([]*destination, 0, len(o.Addresses))
	for _, address := range tools.Distinct(o.Addresses) {
		destinations = append(destinations, newDestination(address, &o))
	}
	var running sync.WaitGroup
	for _, d := range destinations {
		running.Go(d.run)
	}

	var totals Totals
	readErr := feed(ctx, in, &o, destinations, &totals)
	for _, d := range destinations {
		close(d.recordC)
	}
	running.Wait()

	errs := []error{readErr}
	for _, d := range destinations {
		totals.Destinations = append(totals.Destinations, d.totals)
		if missing := totals.Records - d.totals.Acknowledged; missing > 0 {
			errs = append(errs, fmt.Errorf("%d of %d records not acknowledged by %s: %w",
				missing, totals.Records, d.totals.Address, d.totals.LastError))
		}
	}
	return totals, errors.Join(errs...)
}

// feed hands each record to every destination until the end of the stream or of ctx.
func feed(ctx context.Context, in io.Reader, o *Options, destinations []*destination, totals *Totals) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	source := readRecords(ctx, in, o.Delimiter)
	pace := newPacer(o.Rate)
	for {
		var record []byte
		select {
		case <-ctx.Done():
			return nil
		case r, ok := <-source.recordC:
			if !ok {
				return source.err
			}
			record = r
		}
		if !pace.wait(ctx) {
			return nil
		}
		totals.Records++
		totals.Bytes += int64(len(record))
		for _, d := range destinations {
			d.recordC <- record // a destination always takes: given up, it counts
		}
	}
}

// pacer spaces records evenly.
type pacer struct {
	gap  time.Duration // 0: no limit
	next time.Time
}

func newPacer(rate int) *pacer {
	if rate == 0 {
		return &pacer{}
	}
	return &pacer{gap: time.Second / time.Duration(rate), next: time.Now()}
}

// wait blocks until the next record may go; it reports false if ctx ends first.
func (p *pacer) wait(ctx context.Context) bool {
	if p.gap == 0 {
		return true
	}
	now := time.Now()
	if p.next.Before(now.Add(-time.Second)) {
		p.next = now.Add(-time.Second) // an idle stream saves up one second's worth at most
	}
	if d := p.next.Sub(now); d > time.Millisecond {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
	p.next = p.next.Add(p.gap)
	return true
}
