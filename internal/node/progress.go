package node

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// When and how often the progress of a recovery is shown.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// progress is broker.Logs that counts what the broker opens, and shows it on a terminal when it takes long.
type progress struct {
	broker.Logs
	total, opened atomic.Int64
	running       sync.WaitGroup
	doneC         chan struct{}
}

// startProgress begins to watch; without a terminal it only counts.
func startProgress(logs broker.Logs, terminal io.Writer) *progress {
	p := &progress{Logs: logs, doneC: make(chan struct{})}
	if terminal != nil {
		p.running.Go(func() { p.show(terminal) })
	}
	return p
}

// List implements broker.Logs.
func (p *progress) List() ([]broker.LogID, error) {
	ids, err := p.Logs.List()
	p.total.Store(int64(len(ids)))
	return ids, err
}

// Open implements broker.Logs.
func (p *progress) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := p.Logs.Open(id, m)
	p.opened.Add(1)
	return log, err
}

// stop ends the display. The broker goes on to use p.
func (p *progress) stop() {
	close(p.doneC)
	p.running.Wait()
}

// show writes one line over itself until stop.
func (p *progress) show(terminal io.Writer) {
	begun := time.Now()
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	for shown := false; ; shown = true {
		select {
		case <-p.doneC:
			if shown {
				fmt.Fprintf(terminal, "\rrecovered %d logs in %s          \n", p.opened.Load(), time.Since(begun).Round(time.Millisecond))
			}
			return
		case <-timer.C:
			fmt.Fprintf(terminal, "\rrecovering: %d of %d logs, %s ", p.opened.Load(), p.total.Load(),
				time.Since(begun).Round(time.Second))
			timer.Reset(progressEvery)
		}
	}
}
