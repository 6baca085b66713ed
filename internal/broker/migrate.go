package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// What moves messages between this broker and another's files (package migrate). It is for a lone node without doors: nobody
// consumes or publishes meanwhile, and a topic has one partition, which this node leads.

// Attempted says how often a message was delivered.
type Attempted = queue.Attempted

// mostAttempted bounds the messages of one entry that records attempts.
const mostAttempted = 32 << 10

// Skip finishes the messages [from, to) in the channel: they are another channel's. It is durable on return.
func (c *Channel) Skip(ctx context.Context, from, to record.Offset) error {
	return c.change(ctx, queue.FinishedDelta(from, to))
}

// SetAttempts records how often messages, in the order of their offsets, were delivered. It is durable on return, and holds for
// deliveries after the broker is opened again.
func (c *Channel) SetAttempts(ctx context.Context, messages []Attempted) error {
	for len(messages) > 0 {
		n := min(len(messages), mostAttempted)
		if err := c.change(ctx, queue.AttemptedDelta(messages[:n])); err != nil {
			return err
		}
		messages = messages[n:]
	}
	return nil
}

// change proposes a delta of this channel and waits until it is applied.
func (c *Channel) change(ctx context.Context, delta []byte) error {
	entry := appendProgress([]byte{byte(opProgress)}, c.id, delta)
	if _, err := proposeAndWait(ctx, c.partition.log, entry); err != nil {
		return fmt.Errorf("change channel %s of %s: %w", c.name, c.partition.topic.name, err)
	}
	return nil
}

// Paused reports whether the channel is paused.
func (c *Channel) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.queue.Paused()
}

// Ephemeral reports whether the channel lives in memory only.
func (c *Channel) Ephemeral() bool { return c.ephemeral }

// Paused reports whether the topic is paused.
func (t *Topic) Paused() bool { return t.parts[0].paused() }

// Ephemeral reports whether the topic lives in memory only.
func (t *Topic) Ephemeral() bool { return t.ephemeral }

// Failure returns why the topic stands still, or nil.
func (t *Topic) Failure() error { return t.parts[0].failure() }

// Unfinished is a message that a channel has not finished, or that waits for a channel.
type Unfinished struct {
	Message
	// DueMs is when it is due, in Unix ms; 0 if it is not deferred.
	DueMs int64
}

// EachUnfinished calls fn for the messages that the channel has not finished, in the order of their offsets, until fn returns an
// error. The message is valid during the call. It returns how many are lost to damage that a repair gave up.
func (c *Channel) EachUnfinished(fn func(*Unfinished) error) (lost int, err error) {
	const step = 4096
	var batch []Unfinished
	var offsets []record.Offset
	r := newMessageReader(c.partition)
	for from := record.Offset(0); ; {
		batch, offsets = batch[:0], offsets[:0]
		c.mu.Lock()
		c.mu.queue.EachUnfinished(from, c.end(), func(off record.Offset) bool {
			attempts, due, _ := c.mu.queue.WaitOf(off)
			batch = append(batch, Unfinished{Message: Message{Attempts: attempts}, DueMs: due})
			offsets = append(offsets, off)
			return len(offsets) < step
		})
		c.mu.Unlock()
		for i, off := range offsets {
			n, err := r.each(off, &batch[i], fn)
			if lost += n; err != nil {
				return lost, err
			}
		}
		if len(offsets) < step {
			return lost, nil
		}
		from = offsets[step-1] + 1
	}
}

// EachUndispatched is EachUnfinished of the messages that wait for the topic's first channel, or for the end of its pause.
func (t *Topic) EachUndispatched(fn func(*Unfinished) error) (lost int, err error) {
	p := t.parts[0]
	p.mu.Lock()
	from, to := p.mu.dispatch.end(), p.mu.dispatch.next
	due := make(map[record.Offset]int64, len(p.mu.dispatch.backlog))
	for _, d := range p.mu.dispatch.backlog {
		due[d.offset] = d.ms
	}
	p.mu.Unlock()
	r := newMessageReader(p)
	for off := from; off < to; off++ {
		n, err := r.each(off, &Unfinished{DueMs: due[off]}, fn)
		if lost += n; err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// messageReader reads messages by offset, cheaply in ascending order.
type messageReader struct {
	partition *partition
	puller    puller
}

func newMessageReader(p *partition) *messageReader {
	return &messageReader{partition: p, puller: puller{reader: p.log.NewReader()}}
}

// each completes m with the message at an offset and calls fn for it; lost is 1 if a repair gave the message up.
func (r *messageReader) each(off record.Offset, m *Unfinished, fn func(*Unfinished) error) (lost int, err error) {
	body, err := r.puller.fetch(off)
	var gone *LostError
	if errors.As(err, &gone) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read offset %d of %s: %w", off, r.partition.topic.name, err)
	}
	m.ID = makeMessageID(r.partition.topic.id, r.partition.number, off)
	m.Time, m.Body = r.puller.time, body
	return 0, fn(m)
}
