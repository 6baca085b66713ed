package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/load"
)

// embedded is a broker that `weir bench` started: this program as `weir serve`, on a temporary directory.
type embedded struct {
	process *exec.Cmd
	dir     string
	stderr  bytes.Buffer
}

// ready is the first line of what `weir serve` says, with its addresses.
var ready = regexp.MustCompile(` is ready: TCP ([^\s,]+), HTTP ([^\s,]+)`)

// embed starts a broker and makes it the target. Settings in the environment are not for it.
func embed(sync string, target *load.Target) (_ *embedded, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &embedded{}
	if e.dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	e.process = exec.Command(program, "serve", "--data-path="+e.dir, "--sync="+sync, "--log-level=error",
		"--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0", "--discovery-tcp-address=", "--admin-address=")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, config.EnvPrefix) {
			e.process.Env = append(e.process.Env, variable)
		}
	}
	e.process.Stderr = &e.stderr
	out, err := e.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := e.process.Start(); err != nil {
		return nil, err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addresses := ready.FindStringSubmatch(line)
	if addresses == nil {
		e.stop()
		return nil, fmt.Errorf("%s", strings.TrimSpace(e.stderr.String()))
	}
	target.TCP, target.HTTP, target.PID = addresses[1], addresses[2], e.process.Process.Pid
	return e, nil
}

// stop ends the broker and deletes its data. It may be called again.
func (e *embedded) stop() error {
	if e.process != nil && e.process.Process != nil && e.process.ProcessState == nil {
		e.process.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { e.process.Process.Kill() })
		e.process.Wait()
		kill.Stop()
	}
	return os.RemoveAll(e.dir)
}

// run runs one load, against a broker of its own if that is wanted.
func (b *bench) run(ctx context.Context, l load.Load, progress func(load.Progress)) (result *load.Result, err error) {
	target := b.target
	if b.embedded {
		broker, err := embed(b.sync, &target)
		if err != nil {
			return nil, fmt.Errorf("start a broker: %w", err)
		}
		defer func() { err = errors.Join(err, broker.stop()) }()
	}
	return load.Run(ctx, target, l, progress)
}
