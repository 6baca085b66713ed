package proc

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

func TestProcessCapturesOutputAndExitCode(t *testing.T) {
	p := start(t, "echo out; echo err >&2; exit 3")
	if code := p.ExitCode(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if got := p.Output(); got != "out\nerr\n" {
		t.Errorf("output %q", got)
	}
	if err := p.Wait(time.Second); err == nil || !strings.Contains(err.Error(), "err") {
		t.Errorf("a failed process waits as %v", err)
	}
	if err := p.Signal(syscall.SIGTERM); err == nil {
		t.Error("an ended process took a signal")
	}
}

func TestKillAndTerminate(t *testing.T) {
	p := start(t, "exec sleep 60")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := p.ExitCode(); code != -1 {
		t.Errorf("killed, exit code %d", code)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("second kill: %v", err)
	}
	p = start(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done")
	for !strings.Contains(p.Output(), "ready") {
		time.Sleep(time.Millisecond)
	}
	if err := p.Terminate(10 * time.Second); err != nil {
		t.Error(err)
	}
	p = start(t, "trap '' TERM; echo ready; while :; do sleep 0.02; done")
	for !strings.Contains(p.Output(), "ready") {
		time.Sleep(time.Millisecond)
	}
	if err := p.Terminate(100 * time.Millisecond); err == nil {
		t.Error("a process that ignores SIGTERM ended cleanly")
	}
}

func TestRSSIsThatOfTheProcess(t *testing.T) {
	p := start(t, "echo ready; exec sleep 60")
	for !strings.Contains(p.Output(), "ready") {
		time.Sleep(time.Millisecond)
	}
	rss, err := p.RSS()
	if err != nil || rss < 100<<10 || rss > 50<<20 {
		t.Errorf("a shell has %d bytes, %v", rss, err)
	}
	if peak, err := p.PeakRSS(); err != nil || peak < rss/2 {
		t.Errorf("peak %d below %d, %v", peak, rss, err)
	}
}

func TestOutputKeepsBeginningAndEnd(t *testing.T) {
	var o output
	for range 10_000 {
		o.Write([]byte(strings.Repeat("x", 99) + "\n"))
	}
	o.Write([]byte("the end"))
	got := o.String()
	if len(got) > keepOutputBytes*2 || !strings.HasSuffix(got, "the end") || !strings.Contains(got, "left out") || !strings.HasPrefix(got, "xxx") {
		t.Errorf("kept %d bytes", len(got))
	}
}

func TestBrokerTellsThatItsProcessEnded(t *testing.T) {
	b, err := NewBroker("/bin/false", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(); err == nil || !strings.Contains(err.Error(), ErrEnded.Error()) {
		t.Errorf("got %v", err)
	}
	if b.TCP() == b.HTTP() {
		t.Error("both servers have one address")
	}
}

func TestDiskBytesCountsBlocks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/full", make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(dir+"/full", 1<<30); err != nil {
		t.Fatal(err)
	}
	b := &Broker{DataPath: dir}
	if n, err := b.DiskBytes(); err != nil || n < 1<<20 || n > 2<<20 {
		t.Errorf("a sparse file counts %d bytes, %v", n, err)
	}
}
