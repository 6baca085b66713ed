package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// A partition's checkpoint is
//
//	┌────────┬──────────┬──────┬──────────┬─────────────────────────┬────────────────────────────────────────────┐
//	│ format │ next     │ flags│ position │ backlog: count,         │ channels: count,                           │
//	│ (1)    │ uvarint  │ (1)  │ pausedAt │ (offset, due ms) each   │ (id, name length, name, state length,      │
//	│        │          │      │ uvarint  │ uvarint                 │  state of package queue) each              │
//	└────────┴──────────┴──────┴──────────┴─────────────────────────┴────────────────────────────────────────────┘
//
// and, in format 2, the relays (relays.go). Numbers are uvarints. Flag bit 0: paused. Ephemeral channels are not in it. Format 2 is
// written where there are relays, so that a lone node's checkpoints stay as they were.

const (
	stateFormat       = 1
	stateFormatRelays = 2
	statePausedFlag   = 1
)

var errMalformedState = errors.New("malformed checkpoint")

// open recovers the partition from its log and goes live.
func (p *partition) open(logs Logs, id LogID) error {
	log, err := logs.Open(id, p)
	if err != nil {
		return err
	}
	p.log = log
	if err := p.replay(); err != nil {
		return errors.Join(err, log.Close())
	}
	p.countFromHere()
	return nil
}

// replay brings the state up to the end of the log: the newest checkpoint, then the entries behind it.
func (p *partition) replay() error {
	state, at, err := p.log.Checkpoint()
	if err != nil {
		return err
	}
	if state != nil {
		if err := p.Restore(state, at); err != nil {
			return err
		}
	}
	if err := p.log.Start(at); err != nil {
		return err
	}
	return p.failure()
}

// replayWorthSaving is how much log a clean stop leaves for the next start to replay rather than write a checkpoint.
const replayWorthSaving = 64 << 10

// shut records all progress, writes a checkpoint if much has changed, and closes the log.
func (p *partition) shut(ctx context.Context) error {
	p.drain(ctx)
	var err error
	if ctx.Err() == nil && p.failure() == nil && p.sinceCheckpoint.Load() >= replayWorthSaving {
		err = p.checkpoint()
	}
	err = errors.Join(err, p.log.Close())
	p.close(ErrClosed)
	return err
}

// countFromHere restarts the channels' message counts at 0, as NSQ's do with the process.
func (p *partition) countFromHere() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ch := range p.mu.channels {
		ch.mu.Lock()
		ch.mu.first = p.mu.dispatch.end()
		ch.mu.Unlock()
	}
}

// checkpoint stores the applied state.
func (p *partition) checkpoint() error {
	p.mu.Lock()
	state, at, next := p.appendStateLocked(nil), p.mu.applied, p.mu.dispatch.next
	covered := p.sinceCheckpoint.Load()
	p.mu.Unlock()
	if at == 0 || at == p.saved[0].at {
		return nil // an empty log needs none, and none is needed twice
	}
	if err := p.log.SaveCheckpoint(state, at); err != nil {
		return fmt.Errorf("checkpoint of topic %s at %d: %w", p.topic.name, at, err)
	}
	p.sinceCheckpoint.Add(-covered)
	p.saved = [2]checkpointed{{at, next}, p.saved[0]}
	return nil
}

func (p *partition) appendStateLocked(dst []byte) []byte {
	d := &p.mu.dispatch
	dst = append(dst, p.stateFormatLocked())
	dst = binary.AppendUvarint(dst, uint64(d.next))
	dst = append(dst, boolByte(d.paused)*statePausedFlag)
	dst = binary.AppendUvarint(dst, uint64(d.position))
	dst = binary.AppendUvarint(dst, uint64(d.pausedAt))
	dst = binary.AppendUvarint(dst, uint64(len(d.backlog)))
	for _, due := range d.backlog {
		dst = binary.AppendUvarint(dst, uint64(due.offset))
		dst = binary.AppendUvarint(dst, uint64(due.ms))
	}
	dst = binary.AppendUvarint(dst, uint64(d.durable))
	for _, ch := range *p.list.Load() {
		if ch.ephemeral {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(ch.id))
		dst = appendBytes(dst, []byte(ch.name))
		state := len(dst)
		ch.mu.Lock()
		dst = ch.mu.queue.AppendState(dst)
		ch.mu.Unlock()
		dst = insertLength(dst, state)
	}
	if len(p.mu.relays) > 0 {
		dst = p.mu.relays.appendState(dst)
	}
	return dst
}

func (p *partition) stateFormatLocked() byte {
	if len(p.mu.relays) > 0 {
		return stateFormatRelays
	}
	return stateFormat
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// insertLength puts the length of what dst holds from a place on in front of it.
func insertLength(dst []byte, from int) []byte {
	return slices.Insert(dst, from, binary.AppendUvarint(nil, uint64(len(dst)-from))...)
}

// partitionState is a decoded checkpoint.
type partitionState struct {
	dispatch dispatch
	channels []channelState
	relays   relays
}

type channelState struct {
	id    channelID
	name  string
	queue *queue.Channel
}

// decodeState decodes a checkpoint. The error is errMalformedState, or that of package queue.
func decodeState(state []byte, o queue.Options) (*partitionState, error) {
	r := stateReader{rest: state}
	format := r.byte()
	if format != stateFormat && format != stateFormatRelays {
		return nil, fmt.Errorf("format %d, this version reads up to %d: %w", format, stateFormatRelays, errMalformedState)
	}
	st := &partitionState{relays: relays{}}
	d := &st.dispatch
	d.next = record.Offset(r.uvarint())
	d.paused = r.byte()&statePausedFlag != 0
	d.position = record.Offset(r.uvarint())
	d.pausedAt = record.Offset(r.uvarint())
	for n := r.count(2); n > 0; n-- {
		d.backlog = append(d.backlog, due{record.Offset(r.uvarint()), int64(r.uvarint())})
	}
	if err := r.channels(st, o); err != nil {
		return nil, err
	}
	d.durable = len(st.channels)
	if format == stateFormatRelays {
		var err error
		if st.relays, err = r.relays(); err != nil {
			return nil, err
		}
	}
	if r.err == nil && len(r.rest) != 0 {
		return nil, fmt.Errorf("%d bytes behind the end: %w", len(r.rest), errMalformedState)
	}
	return st, r.err
}

// channels reads the channels into st.
func (r *stateReader) channels(st *partitionState, o queue.Options) error {
	ids, names := make(map[channelID]bool), make(map[string]bool)
	for n := r.count(4); n > 0 && r.err == nil; n-- {
		c := channelState{id: channelID(r.uvarint()), name: string(r.bytes())}
		q, err := queue.Decode(r.bytes(), o)
		if r.err != nil {
			break
		}
		if err != nil {
			return fmt.Errorf("channel %q: %w", c.name, err)
		}
		if !ValidChannelName(c.name) || isEphemeral(c.name) || names[c.name] || ids[c.id] {
			return fmt.Errorf("channel %d named %q is not valid, or there twice: %w", c.id, c.name, errMalformedState)
		}
		ids[c.id], names[c.name], c.queue = true, true, q
		st.channels = append(st.channels, c)
	}
	return nil
}

// stateReader reads a checkpoint; after an error everything reads as zero.
type stateReader struct {
	rest []byte
	err  error
}

func (r *stateReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("cut short: %w", errMalformedState)
	}
	r.rest = nil
}

func (r *stateReader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *stateReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number of elements of at least size bytes each, which bounds it by what is left.
func (r *stateReader) count(size uint64) uint64 {
	n := r.uvarint()
	if n > uint64(len(r.rest))/size {
		r.fail()
		return 0
	}
	return n
}

func (r *stateReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
