package broker

import (
	"sync"
	"time"

	"github.com/weirmq/weir/internal/latency"
	"github.com/weirmq/weir/internal/record"
)

// flights remembers when the messages that one seat has in flight were published, so that their FIN can be measured. A
// seat has one only if Options.LatencyQuantiles asks for it.
//
// Concurrency: any goroutine; mu guards what follows it. Under it only the window's lock is taken.
type flights struct {
	window *latency.Window // of the channel

	mu        sync.Mutex
	published map[record.Offset]int64 // Unix ns
	sweepAt   int                     // so many entries make sweep look for those that time out without a word of the client
	finished  []int64                 // reused
}

// fewFlights is not worth a sweep.
const fewFlights = 1024

func newFlights(w *latency.Window) *flights {
	return &flights{window: w, published: make(map[record.Offset]int64), sweepAt: fewFlights}
}

// begin notes a message that is about to be delivered.
func (f *flights) begin(o record.Offset, published int64) {
	f.mu.Lock()
	f.published[o] = published
	f.mu.Unlock()
}

// full reports that entries have gathered and should be swept.
func (f *flights) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.published) >= f.sweepAt
}

// end takes the messages that a client named out, and measures those that are finished: the ones without an error. errs may be nil.
func (f *flights) end(offsets func(i int) (record.Offset, bool), n int, errs []error) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = f.finished[:0]
	for i := range n {
		o, ok := offsets(i)
		if !ok {
			continue
		}
		at, ok := f.published[o]
		if !ok {
			continue
		}
		delete(f.published, o)
		if errs == nil || errs[i] == nil {
			f.finished = append(f.finished, at)
		}
	}
	if len(f.finished) > 0 {
		f.window.Record(now, f.finished...)
	}
}

// offsets returns what is remembered.
func (f *flights) offsets() []record.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]record.Offset, 0, len(f.published))
	for o := range f.published {
		all = append(all, o)
	}
	return all
}

// forget drops messages, and sets when to look again.
func (f *flights) forget(gone []record.Offset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range gone {
		delete(f.published, o)
	}
	f.sweepAt = max(fewFlights, 2*len(f.published))
}

// sweepFlights forgets the messages that are no longer in flight to the session.
func (s *seat) sweepFlights() {
	var gone []record.Offset
	known := s.flights.offsets()
	s.channel.mu.Lock()
	for _, o := range known {
		if !s.holdsLocked(o) {
			gone = append(gone, o)
		}
	}
	s.channel.mu.Unlock()
	s.flights.forget(gone)
}

// summarize returns the latencies of a channel and adds them to the topic's; nil if they are not measured.
func (t *Topic) summarize(name string, channel, topic *latency.Sum) *latency.Summary {
	if len(t.broker.options.LatencyQuantiles) == 0 {
		return nil
	}
	now := time.Now()
	t.eachChannel(name, func(c *Channel) {
		channel.Add(now, c.latency)
		topic.Add(now, c.latency)
	})
	return channel.Take()
}
