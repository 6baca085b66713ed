package replica_test

import (
	"context"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
)

// The benchmarks drive a broker over a lone node's log on the real disk, without a door: one operation is one message.

const (
	benchBatch = 100 // messages of a publisher's burst
	benchBody  = 200 // bytes
)

func benchBroker(b *testing.B, sync commitlog.SyncPolicy) *broker.Broker {
	b.Helper()
	dir := b.TempDir()
	store, err := commitlog.OpenStore(commitlog.Options{FS: vfs.Disk(), Dir: dir, Sync: sync})
	if err != nil {
		b.Fatal(err)
	}
	logs := replica.NewLogs(store, replica.Options{FS: vfs.Disk(), Dir: dir})
	node, err := broker.Open(logs, broker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = node.Close(context.Background())
		logs.Close()
		_ = store.Close()
	})
	return node
}

// publisher keeps a window of batches under way, as pipelining sessions do.
type publisher struct {
	topic   *broker.Topic
	builder record.Builder
	body    []byte
	slots   chan struct{}
}

func newPublisher(b *testing.B, node *broker.Broker) *publisher {
	b.Helper()
	topic, err := node.CreateTopic(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return &publisher{topic: topic, body: make([]byte, benchBody), slots: make(chan struct{}, 8)}
}

func (p *publisher) Proposed(*broker.Proposal) { <-p.slots }

func (p *publisher) publish(messages int) {
	for range messages {
		p.builder.Append(p.body, 0)
	}
	p.slots <- struct{}{}
	p.topic.Publish(&broker.Proposal{Payload: p.builder.Finish(time.Now().UnixMilli()), Messages: messages, Owner: p})
}

// settle waits until everything is answered.
func (p *publisher) settle() {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	for range cap(p.slots) {
		<-p.slots
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, sync := range []commitlog.SyncPolicy{commitlog.SyncAlways, commitlog.SyncOS} {
		b.Run(sync.String(), func(b *testing.B) {
			p := newPublisher(b, benchBroker(b, sync))
			b.ReportAllocs()
			b.SetBytes(benchBody)
			b.ResetTimer()
			for n := 0; n < b.N; n += benchBatch {
				p.publish(benchBatch)
			}
			p.settle()
		})
	}
}

// finisher is a consumer that finishes what it is given.
type finisher struct {
	wakeC chan struct{}
	ids   []broker.MessageID
}

func (f *finisher) Wake() {
	select {
	case f.wakeC <- struct{}{}:
	default:
	}
}
func (f *finisher) Gone(error)                {}
func (f *finisher) Stats() broker.ClientStats { return broker.ClientStats{} }
func (f *finisher) Deliver(m *broker.Message) { f.ids = append(f.ids, m.ID) }

func BenchmarkDeliverAndFinish(b *testing.B) {
	node := benchBroker(b, commitlog.SyncOS)
	p := newPublisher(b, node)
	f := &finisher{wakeC: make(chan struct{}, 1)}
	sub, err := node.Subscribe(b.Context(), "bench", "c", f, broker.SubscribeOptions{MsgTimeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < b.N; n += benchBatch {
		p.publish(benchBatch)
	}
	p.settle()
	failed := func(_ int, err error) { b.Error(err) }
	b.ReportAllocs()
	b.SetBytes(benchBody)
	b.ResetTimer()
	sub.SetReady(2500)
	for done := 0; done < b.N; {
		n, err := sub.Pull(2048, 128<<10, f)
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			<-f.wakeC
			continue
		}
		sub.Finish(f.ids, failed)
		f.ids = f.ids[:0]
		done += n
	}
	b.StopTimer()
	sub.Close()
}
