package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestKnownChannelsOfANewTopicGetItsFirstMessage(t *testing.T) {
	for _, topic := range []string{"t", "t#ephemeral"} {
		n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) {
			o.KnownChannels = func(context.Context, string) []string { return []string{"one", "two", "bad$"} }
		})
		if err := publish(n.topic(topic), time.Time{}, "first"); err != nil {
			t.Fatal(err)
		}
		for _, channel := range []string{"one", "two"} {
			n.subscribe(topic, channel, 10, plain).expect("first")
		}
		if got := len(n.topic(topic).Channels()); got != 2 {
			t.Errorf("%s has %d channels", topic, got)
		}
	}
}

// Whoever knows the channels may hang: only those wait who create the topic that it is asked about.
func TestQuestionForKnownChannelsHoldsUpNobodyElse(t *testing.T) {
	hangC, askedC := make(chan struct{}), make(chan struct{})
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) {
		o.KnownChannels = func(_ context.Context, topic string) []string {
			if topic == "slow" {
				close(askedC)
				<-hangC
			}
			return nil
		}
	})
	createdC := make(chan error, 1)
	go func() {
		_, err := n.CreateTopic(context.Background(), "slow")
		createdC <- err
	}()
	<-askedC
	if err := publish(n.topic("quick"), time.Time{}, "x"); err != nil {
		t.Fatal(err)
	}
	if err := n.DeleteTopic(t.Context(), "quick"); err != nil {
		t.Fatal(err)
	}
	close(hangC)
	if err := <-createdC; err != nil {
		t.Error(err)
	}
}

func TestChangesOfTopicsAndChannelsAreTold(t *testing.T) {
	n := newNode(t, hostile.Benign())
	told := func() bool {
		select {
		case <-n.Changes():
			return true
		case <-time.After(time.Second):
			return false
		}
	}
	for range len(n.Changes()) {
		<-n.Changes()
	}
	for what, change := range map[string]func(){
		"topic":             func() { n.topic("t") },
		"channel":           func() { n.channel("u", "c") },
		"ephemeral channel": func() { n.channel("v", "c#ephemeral") },
	} {
		change()
		if !told() {
			t.Errorf("a new %s is not told", what)
		}
		for range len(n.Changes()) {
			<-n.Changes()
		}
	}
	if err := n.topic("u").DeleteChannel(t.Context(), "c"); err != nil || !told() {
		t.Errorf("a deleted channel is not told, %v", err)
	}
	if err := n.DeleteTopic(t.Context(), "t"); err != nil || !told() {
		t.Errorf("a deleted topic is not told, %v", err)
	}
	if err := publish(n.topic("v"), time.Time{}, "x"); err != nil || len(n.Changes()) > 0 {
		t.Errorf("a message is told as a change, %v", err)
	}
}
