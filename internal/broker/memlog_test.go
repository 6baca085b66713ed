package broker

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// memTopic returns an ephemeral topic that keeps so many messages.
func memTopic(tb testing.TB, keep int) *Topic {
	tb.Helper()
	b := &Broker{options: Options{EphemeralMessages: keep}, started: time.Now(), budget: newBudget(1 << 20)}
	b.options.setDefaults()
	t := newTopic(b, catalog.Topic{Name: "e#ephemeral", ID: 1, Partitions: 1})
	t.parts[0].log = newMemLog(t.parts[0], keep, 1<<20)
	if err := t.parts[0].log.Start(0); err != nil {
		tb.Fatal(err)
	}
	return t
}

// publishOne submits a message of its own batch; due is in Unix ms, 0 for at once.
func publishOne(t *Topic, due int64) {
	var b record.Builder
	b.Append([]byte("body"), due)
	flags := b.Flags()
	t.Publish(&Proposal{Flags: flags, Payload: b.Finish(0), Messages: 1})
}

func TestEphemeralTopicForgetsTheDueTimesOfWhatItDropped(t *testing.T) {
	topic := memTopic(t, 10)
	for range 1000 {
		publishOne(topic, time.Now().Add(time.Hour).UnixMilli())
	}
	if got := len(topic.parts[0].mu.dispatch.backlog); got != 10 {
		t.Errorf("%d due times are kept for 10 messages", got)
	}
}

func TestEphemeralTopicIsBoundedInBytes(t *testing.T) {
	topic := memTopic(t, 10_000)
	var b record.Builder
	for range 100 {
		b.Append(make([]byte, 100<<10), 0)
		topic.Publish(&Proposal{Payload: b.Finish(0), Messages: 1})
	}
	start, end := topic.parts[0].log.Bounds()
	if kept := end - start; end != 100 || kept < 9 || kept > 10 {
		t.Errorf("%d messages of 100 KiB are kept in 1 MiB, of %d", kept, end)
	}
	if depth := topic.parts[0].depth(); depth != int64(end-start) {
		t.Errorf("depth %d, want what is kept, %d", depth, end-start)
	}
}

func BenchmarkPublishToAFullEphemeralTopic(b *testing.B) {
	topic := memTopic(b, 10_000)
	for range 10_000 {
		publishOne(topic, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		publishOne(topic, 0)
	}
}
