//go:build process

package test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// clockVariable names the file from which a process with a steppable clock reads by how many seconds its wall clock is off.
const clockVariable = "WEIR_TEST_CLOCK"

// clockSource is added to package time of the binary under test.
const clockSource = `package time

import (
	"syscall"
	"unsafe"
)

var steppedBy = mapClock()

func mapClock() *int64 {
	path, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}

func step() int64 {
	if steppedBy == nil {
		return 0
	}
	return *steppedBy
}
`

// buildSteppable compiles weir with a package time whose wall clock can be stepped from outside; the monotonic clock stays the machine's.
func buildSteppable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	must(t, err)
	const reading = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !strings.Contains(string(text), reading) {
		t.Skip("this Go's package time reads the clock in another way")
	}
	changed, added, overlay, binary := filepath.Join(dir, "time.go"), filepath.Join(dir, "step.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "weir")
	must(t, os.WriteFile(changed, []byte(strings.Replace(string(text), reading, reading+"\tsec += step()\n", 1)), 0o600))
	must(t, os.WriteFile(added, []byte(clockSource), 0o600))
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed, filepath.Join(filepath.Dir(original), "step.go"): added}})
	must(t, err)
	must(t, os.WriteFile(overlay, replace, 0o600))
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "github.com/weirmq/weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build with a steppable clock: %v\n%s", err, out)
	}
	return binary
}

// TestStepsOfTheClock steps the wall clock of a running node by hours, as an operator or a bad time server would: forward, deferred messages
// come due and nothing else does; backward, what is in flight still times out in real time, requeues come back in real time, and
// publishing, consuming and a restart go on. It compiles weir with another package time, which takes a minute the first time, so it is
// left out unless WEIR_CLOCK is set.
func TestStepsOfTheClock(t *testing.T) {
	if os.Getenv("WEIR_CLOCK") == "" {
		t.Skip("set WEIR_CLOCK=1: it compiles everything once more")
	}
	clock := filepath.Join(t.TempDir(), "clock")
	must(t, os.WriteFile(clock, make([]byte, 8), 0o600))
	set := func(offset time.Duration) {
		f, err := os.OpenFile(clock, os.O_WRONLY, 0)
		must(t, err)
		defer f.Close()
		_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(offset/time.Second))), 0)
		must(t, err)
	}
	b := newBroker(t, "--msg-timeout", "1s")
	b.Binary = buildSteppable(t)
	b.Env = []string{clockVariable + "=" + clock}
	start(t, b)
	post(t, b, "/topic/create?topic=orders", nil)
	post(t, b, "/channel/create?topic=orders&channel=work", nil)
	publish := func(body string, deferred time.Duration) {
		t.Helper()
		post(t, b, fmt.Sprintf("/pub?topic=orders&defer=%d", deferred.Milliseconds()), strings.NewReader(body))
	}
	c, err := rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: 10})
	must(t, err)
	defer func() { c.Close() }()
	latest := int64(0)
	next := func(want string, within time.Duration) rawnsq.Delivery {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(within))
		d, err := c.Next()
		if err != nil {
			t.Fatalf("waiting %v for %q: %v", within, want, err)
		}
		if string(d.Body) != want {
			t.Fatalf("got %q, want %q", d.Body, want)
		}
		latest = max(latest, d.Time.UnixNano())
		return d
	}
	finish := func(d rawnsq.Delivery) { must(t, c.Finish(d.ID)); must(t, c.Flush()) }

	// Forward: what is in flight does not time out before its second, what is due by the wall clock comes.
	publish("in flight", 0)
	held := next("in flight", time.Second)
	publish("in 50 minutes", 50*time.Minute)
	set(time.Hour)
	stepped := time.Now()
	finish(next("in 50 minutes", 15*time.Second))
	forward := time.Since(stepped)
	again := next("in flight", 3*time.Second) // its second is over
	if again.Attempts != held.Attempts+1 {
		t.Errorf("after the step the message in flight has attempts %d", again.Attempts)
	}
	finish(again)

	publish("in 40 minutes", 40*time.Minute)
	time.Sleep(1500 * time.Millisecond) // nothing else is under way: no timeout looks at the clock in passing
	set(2 * time.Hour)
	stepped = time.Now()
	finish(next("in 40 minutes", 15*time.Second))
	forward = max(forward, time.Since(stepped))

	// Backward by three hours: real time counts for what is in flight and for short requeues.
	publish("before", 0)
	requeued := next("before", time.Second)
	set(-time.Hour)
	stepped = time.Now()
	publish("after", 0)
	finish(next("after", time.Second))
	if d := next("before", 3*time.Second); d.Attempts != requeued.Attempts+1 {
		t.Errorf("backward the message in flight came with attempts %d", d.Attempts)
	} else {
		finish(d)
	}
	backward := time.Since(stepped)
	publish("soon", 500*time.Millisecond)
	finish(next("soon", 3*time.Second))

	// A restart with the clock behind the log's own times.
	c.Close()
	must(t, b.Kill())
	start(t, b)
	c, err = rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: 10})
	must(t, err)
	publish("restarted", 0)
	for end := time.Now().Add(3 * time.Second); ; {
		c.SetReadDeadline(end)
		d, err := c.Next()
		must(t, err)
		finish(d)
		if string(d.Body) == "restarted" {
			if d.Time.UnixNano() < latest {
				t.Errorf("the time of a later message is %v before that of an earlier one", time.Duration(latest-d.Time.UnixNano()))
			}
			break
		}
	}
	faultreport.Write(t, faultreport.Row{Fault: "steps of the clock", Injected: 3, Acknowledged: 6, Delivered: 8, Duplicated: 2, Note: fmt.Sprintf(
		"an hour forward: a deferred message came after %v; three hours back: a message in flight came again after %v", forward.Round(time.Millisecond), backward.Round(time.Millisecond))})
}
