package commitlog

import (
	"fmt"
	"time"
)

// SyncPolicy says when an append counts as done: SyncAlways, SyncOS, or a duration within which a sync follows.
type SyncPolicy time.Duration

const (
	// SyncAlways answers when the entries are synced.
	SyncAlways SyncPolicy = 0
	// SyncOS answers when the entries are in the page cache: they survive the death of the process, not a power cut. A sync
	// follows within a second and at every seal.
	SyncOS SyncPolicy = -1
)

// SyncEvery is SyncOS with a sync within d of the first write. A d of 0 is SyncAlways.
func SyncEvery(d time.Duration) SyncPolicy { return SyncPolicy(max(d, 0)) }

// ParseSyncPolicy understands always, os, and a duration as of time.ParseDuration.
func ParseSyncPolicy(s string) (SyncPolicy, error) {
	switch s {
	case "always":
		return SyncAlways, nil
	case "os":
		return SyncOS, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("sync policy %q: want always, os, or a duration above 0 such as 100ms", s)
	}
	return SyncEvery(d), nil
}

// String is the inverse of ParseSyncPolicy.
func (p SyncPolicy) String() string {
	switch p {
	case SyncAlways:
		return "always"
	case SyncOS:
		return "os"
	}
	return time.Duration(p).String()
}

// within returns how long written entries may stay unsynced.
func (p SyncPolicy) within() time.Duration {
	if p == SyncOS {
		return time.Second
	}
	return time.Duration(p)
}
