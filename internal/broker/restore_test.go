package broker

import (
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// goneClient notes why it was sent away.
type goneClient struct{ gone error }

func (c *goneClient) Wake()              {}
func (c *goneClient) Gone(err error)     { c.gone = err }
func (c *goneClient) Stats() ClientStats { return ClientStats{} }

func TestRestoreKeepsTheConsumersOfChannelsThatTheCheckpointHas(t *testing.T) {
	from := statePartition()
	from.mu.dispatch = dispatch{next: 300, durable: 2}
	from.addLocked(newChannel(from, 5, "stays", queue.New(100, from.broker.queueOptions())))
	from.addLocked(newChannel(from, 9, "again", queue.New(200, from.broker.queueOptions())))
	state := from.appendStateLocked(nil)

	p := statePartition()
	p.log = failedLog{errors.New("no log")}
	clients := map[string]*goneClient{}
	before := map[string]*Channel{}
	for id, name := range map[channelID]string{5: "stays", 6: "goes", 7: "again"} {
		p.mu.dispatch.durable++
		before[name] = newChannel(p, id, name, queue.New(0, p.broker.queueOptions()))
		p.addLocked(before[name])
		clients[name] = &goneClient{}
		sub := &Subscription{topic: p.topic, name: name, client: clients[name]}
		if err := sub.take(before[name]); err != nil {
			t.Fatal(err)
		}
	}
	tail, err := p.createEphemeral("tail#ephemeral")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(state, 42); err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]error{"stays": nil, "goes": ErrChannelNotFound, "again": ErrChannelNotFound} {
		if got := clients[name].gone; got != want {
			t.Errorf("the consumer of %s was told %v, want %v", name, got, want)
		}
	}
	if ch, _ := p.channel("stays"); ch != before["stays"] || ch.mu.queue.Floor() != 100 {
		t.Errorf("channel stays is another one, or its cursor at %d is not restored", ch.mu.queue.Floor())
	}
	if ch, _ := p.channel("again"); ch == before["again"] || ch.id != 9 {
		t.Errorf("channel again has id %d, want the new one, 9", ch.id)
	}
	if ch, _ := p.channel("tail#ephemeral"); ch != tail {
		t.Error("the ephemeral channel went")
	}
	if _, ok := p.channel("goes"); ok || len(*p.list.Load()) != 3 {
		t.Errorf("%d channels are left, want stays, again and the ephemeral one", len(*p.list.Load()))
	}
	if p.end.Load() != 300 || p.mu.applied != 42 {
		t.Errorf("end %d, applied %d, want 300 and 42", p.end.Load(), p.mu.applied)
	}
	p.Lead(true)
	if n := before["stays"].mu.queue.Counts(record.Offset(p.end.Load())); n.Depth != 200 || n.Sessions != 1 {
		t.Errorf("leading, channel stays has depth %d and %d sessions, want 200 and 1", n.Depth, n.Sessions)
	}
}

func TestRestoreOfADamagedStateReplacesNothing(t *testing.T) {
	p := statePartition()
	if err := p.Restore(exampleState(), 1); err != nil {
		t.Fatal(err)
	}
	was := string(p.appendStateLocked(nil))
	state := exampleState()
	for n := range state {
		if err := p.Restore(state[:n], 2); err == nil {
			t.Fatalf("a state cut to %d bytes was taken", n)
		}
	}
	if string(p.appendStateLocked(nil)) != was || p.mu.applied != 1 {
		t.Error("the state has changed")
	}
}
