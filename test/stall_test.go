//go:build process

package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestStoppedConsumersMessagesComeBack freezes a consumer process that has messages in flight. Another consumer of the channel must
// get them within two heartbeats or the message timeout, whichever is first.
func TestStoppedConsumersMessagesComeBack(t *testing.T) {
	const messages = 20
	const slack = 500 * time.Millisecond // for timers, the machine, and the time since the last heartbeat answer
	for _, test := range []struct {
		name                  string
		heartbeat, msgTimeout time.Duration
		within                time.Duration
	}{
		{"heartbeats come first", time.Second, time.Minute, 2 * time.Second},
		{"the message timeout comes first", 30 * time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := startBroker(t)
			rec := history.NewRecorder(1)
			stalled := startPart(t, "consumer", b.TCP(), "orders", "work", test.heartbeat.String(), test.msgTimeout.String(), strconv.Itoa(messages))
			eventually(t, 5*time.Second, "the consumer process subscribes", func() bool {
				return strings.Contains(stalled.Output(), "subscribed")
			})
			publishAll(t, b, rec, "orders", messages)
			eventually(t, 5*time.Second, "the consumer process has all messages", func() bool {
				return strings.Contains(stalled.Output(), "full")
			})
			if err := stalled.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			frozen := time.Now()
			other, err := rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: messages})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			other.SetReadDeadline(frozen.Add(test.within + 10*time.Second))
			for i := range messages {
				d, err := other.Next()
				if err != nil {
					t.Fatalf("after %d of %d messages: %v", i, messages, err)
				}
				if k, ok := rec.Delivered("work", d.Body, d.Attempts); !ok || d.Attempts != 2 {
					t.Errorf("message %v came with attempts %d", k, d.Attempts)
				}
				other.Finish(d.ID)
			}
			if took := time.Since(frozen); took > test.within+slack {
				t.Errorf("the last message came back after %v, want %v", took, test.within)
			} else {
				t.Logf("the last message came back after %v (bound %v)", took.Round(time.Millisecond), test.within)
			}
		})
	}
}

// playConsumer is the part that is frozen: it takes messages, wants no more (else the node would give it its own ones again), says
// so, and finishes none. Arguments: address, topic, channel, heartbeat, message timeout, number of messages.
func playConsumer() error {
	args := os.Args[1:]
	if len(args) != 6 {
		return fmt.Errorf("consumer takes 6 arguments, not %q", args)
	}
	heartbeat, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	timeout, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	messages, err := strconv.Atoi(args[5])
	if err != nil {
		return err
	}
	c, err := rawnsq.NewConsumer(args[0], args[1], args[2], rawnsq.ConsumerOptions{Ready: messages, Heartbeat: heartbeat, MsgTimeout: timeout})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("subscribed")
	for got := 1; ; got++ {
		if _, err := c.Next(); err != nil {
			return err
		}
		if got == messages {
			if err := c.Command("RDY 0"); err != nil {
				return err
			}
			fmt.Println("full")
		}
	}
}
