package broker_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestRetentionKeepsTheBacklogThatAFirstChannelIsJustTaking(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 100
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
		o.KeepInterval = time.Nanosecond // without a pause
	})
	for _, name := range numbered("t", 300) {
		for _, body := range numbered("", 6) {
			n.publish(name, body)
		}
		n.channel(name, "c")
		time.Sleep(time.Millisecond) // for what is wrongly deleted to go
		c := n.subscribe(name, "c", 6, plain)
		c.expect(numbered("", 6)...)
		c.sub.Close()
		if err := n.DeleteTopic(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// What is only kept for replay gives way to what is to come: the oldest of all topics first, and nothing that is unfinished.
func TestFinishedMessagesGiveWayWhereSpaceRunsLow(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 2 << 10
	n := newNodeWith(t, o, func(o *broker.Options) { o.KeepInterval = 100 * time.Millisecond })
	bodies := numbered("some longer body to fill segments ", 20)
	fill := func(topic string) {
		c := n.subscribe(topic, "c", 100, plain)
		for range 10 {
			n.publish(topic, bodies...)
			c.expect(bodies...)
		}
		c.sub.Close()
	}
	fill("older")
	n.channel("unfinished", "c")
	for range 10 {
		n.publish("unfinished", bodies...)
	}
	time.Sleep(600 * time.Millisecond)
	fill("newer")
	time.Sleep(300 * time.Millisecond)
	older, newer, unfinished := n.LogSegments("older"), n.LogSegments("newer"), n.LogSegments("unfinished")
	if n.Yielded() > 0 || older < 4 || newer < 4 || unfinished < 4 {
		t.Fatalf("%d bytes went with space for them; %d, %d and %d segments are left", n.Yielded(), older, newer, unfinished)
	}
	n.logs.SetTight(true)
	await := func(topic string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); n.LogSegments(topic) > 2; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d segments of %s are left", n.LogSegments(topic), topic)
			}
		}
	}
	await("older")
	if n.LogSegments("newer") < newer {
		t.Error("newer messages went with older ones")
	}
	await("newer")
	if n.Yielded() == 0 {
		t.Error("what went is not counted")
	}
	if got := n.LogSegments("unfinished"); got < unfinished {
		t.Errorf("of %d segments with unfinished messages %d are left", unfinished, got)
	}
	n.logs.SetTight(false)
	time.Sleep(300 * time.Millisecond)
	yielded := n.Yielded()
	fill("older")
	time.Sleep(300 * time.Millisecond)
	if n.Yielded() > yielded {
		t.Error("finished messages go early though there is space")
	}
	c := n.subscribe("unfinished", "c", 100, plain)
	for range 10 {
		c.expect(bodies...)
	}
}

func TestTheLogSaysWhatGaveWayThisTime(t *testing.T) {
	var lines notes
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	n := newNodeWith(t, o, func(o *broker.Options) { o.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
	c := n.subscribe("t", "c", 100, plain)
	for _, body := range numbered("some longer body to fill segments ", 50) {
		n.publish("t", body)
		c.expect(body)
	}
	ended := func(times int) string {
		n.logs.SetTight(false)
		lines.await(t, "disk has space again", times)
		said := lines.text()
		return said[strings.LastIndex(said, "deleted_early_bytes="):]
	}
	n.logs.SetTight(true)
	for deadline := time.Now().Add(10 * time.Second); n.LogSegments("t") > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d segments are left", n.LogSegments("t"))
		}
	}
	if said, want := ended(1), fmt.Sprintf("deleted_early_bytes=%d\n", n.Yielded()); said != want || n.Yielded() == 0 {
		t.Errorf("the log says %q, want %q", said, want)
	}
	n.logs.SetTight(true)
	lines.await(t, "disk fills up", 2)
	if said, want := ended(2), "deleted_early_bytes=0\n"; said != want {
		t.Errorf("after a time in which nothing went the log says %q, want %q", said, want)
	}
}

// notes collects what a logger writes.
type notes struct {
	mu sync.Mutex
	b  []byte
}

func (l *notes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *notes) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// await waits until a line was written so many times.
func (l *notes) await(t *testing.T, line string, times int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); strings.Count(l.text(), line) < times; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not written %d times: %s", line, times, l.text())
		}
	}
}
