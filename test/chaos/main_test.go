//go:build process

package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// weirBinary is the weir under test, set by TestMain.
var weirBinary string

// insideVariable is set in the process that runs in namespaces of its own.
const insideVariable = "WEIR_CHAOS_INSIDE"

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: chaos needs root, for network namespaces and mounts of its own")
		os.Exit(0)
	}
	if os.Getenv(insideVariable) == "" {
		os.Exit(runInside())
	}
	os.Exit(proc.Main(m, proc.Weir(&weirBinary)))
}

// runInside runs this binary again in a network and a mount namespace of its own and returns its exit code. Whatever ends this process,
// the kernel ends that one and, with it, all nodes.
func runInside() int {
	runtime.LockOSThread() // Pdeathsig is about the thread
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // the process inside has them as well, and ends its round
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Env = append(os.Environ(), insideVariable+"=1")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := child.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	case errors.Is(err, syscall.EPERM):
		fmt.Println("skipped: this machine gives no namespaces:", err)
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 2
}
