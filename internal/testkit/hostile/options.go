package hostile

import (
	"fmt"
	"time"
)

// Options say how hostile a node is. The zero value is not usable; begin with Benign or Hostile.
type Options struct {
	// Seed drives every choice.
	Seed uint64
	// Manual leaves all progress to Log.Step. Default: each open log has a goroutine.
	Manual bool
	// MaxDelay bounds the random pause before each automatic step. Default 0: none.
	MaxDelay time.Duration
	// Partial is the probability that a step commits only a part of the tail. Default 0: all of it.
	Partial float64
	// InPlace is the probability that Propose takes a step itself, so that outcomes arrive before it returns. Automatic
	// mode only. Default 0.
	InPlace float64
	// Refuse is the probability that a leader refuses a proposal, with ErrFull or ErrNotLeader. Default 0.
	Refuse float64
	// Depose is the probability that a step of a leader is the loss of its leadership. Default 0.
	Depose float64
	// Snapshot is the probability that a step of a follower is the beginning of a lag that a Restore of another node's
	// checkpoint ends. Default 0.
	Snapshot float64
	// MaxPending bounds the uncommitted tail of a log in entries; a proposal above it gets ErrFull. Default 4,096.
	MaxPending int
	// SegmentBytes is the size at which the active segment is sealed. Default 4 KiB.
	SegmentBytes int
	// Now is the clock for append times, in Unix nanoseconds; it may go back. Default time.Now.
	Now func() int64
}

// Benign returns options for a log that commits everything at once and in order, as a lone node on a fast disk does.
func Benign() Options {
	return Options{
		MaxPending:   4096,
		SegmentBytes: 4 << 10,
		Now:          func() int64 { return time.Now().UnixNano() },
	}
}

// Hostile returns options with every trouble switched on: pauses up to 2 ms, partial commits, outcomes in place, one
// refusal in 20 proposals, one lost leadership in 30 steps.
func Hostile(seed uint64) Options {
	o := Benign()
	o.Seed = seed
	o.MaxDelay = 2 * time.Millisecond
	o.Partial = 0.5
	o.InPlace = 0.2
	o.Refuse = 0.05
	o.Depose = 1.0 / 30
	o.SegmentBytes = 1 << 10
	return o
}

// Validate names the field that is out of range.
func (o *Options) Validate() error {
	for _, p := range []struct {
		name  string
		value float64
	}{{"Partial", o.Partial}, {"InPlace", o.InPlace}, {"Refuse", o.Refuse}, {"Depose", o.Depose}, {"Snapshot", o.Snapshot}} {
		if p.value < 0 || p.value > 1 {
			return fmt.Errorf("hostile: %s is %v, not a probability", p.name, p.value)
		}
	}
	switch {
	case o.MaxPending <= 0:
		return fmt.Errorf("hostile: MaxPending is %d, must be positive", o.MaxPending)
	case o.SegmentBytes <= 0:
		return fmt.Errorf("hostile: SegmentBytes is %d, must be positive", o.SegmentBytes)
	case o.Depose == 1:
		return fmt.Errorf("hostile: Depose is 1, nothing would ever be committed")
	case o.Now == nil:
		return fmt.Errorf("hostile: Now is not set")
	}
	return nil
}
