package migrate

import (
	"context"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/nsqdata"
	"github.com/weirmq/weir/internal/record"
)

const (
	// batchBytes is when a batch is closed, as for publishers.
	batchBytes = 64 << 10
	// mostUnderWay bounds the batches that wait for their commit.
	mostUnderWay = 64
	// mostAttempted is when attempts are recorded although there may be more.
	mostAttempted = 32 << 10
	// mostBodyBytes is the largest message that fits into Weir's log.
	mostBodyBytes = node.MaxBodyBytes
)

// importedTopic is a topic that backlogs are written to. Without a topic everything is only read.
type importedTopic struct {
	topic    *broker.Topic
	channels map[string]*broker.Channel
}

// createChannel makes a channel before there are any messages, so that all of them are in it.
func (t *importedTopic) createChannel(ctx context.Context, name string, paused bool) error {
	if t.topic == nil {
		return nil
	}
	c, err := t.topic.CreateChannel(ctx, name)
	if err != nil {
		return err
	}
	t.channels[name] = c
	if paused {
		return c.SetPaused(ctx, true)
	}
	return nil
}

// backlogWriter publishes one queue's messages and then gives them to its channel alone. Its methods are called by one
// goroutine; Proposed runs on the log's.
type backlogWriter struct {
	target  *importedTopic
	channel string // empty: the messages are for all channels
	builder record.Builder
	body    int      // bytes of bodies in the batch
	tries   []uint16 // attempts of the batch's messages

	slots chan struct{} // one for each batch under way

	mu struct {
		sync.Mutex
		err       error
		from, to  record.Offset // what was committed: [from, to)
		attempted []broker.Attempted
	}
}

func newBacklogWriter(target *importedTopic, channel string) *backlogWriter {
	return &backlogWriter{target: target, channel: channel, slots: make(chan struct{}, mostUnderWay)}
}

// write adds a message. It may wait for a commit.
func (w *backlogWriter) write(ctx context.Context, m nsqdata.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.target.topic == nil {
		return nil
	}
	if w.builder.Count() > 0 && w.builder.Len()+len(m.Body) > batchBytes {
		w.submit()
		if err := w.recordAttempts(ctx, mostAttempted); err != nil {
			return err
		}
	}
	w.builder.Append(m.Body, 0)
	w.body += len(m.Body)
	w.tries = append(w.tries, m.Attempts)
	return w.failure()
}

// submit publishes the batch.
func (w *backlogWriter) submit() {
	if w.builder.Count() == 0 {
		return
	}
	p := &broker.Proposal{Messages: w.builder.Count(), BodyBytes: w.body}
	p.Owner = &batchUnderWay{writer: w, tries: w.tries}
	p.Payload = w.builder.Finish(time.Now().UnixMilli())
	w.body, w.tries = 0, nil
	w.slots <- struct{}{}
	w.target.topic.Publish(p)
}

// batchUnderWay hears what became of a batch.
type batchUnderWay struct {
	writer *backlogWriter
	tries  []uint16
}

// Proposed implements broker.Owner.
func (b *batchUnderWay) Proposed(p *broker.Proposal) {
	w := b.writer
	w.mu.Lock()
	if p.Err != nil {
		w.mu.err = p.Err
	} else {
		if w.mu.to == 0 {
			w.mu.from = p.Base
		}
		w.mu.to = p.Base + record.Offset(len(b.tries))
		for i, attempts := range b.tries {
			if attempts > 0 && w.channel != "" { // what waits for channels was delivered by none
				w.mu.attempted = append(w.mu.attempted, broker.Attempted{Offset: p.Base + record.Offset(i), Attempts: attempts})
			}
		}
	}
	w.mu.Unlock()
	<-w.slots
}

func (w *backlogWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.err
}

// recordAttempts records the attempts of what is committed if there are at least so many of them.
func (w *backlogWriter) recordAttempts(ctx context.Context, least int) error {
	w.mu.Lock()
	var due []broker.Attempted
	if len(w.mu.attempted) >= least {
		due, w.mu.attempted = w.mu.attempted, nil
	}
	w.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	return w.target.channels[w.channel].SetAttempts(ctx, due)
}

// wait waits for what is under way.
func (w *backlogWriter) wait() {
	for range mostUnderWay {
		w.slots <- struct{}{}
	}
	for range mostUnderWay {
		<-w.slots
	}
}

// close publishes the rest, records attempts, and finishes the messages in all channels but their own.
func (w *backlogWriter) close(ctx context.Context) error {
	if w.target.topic == nil {
		return nil
	}
	w.submit()
	w.wait()
	if err := w.failure(); err != nil {
		return err
	}
	if err := w.recordAttempts(ctx, 1); err != nil {
		return err
	}
	if w.channel == "" {
		return nil
	}
	w.mu.Lock()
	from, to := w.mu.from, w.mu.to
	w.mu.Unlock()
	for name, c := range w.target.channels {
		if name != w.channel && from < to {
			if err := c.Skip(ctx, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}
