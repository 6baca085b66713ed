//go:build process

package test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestFinishedStaysFinished finishes, requeues and keeps in flight a share of the messages each, ends the node, and looks at what the
// next run delivers: everything but what was finished, not before its time.
func TestFinishedStaysFinished(t *testing.T) {
	const settle = 100*time.Millisecond + 100*time.Millisecond // the window of the promise, and a generous sync
	for _, end := range []struct {
		name string
		end  func(*testing.T, *proc.Broker, *history.Recorder)
	}{
		{"after a clean stop", func(t *testing.T, b *proc.Broker, rec *history.Recorder) {
			rec.Stopped()
			stop(t, b)
		}},
		{"after kill -9", func(t *testing.T, b *proc.Broker, rec *history.Recorder) {
			time.Sleep(settle + clientSlack)
			rec.Killed()
			if err := b.Kill(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			chance, seed := seeded(t)
			rec := history.NewRecorder(uint32(seed))
			b := startBroker(t)
			post(t, b, "/topic/create?topic=orders", nil)
			post(t, b, "/channel/create?topic=orders&channel=work", nil)
			publishAll(t, b, rec, "orders", 5000)
			consumer, inFlight := finishSome(t, b, rec, chance, 5000)
			defer consumer.Close()
			end.end(t, b, rec)

			start(t, b)
			again := newConsumers(b.TCP(), "orders", rec)
			again.add("work", 1, 0, 0)
			again.waitIdle(time.Now().Add(3*time.Second), time.Second)
			again.close()
			report := history.Check(rec.History(), history.Rules{Channels: []string{"work"}, Drained: true,
				FinishWindow: settle, EarlyTolerance: time.Millisecond})
			var table strings.Builder
			report.Fprint(&table)
			t.Log("\n" + table.String())
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			if report.Channels[0].Duplicates < inFlight {
				t.Errorf("%d deliveries again, but %d messages were in flight", report.Channels[0].Duplicates, inFlight)
			}
		})
	}
}

// finishSome takes all messages; it finishes most, requeues a tenth, and leaves some in flight, whose number it returns. When it
// returns, the node has processed everything.
func finishSome(t *testing.T, b *proc.Broker, rec *history.Recorder, chance *rand.Rand, messages int) (c *rawnsq.Consumer, inFlight int) {
	t.Helper()
	const mostInFlight = 1500
	c, err := rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: 2500})
	must(t, err)
	for range messages {
		d, err := c.Next()
		must(t, err)
		k, ok := rec.Delivered("work", d.Body, d.Attempts)
		switch lot := chance.IntN(10); {
		case !ok:
			t.Fatalf("a damaged body: %q", d.Body)
		case lot < 3 && inFlight < mostInFlight:
			inFlight++
		case lot < 4:
			delay := 2*time.Second + time.Duration(chance.IntN(1000))*time.Millisecond
			rec.Requeued("work", k, delay)
			c.Requeue(d.ID, delay)
		default:
			rec.Finished("work", k)
			c.Finish(d.ID)
		}
	}
	c.Cls()
	if _, err := c.Next(); !errors.Is(err, rawnsq.ErrCloseWait) {
		t.Fatalf("after CLS: %v", err)
	}
	return c, inFlight
}

// publishAll publishes messages of publisher 0 and waits for their answers.
func publishAll(t *testing.T, b *proc.Broker, rec *history.Recorder, topic string, messages int) {
	t.Helper()
	var refused atomic.Value
	p, err := rawnsq.NewPublisher(b.TCP(), 100, func(tag uint64, err error) {
		if err != nil {
			refused.Store(err)
			return
		}
		rec.Answered(history.Key{Seq: uint32(tag)})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for seq := range uint32(messages) {
		k := history.Key{Seq: seq}
		rec.Sent(k, 0)
		if err := p.Publish(uint64(seq), rawnsq.AppendPub(nil, topic, rec.Body(k, 200))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := refused.Load(); err != nil {
		t.Fatalf("a message was refused: %v", err)
	}
}
