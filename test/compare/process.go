package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server that the comparison started. It is ended by its process group, so that what it started ends with it.
type process struct {
	*exec.Cmd
	output lockedBuffer
}

// startProcess starts a program in dir and waits until address takes connections.
func startProcess(dir, address string, environment []string, name string, args ...string) (*process, error) {
	p := &process{Cmd: exec.Command(name, args...)}
	p.Dir, p.Env = dir, append(os.Environ(), environment...)
	p.Stdout, p.Stderr = &p.output, &p.output
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return p, nil
		}
		if exited := p.exited(); exited || time.Now().After(deadline) {
			p.end()
			return nil, fmt.Errorf("%s does not listen on %s: %s", filepath.Base(name), address, p.output.tail())
		}
	}
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// pid returns the process, whose memory and time are looked at.
func (p *process) pid() int { return p.Process.Pid }

// exited reports whether the process is gone, without waiting for it.
func (p *process) exited() bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	return err != nil || bytes.Contains(state, []byte(") Z "))
}

// end asks the process and its children to end, and after a while makes them.
func (p *process) end() error {
	syscall.Kill(-p.Process.Pid, syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { syscall.Kill(-p.Process.Pid, syscall.SIGKILL) })
	defer kill.Stop()
	err := p.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil // how a server ends when it is told to is its own matter
	}
	return err
}

// lockedBuffer keeps what a server prints.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 1<<20 {
		b.buf.Reset()
	}
	return b.buf.Write(p)
}

// tail returns the end of it.
func (b *lockedBuffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.TrimSpace(b.buf.String())
	return text[max(len(text)-500, 0):]
}

// use is what the operating system says of a process group.
type use struct {
	rssBytes   int64
	cpuSeconds float64
}

// useOf adds up /proc/PID/stat of the group that began with a process.
func useOf(leader int) (all use) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if name := e.Name(); name[0] < '0' || name[0] > '9' {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		const group, user, system, rss, ticksPerSecond = 2, 11, 12, 21, 100
		number := func(i int) int64 { n, _ := strconv.ParseInt(fields[i], 10, 64); return n }
		if number(group) == int64(leader) {
			all.rssBytes += number(rss) * int64(os.Getpagesize())
			all.cpuSeconds += float64(number(user)+number(system)) / ticksPerSecond
		}
	}
	return all
}

// watch looks at a process group until it is told to stop; then it returns the most memory and the CPU time since.
func watch(leader int) (stop func() use) {
	if leader == 0 {
		return func() use { return use{} }
	}
	before := useOf(leader)
	stopC, usedC := make(chan struct{}), make(chan use, 1)
	go func() {
		most := before.rssBytes
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for over := false; !over; {
			select {
			case <-stopC:
				over = true
			case <-tick.C:
			}
			now := useOf(leader)
			if most = max(most, now.rssBytes); over {
				usedC <- use{most, now.cpuSeconds - before.cpuSeconds}
			}
		}
	}()
	return func() use { close(stopC); return <-usedC }
}

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// freeAddresses returns n loopback addresses that were free a moment ago.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range addresses {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		addresses[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return addresses, nil
}
