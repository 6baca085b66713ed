package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// list returns what is to be exported, as "body attempts", with "deferred" if it is.
func list(t *testing.T, each func(func(*broker.Unfinished) error) (int, error)) []string {
	t.Helper()
	var all []string
	lost, err := each(func(m *broker.Unfinished) error {
		text := fmt.Sprintf("%s %d", m.Body, m.Attempts)
		if m.DueMs > time.Now().UnixMilli() {
			text += " deferred"
		}
		all = append(all, text)
		return nil
	})
	if lost != 0 || err != nil {
		t.Fatalf("%d lost, %v", lost, err)
	}
	return all
}

func TestSkippedMessagesAndAttemptsOfAnImportSurviveARestart(t *testing.T) {
	n := newNode(t, hostile.Benign())
	a, b := n.channel("t", "a"), n.channel("t", "b")
	n.publish("t", "0", "1", "2", "3", "4")
	if err := a.SetAttempts(t.Context(), []broker.Attempted{{Offset: 1, Attempts: 3}, {Offset: 4, Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Skip(t.Context(), 0, 4); err != nil {
		t.Fatal(err)
	}
	if err := n.topic("t").SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "5")
	if err := publish(n.topic("t"), time.Now().Add(time.Hour), "6"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, _ := n.topic("t").Channel("a")
		b, _ := n.topic("t").Channel("b")
		if got, want := list(t, a.EachUnfinished), []string{"0 0", "1 3", "2 0", "3 0", "4 1"}; !slices.Equal(got, want) {
			t.Errorf("a: got %q, want %q", got, want)
		}
		if got, want := list(t, b.EachUnfinished), []string{"4 0"}; !slices.Equal(got, want) {
			t.Errorf("b: got %q, want %q", got, want)
		}
		if got, want := list(t, n.topic("t").EachUndispatched), []string{"5 0", "6 0 deferred"}; !slices.Equal(got, want) {
			t.Errorf("the topic: got %q, want %q", got, want)
		}
		n.restart()
	}
	if err := n.topic("t").SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c := n.subscribe("t", "a", 10, broker.SubscribeOptions{})
	attempts := map[string]uint16{}
	for range 6 {
		d := c.next()
		attempts[d.body] = d.attempts
		c.finish(d.id)
	}
	if attempts["1"] != 4 || attempts["4"] != 2 || attempts["0"] != 1 || attempts["5"] != 1 {
		t.Errorf("attempts %v", attempts)
	}
	n.subscribe("t", "b", 10, broker.SubscribeOptions{}).expect("4", "5")
}

func TestAnExportReadsMoreThanOneStepOfMessages(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.channel("t", "c")
	for i := range 10 {
		n.publish("t", numbered(fmt.Sprint(i, "-"), 1000)...)
	}
	if got := list(t, c.EachUnfinished); len(got) != 10_000 || got[0] != "0-0 0" || got[9999] != "9-999 0" {
		t.Errorf("%d messages", len(got))
	}
}
