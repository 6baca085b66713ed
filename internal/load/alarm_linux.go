package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm is a clock of the kernel's, to sleep by. Go's own timers wake up once a millisecond, which is longer than a broker takes. A
// nanosleep is more exact, but the runtime does not see that its thread only sleeps: for up to 10 ms it may leave the sockets without
// anybody who waits for them, and what came in time would count as late. An Alarm is waited for together with the sockets.
//
// It belongs to one goroutine.
type Alarm struct {
	file *os.File
	rang [8]byte
}

// NewAlarm returns an Alarm. The caller closes it.
func NewAlarm() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &Alarm{file: os.NewFile(uintptr(fd), "alarm")}, nil
}

// Sleep returns after d. An error says that the system has no such clock, or that the Alarm is closed.
func (a *Alarm) Sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	raw, err := a.file.SyscallConn()
	if err != nil {
		return err
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.TimerfdSettime(int(fd), 0, &at, nil) }); err != nil {
		return err
	}
	if set != nil {
		return os.NewSyscallError("timerfd_settime", set)
	}
	if _, err := a.file.Read(a.rang[:]); err != nil {
		return fmt.Errorf("wait for the alarm: %w", err)
	}
	return nil
}

// Close gives the clock back.
func (a *Alarm) Close() { a.file.Close() }
