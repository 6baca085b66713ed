package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm paces as the one of `weir bench` does, and for its reasons: a clock of the kernel's that is waited for together with the
// sockets. It belongs to one goroutine.
type alarm struct {
	file *os.File
	rang [8]byte
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &alarm{file: os.NewFile(uintptr(fd), "alarm")}, nil
}

// sleep returns after d.
func (a *alarm) sleep(d time.Duration) error {
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
	_, err = a.file.Read(a.rang[:])
	return err
}

func (a *alarm) close() { a.file.Close() }
