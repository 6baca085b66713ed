package history

import (
	"os"
	"sync"
	"time"
)

const recorderShards = 16

// Recorder collects the events of one process. All methods may be called from any goroutine; they take the time themselves,
// do not block on I/O (except those of a Recorder made by OpenFile, which write a line each) and copy what they are given.
type Recorder struct {
	run      uint32
	file     *os.File // nil in memory
	channels struct {
		sync.RWMutex
		History // only Channels is used
	}
	shards [recorderShards]shard
	fileMu sync.Mutex
	fileEr error
}

// shard holds the events of a share of the keys. Events of one publisher go into one shard, so their order is kept.
type shard struct {
	mu     sync.Mutex
	events []Event
	_      [64]byte // keeps neighbours off one cache line
}

// NewRecorder returns a Recorder in memory for the messages of a run.
func NewRecorder(run uint32) *Recorder { return &Recorder{run: run} }

// Run returns the run id that bodies of this history carry.
func (r *Recorder) Run() uint32 { return r.run }

// Body makes the body of message k, sizeBytes long.
func (r *Recorder) Body(k Key, sizeBytes int) []byte { return Body(r.run, k, sizeBytes) }

// Sent records that message k is about to be sent. A defer above 0 sets the time before which it must not be delivered.
func (r *Recorder) Sent(k Key, deferred time.Duration) {
	e := Event{Kind: Sent, Key: k, At: time.Now().UnixNano()}
	if deferred > 0 {
		e.Due = e.At + int64(deferred)
	}
	r.add(e, "")
}

// Answered records the broker's OK for message k.
func (r *Recorder) Answered(k Key) { r.add(Event{Kind: Answered, Key: k}, "") }

// Refused records an error of the broker that says that message k is not in the log.
func (r *Recorder) Refused(k Key) { r.add(Event{Kind: Refused, Key: k}, "") }

// Unknown records that the connection ended before message k was answered.
func (r *Recorder) Unknown(k Key) { r.add(Event{Kind: Unknown, Key: k}, "") }

// Delivered records a received message and returns its key; ok is false when the body is foreign or damaged, which is
// recorded too (as a phantom).
func (r *Recorder) Delivered(channel string, body []byte, attempts uint16) (k Key, ok bool) {
	k, err := Parse(r.run, body)
	if err != nil {
		r.add(Event{Kind: Foreign, Attempts: attempts}, channel)
		return Key{}, false
	}
	r.add(Event{Kind: Delivered, Key: k, Attempts: attempts}, channel)
	return k, true
}

// Finished records that a FIN for message k is about to be sent, and returns when.
func (r *Recorder) Finished(channel string, k Key) (at time.Time) {
	at = time.Now()
	r.add(Event{Kind: Finished, Key: k, At: at.UnixNano()}, channel)
	return at
}

// FinishFailed records that the broker answered the FIN of message k with an error.
func (r *Recorder) FinishFailed(channel string, k Key) {
	r.add(Event{Kind: FinishFailed, Key: k}, channel)
}

// FinishRefused is FinishFailed for the FIN recorded at a time, where the message may have come again, and been finished, before the
// answer.
func (r *Recorder) FinishRefused(channel string, k Key, at time.Time) {
	r.add(Event{Kind: FinishFailed, Key: k, At: at.UnixNano()}, channel)
}

// FinishRecorded records that the finish of message k is known to be in the log.
func (r *Recorder) FinishRecorded(channel string, k Key) {
	r.add(Event{Kind: FinishRecorded, Key: k}, channel)
}

// Requeued records that a REQ for message k with a delay is about to be sent.
func (r *Recorder) Requeued(channel string, k Key, delay time.Duration) {
	at := time.Now().UnixNano()
	r.add(Event{Kind: Requeued, Key: k, At: at, Due: at + int64(delay)}, channel)
}

// RequeueFailed records that the broker answered the REQ of message k with an error.
func (r *Recorder) RequeueFailed(channel string, k Key) {
	r.add(Event{Kind: RequeueFailed, Key: k}, channel)
}

// Disconnected records that a consumer of the channel lost or closed its connection.
func (r *Recorder) Disconnected(channel string) { r.add(Event{Kind: Disconnected}, channel) }

// Killed records that the broker is about to be killed with kill -9.
func (r *Recorder) Killed() { r.add(Event{Kind: Killed}, "") }

// Stopped records that the broker is about to be told to stop cleanly.
func (r *Recorder) Stopped() { r.add(Event{Kind: Stopped}, "") }

// History returns a copy of what was recorded so far, by time. Of a file Recorder use ReadFile.
func (r *Recorder) History() *History {
	h := &History{}
	r.channels.RLock()
	h.Channels = append(h.Channels, r.channels.Channels...)
	r.channels.RUnlock()
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		h.Events = append(h.Events, s.events...)
		s.mu.Unlock()
	}
	return h
}

func (r *Recorder) add(e Event, channel string) {
	if e.At == 0 {
		e.At = time.Now().UnixNano()
	}
	if r.file != nil {
		r.write(e, channel)
		return
	}
	if channel != "" {
		e.Channel = r.channelIndex(channel)
	}
	s := &r.shards[e.Key.Publisher%recorderShards]
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
}

func (r *Recorder) channelIndex(name string) uint16 {
	r.channels.RLock()
	for i, n := range r.channels.Channels {
		if n == name {
			r.channels.RUnlock()
			return uint16(i)
		}
	}
	r.channels.RUnlock()
	r.channels.Lock()
	defer r.channels.Unlock()
	return r.channels.channel(name)
}
