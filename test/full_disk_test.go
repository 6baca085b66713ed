//go:build process

package test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// smallDisk mounts a tmpfs of so many MiB, which goes with the test. That needs root; without, the test is skipped.
func smallDisk(t *testing.T, mib int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// diskRun publishes large messages to a node on a small disk, one at a time.
type diskRun struct {
	t    *testing.T
	b    *proc.Broker
	rec  *history.Recorder
	next uint32
}

func newDiskRun(t *testing.T, disk string) *diskRun {
	t.Helper()
	b := newBroker(t, "--retain", "0s")
	b.DataPath = disk + "/data"
	start(t, b)
	post(t, b, "/topic/create?topic=orders", nil)
	post(t, b, "/channel/create?topic=orders&channel=work", nil)
	return &diskRun{t: t, b: b, rec: history.NewRecorder(1)}
}

// publish sends one message of 100 KB on a connection of its own; an error is a refusal that says what is the matter.
func (d *diskRun) publish() error {
	d.t.Helper()
	k := history.Key{Seq: d.next}
	d.next++
	answer := make(chan error, 1)
	p, err := rawnsq.NewPublisher(d.b.TCP(), 1, func(_ uint64, err error) { answer <- err })
	must(d.t, err)
	defer p.Close()
	d.rec.Sent(k, 0)
	must(d.t, p.Publish(0, rawnsq.AppendPub(nil, "orders", d.rec.Body(k, 100_000))))
	must(d.t, p.Flush())
	err = <-answer
	var refused rawnsq.BrokerError
	switch {
	case err == nil:
		d.rec.Answered(k)
		return nil
	case !errors.As(err, &refused):
		d.t.Fatalf("message %d: %v\n%s", k.Seq, err, d.b.Log())
	}
	d.rec.Refused(k)
	if text := err.Error(); !strings.HasPrefix(text, "E_PUB_FAILED") || !strings.Contains(text, "space") {
		d.t.Errorf("on a full disk the error is %q", text)
	}
	return err
}

// fill publishes until a message is refused, at most so many.
func (d *diskRun) fill(most int) (answered int) {
	d.t.Helper()
	for range most {
		if d.publish() != nil {
			return answered
		}
		answered++
	}
	return answered
}

// consume starts a consumer that finishes all it gets.
func (d *diskRun) consume() *consumers {
	c := newConsumers(d.b.TCP(), "orders", d.rec)
	c.add("work", 1, 0, 0)
	return c
}

// kill ends the node with kill -9.
func (d *diskRun) kill() {
	d.t.Helper()
	d.rec.Killed()
	must(d.t, d.b.Kill())
}

// startFull starts the node on a full disk, where it says that it is not healthy but opens its doors.
func (d *diskRun) startFull() {
	d.t.Helper()
	must(d.t, d.b.Launch())
	eventually(d.t, 30*time.Second, "the node opens its doors", func() bool {
		c, err := rawnsq.Dial(d.b.TCP())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// awaitSpace waits until publishing resumes.
func (d *diskRun) awaitSpace() {
	d.t.Helper()
	eventually(d.t, 30*time.Second, "publishing resumes when finished segments have gone", func() bool {
		time.Sleep(100 * time.Millisecond)
		return d.publish() == nil
	})
}

// check restarts nothing: it consumes what is left and asks the history checker.
func (d *diskRun) check(fault string, injected int, note string) {
	d.t.Helper()
	again := d.consume()
	again.waitIdle(time.Now(), time.Second)
	again.close()
	report := history.Check(d.rec.History(), history.Rules{Channels: []string{"work"}, Drained: true, FinishWindow: 300 * time.Millisecond})
	var table strings.Builder
	report.Fprint(&table)
	d.t.Log(table.String())
	if err := report.Err(); err != nil {
		d.t.Error(err)
	}
	row := faultreport.Judged(fault, injected, report)
	row.Note = fmt.Sprintf("%s, %d refused", note, report.Refused)
	faultreport.Write(d.t, row)
	must(d.t, d.b.Ping())
}

// TestFullDiskIsNotFatal fills a small disk of its own: publishing is refused with a clear error, while consuming and finishing go on;
// when finished segments make room, publishing resumes, and nothing that was answered OK is lost, also when the node is killed and
// started again on the full disk.
func TestFullDiskIsNotFatal(t *testing.T) {
	d := newDiskRun(t, smallDisk(t, 256))
	const more = 4000 // messages than fit
	first := d.fill(more)
	consumers := d.consume()
	d.awaitSpace()
	consumers.waitIdle(time.Now(), time.Second)
	consumers.close()
	second := d.fill(more)
	d.kill()
	d.startFull()
	d.fill(more)
	consumers = d.consume()
	d.awaitSpace()
	consumers.waitIdle(time.Now(), time.Second)
	consumers.close()
	if first == more || second == more {
		t.Errorf("%d messages of 100 KB fit on a disk of 256 MiB", more)
	}
	d.check("full disk", 2, fmt.Sprintf("%d and %d messages filled the disk", first, second))
}

// TestDiskFilledByOthersToTheLastByte has another program take all of the disk. Messages are refused, and consuming goes on. What is finished has to
// make room, though recording it needs some itself.
func TestDiskFilledByOthersToTheLastByte(t *testing.T) {
	for _, kill := range []bool{false, true} {
		name := map[bool]string{false: "while the node runs", true: "and the node is killed and started again"}[kill]
		t.Run(name, func(t *testing.T) {
			disk := smallDisk(t, 256)
			d := newDiskRun(t, disk)
			const messages = 800
			if n := d.fill(messages); n < messages {
				t.Fatalf("%d messages filled the disk", n)
			}
			eventually(t, 10*time.Second, "the node has its spare file", func() bool {
				_, err := os.Stat(d.b.DataPath + "/spare")
				return err == nil
			})
			eat(t, disk)
			if n := d.fill(messages); n == messages { // what the active segment has room for is taken
				t.Fatal("a full disk takes messages")
			}
			if kill {
				d.kill()
				eat(t, disk)
				d.startFull()
			}
			before, err := d.b.DiskBytes()
			must(t, err)
			consumers := d.consume()
			d.awaitSpace()
			consumers.waitIdle(time.Now(), time.Second)
			consumers.close()
			after, err := d.b.DiskBytes()
			must(t, err)
			d.check("disk filled by others to the last byte", 1, fmt.Sprintf("%s: its %d MiB became %d", name, before>>20, after>>20))
		})
	}
}

// eat takes what is left of a disk, as another program would.
func eat(t *testing.T, disk string) {
	t.Helper()
	f, err := os.CreateTemp(disk, "others-")
	must(t, err)
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if n, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			if n == 0 {
				block = block[:len(block)/2]
			}
		} else {
			must(t, err)
		}
	}
	var st syscall.Statfs_t
	must(t, syscall.Statfs(disk, &st))
	if st.Bavail > 0 {
		t.Fatalf("%d blocks are left", st.Bavail)
	}
}
