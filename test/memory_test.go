//go:build process

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestALimitedMemoryIsEnough runs a node in a control group of 128 MiB, page cache and all, with large messages, a backlog that is larger than that,
// and hundreds of connections: the kernel does not kill it. It makes a control group, so it needs root.
func TestALimitedMemoryIsEnough(t *testing.T) {
	const limit, messages = 128 << 20, 400
	group := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("weir-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("cannot make a control group: %v", err)
	}
	t.Cleanup(func() { os.Remove(group) }) // once the node has left it
	must(t, os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), fmt.Append(nil, limit), 0))
	b := newBroker(t, "--mem-limit", "64MiB")
	b.Binary = "/bin/sh"
	b.Command = []string{"-c", `echo $$ > ` + group + `/tasks && exec "$@"`, "sh", weirBinary, "serve", "--discovery-tcp-address", "", "--admin-address", ""}
	start(t, b)
	post(t, b, "/topic/create?topic=orders", nil)
	post(t, b, "/channel/create?topic=orders&channel=work", nil)
	for range 300 {
		_ = dialFor(t, b, time.Minute)
	}
	var failed atomic.Int64
	p, err := rawnsq.NewPublisher(b.TCP(), 20, func(_ uint64, err error) {
		if err != nil {
			failed.Add(1)
		}
	})
	must(t, err)
	command := rawnsq.AppendPub(nil, "orders", bytes.Repeat([]byte("large"), 100_000))
	for range messages {
		must(t, p.Publish(0, command))
	}
	must(t, p.Wait())
	p.Close()
	got := <-newConsumerThatFinishes(t, b, "orders", "work", messages)
	must(t, b.Ping())
	peak, err := b.Process().PeakRSS()
	must(t, err)
	faultreport.Write(t, faultreport.Row{Fault: "limited memory", Injected: 1, Acknowledged: messages - int(failed.Load()), Delivered: got,
		Lost: messages - int(failed.Load()) - got, Note: fmt.Sprintf("%d MiB for everything, %d MiB of backlog, 300 connections; peak RSS %d MiB",
			limit>>20, messages*500_000>>20, peak>>20)})
	if failed.Load() > 0 || got != messages {
		t.Errorf("%d of %d messages were refused, %d delivered", failed.Load(), messages, got)
	}
}
