//go:build !linux

package load

import "time"

// Alarm sleeps as Go's timers do.
type Alarm struct{}

// NewAlarm returns an Alarm. The caller closes it.
func NewAlarm() (*Alarm, error) { return &Alarm{}, nil }

// Sleep returns after d.
func (*Alarm) Sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

// Close does nothing.
func (*Alarm) Close() {}
