package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keepOutputBytes is how much of a process's output is kept: the first and the last half of it.
const keepOutputBytes = 256 << 10

// Process is one run of a program. Its methods may be called from any goroutine.
type Process struct {
	cmd    *exec.Cmd
	output output
	done   chan struct{} // closed when the process has ended
	err    error         // of Wait; read after done
}

// Spec says what to run.
type Spec struct {
	Path  string
	Args  []string
	Env   []string // added to the environment of the test
	Dir   string
	Stdin io.Reader // nil = nothing
	// DieWithThread has the kernel kill the process when the thread that calls Start ends; the caller has locked itself to it.
	DieWithThread bool
}

// Start runs a program.
func Start(s Spec) (*Process, error) {
	p := &Process{cmd: exec.Command(s.Path, s.Args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), s.Env...)
	p.cmd.Dir = s.Dir
	p.cmd.Stdin = s.Stdin
	if s.DieWithThread {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output returns what the process has written to its standard output and error so far; of very much, the beginning and the end.
func (p *Process) Output() string { return p.output.String() }

// Signal sends a signal to the process, and to no other: a process that has ended is an error, even if its pid lives again.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %v: %w", s, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits for its end. Killing an ended process is not an error.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// Terminate sends SIGTERM and waits for the end; a process that goes on for longer than patience is killed, which is an error,
// as is an exit code other than 0.
func (p *Process) Terminate(patience time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.Wait(patience)
}

// Wait waits for the end of the process; one that goes on for longer than patience is killed, which is an error, as is an exit
// code other than 0.
func (p *Process) Wait(patience time.Duration) error {
	select {
	case <-p.done:
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s still ran after %v\n%s", p.cmd.Path, patience, p.Output())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.Output())
	}
	return nil
}

// ExitCode waits for the end and returns the exit code; -1 if a signal ended the process.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// RSS returns the resident memory of the process in bytes.
func (p *Process) RSS() (int64, error) { return p.statusBytes("VmRSS:") }

// PeakRSS returns the highest resident memory of the process so far in bytes.
func (p *Process) PeakRSS() (int64, error) { return p.statusBytes("VmHWM:") }

// Descriptors returns how many file descriptors the process has open.
func (p *Process) Descriptors() (int64, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	return int64(len(names)), err
}

// CPUTime returns how long the process has been computing so far, in steps of 10 ms.
func (p *Process) CPUTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("the stat of process %d is %q", p.Pid(), stat)
	}
	var sum time.Duration
	for _, text := range fields[11:13] { // user, system
		ticks, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

func (p *Process) statusBytes(field string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == field {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", field, p.Pid())
}

// output keeps the beginning and the end of what is written to it.
type output struct {
	mu          sync.Mutex
	first, last []byte
	dropped     int64
}

// Write keeps p or the newest part of it.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	if room := keepOutputBytes/2 - len(o.first); room > 0 {
		take := min(room, len(p))
		o.first, p = append(o.first, p[:take]...), p[take:]
	}
	o.last = append(o.last, p...)
	if over := len(o.last) - keepOutputBytes; over > 0 { // trimmed in big steps, not at every write
		cut := len(o.last) - keepOutputBytes/2
		o.dropped += int64(cut)
		o.last = append(o.last[:0], o.last[cut:]...)
	}
	return n, nil
}

// String returns what is kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b bytes.Buffer
	b.Write(o.first)
	if o.dropped > 0 {
		fmt.Fprintf(&b, "\n… %d bytes left out …\n", o.dropped)
	}
	b.Write(o.last)
	return b.String()
}
