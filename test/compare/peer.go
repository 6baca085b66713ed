package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// client is what a peer that does not speak NSQ's protocol can do, on a queue that is new for each load.
type client interface {
	// open makes an empty queue.
	open() error
	// publisher connects.
	publisher() (publisher, error)
	// consume hands every message to handle, from one goroutine, and acknowledges it, until stop is called.
	consume(handle func(body []byte)) (stop func(), err error)
	// drop deletes the queue.
	drop() error
}

// publisher is one connection that publishes, of one goroutine.
type publisher interface {
	// publish returns when the message is confirmed.
	publish(body []byte) error
	// pipeline publishes what next returns until that is nil, with at most window messages unconfirmed, and returns how many
	// were confirmed when all are.
	pipeline(window int, next func() []byte) (int64, error)
	close()
}

// batcher is a publisher that has batches which are confirmed as one.
type batcher interface {
	publishBatch(bodies [][]byte) error
}

// flusher is a publisher that keeps what it writes until its window is full. It is told when the next message is not due yet.
type flusher interface{ flush() error }

// idleTimeout is how long a consumer waits for the next message before the rest counts as lost.
const idleTimeout = 10 * time.Second

// drive puts a load on a peer.
func drive(c client, l load, d time.Duration) (m measurement, err error) {
	if err := c.open(); err != nil {
		return m, fmt.Errorf("make a queue: %w", err)
	}
	defer func() { err = errors.Join(err, c.drop()) }()
	switch l.kind {
	case pub:
		return publishAll(c, l, d)
	case sub:
		return drain(c, d)
	default:
		return flow(c, l, d)
	}
}

// publishAll measures how fast messages are confirmed.
func publishAll(c client, l load, d time.Duration) (m measurement, err error) {
	publishers := make([]publisher, l.connections)
	for i := range publishers {
		if publishers[i], err = c.publisher(); err != nil {
			return m, err
		}
		defer publishers[i].close()
	}
	var confirmed atomic.Int64
	var group sync.WaitGroup
	times, errs := make([][]time.Duration, len(publishers)), make([]error, len(publishers))
	began := time.Now()
	for i, p := range publishers {
		group.Go(func() {
			var n int64
			n, times[i], errs[i] = publishOn(p, l, began.Add(d))
			confirmed.Add(n)
		})
	}
	group.Wait()
	m.Messages = confirmed.Load()
	m.Rate = float64(m.Messages) / time.Since(began).Seconds()
	m.P50, m.P99 = quantiles(slices.Concat(times...))
	return m, errors.Join(errs...)
}

// publishOn publishes on one connection until a time. The times are of single messages and batches only.
func publishOn(p publisher, l load, until time.Time) (confirmed int64, times []time.Duration, err error) {
	body := make([]byte, bodyBytes)
	if l.window > 1 {
		confirmed, err = p.pipeline(l.window, func() []byte {
			if time.Now().After(until) {
				return nil
			}
			return body
		})
		return confirmed, nil, err
	}
	bodies := slices.Repeat([][]byte{body}, l.batch)
	for begun := time.Now(); begun.Before(until) && err == nil; {
		if l.batch > 1 {
			err = p.(batcher).publishBatch(bodies)
		} else {
			err = p.publish(body)
		}
		now := time.Now()
		times, confirmed = append(times, now.Sub(begun)), confirmed+int64(l.batch)
		begun = now
	}
	return confirmed, times, err
}

// drain measures how fast a backlog is consumed.
func drain(c client, d time.Duration) (m measurement, err error) {
	p, err := c.publisher()
	if err != nil {
		return m, err
	}
	defer p.close()
	until, sent, body := time.Now().Add(max(d, subTime)), 0, make([]byte, bodyBytes)
	if m.Messages, err = p.pipeline(1000, func() []byte {
		if sent == backlog || time.Now().After(until) {
			return nil
		}
		sent++
		return body
	}); err != nil {
		return m, err
	}
	var got, last atomic.Int64
	began := time.Now()
	stop, err := c.consume(func([]byte) { last.Store(int64(time.Since(began))); got.Add(1) })
	if err != nil {
		return m, err
	}
	defer stop()
	if err := await(&got, m.Messages); err != nil {
		return m, err
	}
	m.Rate = float64(m.Messages) / time.Duration(last.Load()).Seconds()
	return m, nil
}

// flow publishes, as fast as the window allows or by a schedule, and consumes at once.
func flow(c client, l load, d time.Duration) (m measurement, err error) {
	var got, last atomic.Int64
	var times []time.Duration // of the consumer's goroutine, until it has stopped
	began := time.Now()
	stop, err := c.consume(func(body []byte) {
		now := time.Since(began)
		times = append(times, now-time.Duration(binary.LittleEndian.Uint64(body)))
		last.Store(int64(now))
		got.Add(1)
	})
	if err != nil {
		return m, err
	}
	stop = sync.OnceFunc(stop)
	defer stop()
	p, err := c.publisher()
	if err != nil {
		return m, err
	}
	defer p.close()
	alarm, err := newAlarm()
	if err != nil {
		return m, err
	}
	defer alarm.close()
	var paceErr error
	start, sent := time.Since(began), 0
	window := l.window
	if l.rate > 0 {
		window = 100_000
	}
	if m.Messages, err = p.pipeline(window, func() []byte {
		due := time.Since(began)
		if l.rate > 0 {
			due = start + time.Duration(sent)*time.Second/time.Duration(l.rate)
			if f, ok := p.(flusher); ok && time.Since(began) < due {
				_ = f.flush() // what failed here fails again in pipeline
			}
			if paceErr = alarm.sleep(due - time.Since(began)); paceErr != nil {
				return nil
			}
		}
		if due >= start+d {
			return nil
		}
		sent++
		return binary.LittleEndian.AppendUint64(make([]byte, 0, bodyBytes), uint64(due))[:bodyBytes]
	}); err != nil || paceErr != nil {
		return m, errors.Join(err, paceErr)
	}
	if err := await(&got, m.Messages); err != nil {
		return m, err
	}
	stop()
	m.Rate = float64(m.Messages) / (time.Duration(last.Load()) - start).Seconds()
	m.P50, m.P99 = quantiles(times)
	return m, nil
}

// await waits until got has reached want.
func await(got *atomic.Int64, want int64) error {
	seen, moved := int64(-1), time.Now()
	for {
		n := got.Load()
		if n == want {
			return nil
		}
		if n > want {
			return fmt.Errorf("%d messages were published, %d came", want, n)
		}
		if n != seen {
			seen, moved = n, time.Now()
		}
		if time.Since(moved) > idleTimeout {
			return fmt.Errorf("%d messages were published, %d came, then none for %v", want, n, idleTimeout)
		}
		time.Sleep(time.Millisecond)
	}
}

// quantiles returns the median and the 99th percentile in µs, 0 of nothing.
func quantiles(times []time.Duration) (p50, p99 float64) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	us := func(i int) float64 { return float64(times[i].Nanoseconds()) / 1e3 }
	return us(len(times) / 2), us(len(times) * 99 / 100)
}
