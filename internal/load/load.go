package load

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what a load measures.
type Kind string

// The kinds of load.
const (
	Pub    Kind = "pub"    // publish, and wait for the answers
	Sub    Kind = "sub"    // publish a backlog, then measure how fast consumers drain it
	PubSub Kind = "pubsub" // publish and consume at once
)

// Load is one measurement. See Default for the values of a load that says nothing else.
type Load struct {
	Name string `json:"load"`
	Kind Kind   `json:"kind"`

	Connections int `json:"connections"` // that publish
	Subscribers int `json:"subscribers"` // connections that consume, for each channel
	Channels    int `json:"channels"`    // for each topic
	Topics      int `json:"topics"`      // dealt out to the publishers; who has several takes turns

	Window    int  `json:"window"`         // commands of a connection that may be without an answer
	Batch     int  `json:"batch"`          // messages in a command: 1 is PUB, more is MPUB
	BodyBytes int  `json:"body_bytes"`     // at least StampBytes
	HTTP      bool `json:"http,omitempty"` // publish by POST /pub and /mpub on connections that stay open
	Rate      int  `json:"rate"`           // messages a second of all connections; 0: as fast as the window allows

	Messages int64         `json:"-"` // to publish in all, at most; 0: only Duration ends it. The backlog of Sub
	Duration time.Duration `json:"-"` // for publishing at most, and for a drain again

	Ready               int `json:"-"` // RDY of a consumer
	OutputBufferSize    int `json:"-"` // bytes, as in IDENTIFY: 0 is the server's default, -1 unbuffered
	OutputBufferTimeout int `json:"-"` // ms, likewise
}

// Default returns a load of one connection that publishes one message of 200 bytes at a time for two seconds.
func Default() Load {
	return Load{
		Kind: Pub, Connections: 1, Subscribers: 1, Channels: 1, Topics: 1, Window: 1, Batch: 1, BodyBytes: 200,
		Duration: 2 * time.Second, Ready: 2500,
	}
}

// Limits of a load: beyond them a mistake is likelier than a wish.
const (
	maxConnections = 20_000
	maxTopics      = 10_000
	maxWindow      = 100_000
	maxCommand     = 64 << 20 // bytes
	maxDuration    = time.Hour
)

// Validate reports the first value that cannot be used.
func (l *Load) Validate() error {
	switch l.Kind {
	case Pub, Sub, PubSub:
	default:
		return fmt.Errorf("kind %q: must be pub, sub or pubsub", l.Kind)
	}
	for _, limit := range []struct {
		name            string
		value, min, max int64
	}{
		{"connections", int64(l.Connections), 1, maxConnections},
		{"subscribers", int64(l.Subscribers), 1, maxConnections},
		{"channels", int64(l.Channels), 1, maxTopics},
		{"topics", int64(l.Topics), 1, maxTopics},
		{"window", int64(l.Window), 1, maxWindow},
		{"batch", int64(l.Batch), 1, 100_000},
		{"body-size", int64(l.BodyBytes), StampBytes, maxCommand},
		{"rate", int64(l.Rate), 0, 100_000_000},
		{"messages", l.Messages, 0, 1 << 40},
		{"duration", int64(l.Duration), int64(time.Millisecond), int64(maxDuration)},
		{"max-in-flight", int64(l.Ready), 1, 1_000_000},
	} {
		if limit.value < limit.min || limit.value > limit.max {
			return fmt.Errorf("%s %d: must be %d to %d", limit.name, limit.value, limit.min, limit.max)
		}
	}
	switch {
	case l.Batch*l.BodyBytes > maxCommand:
		return fmt.Errorf("batch %d of body-size %d: must be at most %d bytes together", l.Batch, l.BodyBytes, maxCommand)
	case l.consumers() > maxConnections:
		return fmt.Errorf("topics × channels × subscribers are %d connections: must be at most %d", l.consumers(), maxConnections)
	case l.Kind == Sub && l.Messages == 0:
		return errors.New("messages 0: a backlog to drain needs a number")
	}
	return nil
}

// consumes reports whether the load has consumers.
func (l *Load) consumes() bool { return l.Kind == Sub || l.Kind == PubSub }

// consumers returns the number of connections that consume.
func (l *Load) consumers() int {
	if !l.consumes() {
		return 0
	}
	return l.Topics * l.Channels * l.Subscribers
}

// String says in words what the load does.
func (l *Load) String() string {
	plural := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	s := plural(l.Connections, "connection")
	switch {
	case l.Rate > 0:
		s += fmt.Sprintf(" publishing %d messages/s by a schedule", l.Rate)
	case l.Window == 1:
		s += " publishing, one command at a time"
	default:
		s += fmt.Sprintf(" publishing, up to %d commands unanswered", l.Window)
	}
	if l.Batch > 1 {
		s += fmt.Sprintf(", %d messages in each", l.Batch)
	}
	if l.HTTP {
		s += ", by HTTP"
	}
	s += fmt.Sprintf(", bodies of %d bytes", l.BodyBytes)
	if l.Topics > 1 {
		s += ", " + plural(l.Topics, "topic")
	}
	if l.consumes() {
		s += fmt.Sprintf("; %s of %s", plural(l.Subscribers, "consumer"), plural(l.Channels, "channel"))
	}
	switch {
	case l.Kind == Sub:
		s += fmt.Sprintf(" draining these %d messages afterwards", l.Messages)
	case l.OutputBufferSize == -1:
		s += ", unbuffered"
	case l.OutputBufferTimeout > 0:
		s += fmt.Sprintf(", output buffered for %d ms", l.OutputBufferTimeout)
	}
	return s
}
