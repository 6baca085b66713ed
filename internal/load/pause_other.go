//go:build !linux

package load

import "time"

// pause sleeps.
func pause(d time.Duration) { time.Sleep(min(d, 100*time.Millisecond)) }
