//go:build process

package test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestSlowConsumersDisconnectDoesNotFreezeOtherTopics lets a consumer with a full window of 2,500 fall behind a backlog that has long left
// the tail cache, then disconnects it: its messages come back from disk while another topic's publisher goes on. Answers
// there stay below 20 ms at the 99th percentile, and below 100 ms always.
func TestSlowConsumersDisconnectDoesNotFreezeOtherTopics(t *testing.T) {
	const allowed99, allowedWorst = 20 * time.Millisecond, 100 * time.Millisecond
	const window = 2500
	b := startBroker(t, "--sync", "os")
	slow, err := rawnsq.NewConsumer(b.TCP(), "busy", "work", rawnsq.ConsumerOptions{Ready: window})
	must(t, err)
	publishBacklog(t, b, "busy", env.Number(t, "WEIR_BACKLOG_MIB", 64)<<20)
	for range window {
		_, err := slow.Next()
		must(t, err)
	}

	honest := startLatency(t, b.TCP(), "other")
	time.Sleep(time.Second)
	quiet := honest.take()
	for range 3 {
		slow.Close()
		slow, err = rawnsq.NewConsumer(b.TCP(), "busy", "work", rawnsq.ConsumerOptions{Ready: window})
		must(t, err)
		deadline := time.Now().Add(20 * time.Second)
		slow.SetReadDeadline(deadline)
		again := 0
		for range window { // what came back, mixed with what is new
			d, err := slow.Next()
			must(t, err)
			if d.Attempts > 1 {
				again++
			}
		}
		if again < window/4 {
			t.Errorf("only %d of %d deliveries after the disconnect were repeated ones", again, window)
		}
	}
	time.Sleep(200 * time.Millisecond)
	busy := honest.take()
	honest.stop()
	slow.Close()
	t.Logf("answers on another topic p50/p99/worst: quiet %v/%v/%v (%d), during disconnects %v/%v/%v (%d)",
		percentile(quiet, 50), percentile(quiet, 99), percentile(quiet, 100), len(quiet),
		percentile(busy, 50), percentile(busy, 99), percentile(busy, 100), len(busy))
	if len(busy) < 20 || percentile(busy, 99) > allowed99 || percentile(busy, 100) > allowedWorst {
		t.Errorf("answers take more than %v at the 99th percentile or %v at worst", allowed99, allowedWorst)
	}
}

// publishBacklog publishes messages of 1 KiB in batches until they make sizeBytes.
func publishBacklog(t *testing.T, b *proc.Broker, topic string, sizeBytes int) {
	t.Helper()
	var mu sync.Mutex
	var refused error
	p, err := rawnsq.NewPublisher(b.TCP(), 8, func(_ uint64, err error) {
		mu.Lock()
		refused = errors.Join(refused, err)
		mu.Unlock()
	})
	must(t, err)
	defer p.Close()
	bodies := make([][]byte, 100)
	for i := range bodies {
		bodies[i] = make([]byte, 1024)
	}
	command := rawnsq.AppendMulti(nil, topic, bodies)
	for range sizeBytes / (len(bodies) * len(bodies[0])) {
		must(t, p.Publish(0, command))
	}
	must(t, p.Wait())
	mu.Lock()
	defer mu.Unlock()
	must(t, refused)
}
