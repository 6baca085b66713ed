//go:build process

package test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestFullDiskIsNotFatal fills a small disk of its own: publishing is refused with a clear error, while consuming and finishing go on;
// when finished segments make room, publishing resumes, and nothing that was answered OK is lost. It mounts a tmpfs, so it needs root.
func TestFullDiskIsNotFatal(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := newBroker(t, "--retain", "0s")
	b.DataPath = dir + "/data"
	start(t, b)
	post(t, b, "/topic/create?topic=orders", nil)
	post(t, b, "/channel/create?topic=orders&channel=work", nil)
	rec := history.NewRecorder(1)

	next := uint32(0)
	publish := func() error { // one message of 100 KB on a connection of its own
		k := history.Key{Seq: next}
		next++
		answer := make(chan error, 1)
		p, err := rawnsq.NewPublisher(b.TCP(), 1, func(_ uint64, err error) { answer <- err })
		must(t, err)
		defer p.Close()
		rec.Sent(k, 0)
		must(t, p.Publish(0, rawnsq.AppendPub(nil, "orders", rec.Body(k, 100_000))))
		must(t, p.Flush())
		err = <-answer
		var refused rawnsq.BrokerError
		switch {
		case err == nil:
			rec.Answered(k)
		case errors.As(err, &refused):
			rec.Refused(k)
		default:
			t.Fatalf("message %d: %v\n%s", k.Seq, err, b.Log())
		}
		return err
	}
	fill := func() (answered int) {
		for range 4000 {
			if err := publish(); err != nil {
				if text := err.Error(); !strings.HasPrefix(text, "E_PUB_FAILED") || !strings.Contains(text, "space") {
					t.Errorf("on a full disk the error is %q", text)
				}
				return answered
			}
			answered++
		}
		t.Fatal("400 MB fit on a disk of 256")
		return 0
	}
	first := fill()
	consumers := newConsumers(b.TCP(), "orders", rec)
	consumers.add("work", 1, 0, 0)
	eventually(t, 30*time.Second, "publishing resumes when finished segments have gone", func() bool {
		time.Sleep(100 * time.Millisecond)
		return publish() == nil
	})
	consumers.waitIdle(time.Now(), time.Second)
	consumers.close()
	second := fill()
	rec.Killed()
	must(t, b.Kill())
	start(t, b)
	again := newConsumers(b.TCP(), "orders", rec)
	again.add("work", 1, 0, 0)
	again.waitIdle(time.Now(), time.Second)
	again.close()

	report := history.Check(rec.History(), history.Rules{Channels: []string{"work"}, Drained: true, FinishWindow: 300 * time.Millisecond})
	var table strings.Builder
	fmt.Fprintf(&table, "%d messages filled the disk, %d after it had been emptied\n", first, second)
	report.Fprint(&table)
	t.Log(table.String())
	faultreport.Write(t, faultreport.Judged("full disk", 2, report))
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	must(t, b.Ping())
}
