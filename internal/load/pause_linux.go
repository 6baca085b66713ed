package load

import (
	"syscall"
	"time"
)

// pause sleeps. time.Sleep would wake up once a millisecond, which is longer than a broker takes.
func pause(d time.Duration) {
	t := syscall.NsecToTimespec(int64(min(d, 100*time.Millisecond)))
	_ = syscall.Nanosleep(&t, nil) // cut short: the caller looks at the clock again
}
