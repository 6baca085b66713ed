package statsd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/memstats"
)

// Options configure a Pusher.
type Options struct {
	// Address is the daemon's HOST:PORT. It is resolved anew for each push.
	Address string
	// Prefix stands before every name, as given; see Prefix.
	Prefix string
	// Interval is the time from push to push, at least 1ms.
	Interval time.Duration
	// PacketSize bounds a packet, in bytes; a line that is longer goes alone.
	PacketSize int
	// MemStats adds those of the Go heap.
	MemStats bool
	// ExcludeEphemeral leaves ephemeral topics and channels out.
	ExcludeEphemeral bool
	// Logger takes what an operator should know.
	Logger *slog.Logger
}

// Prefix completes a prefix as nsqd does: %s becomes the node's address, with _ for its dots and colons, and a dot ends it.
func Prefix(format, address string) string {
	if format == "" {
		return ""
	}
	key := strings.NewReplacer(".", "_", ":", "_").Replace(address)
	return strings.TrimSuffix(strings.ReplaceAll(format, "%s", key), ".") + "."
}

// Pusher pushes.
type Pusher struct {
	options Options
	source  func() []broker.TopicStats
	counted map[string]uint64 // counters as of the last push
}

// New returns a Pusher that asks source for what it pushes.
func New(options Options, source func() []broker.TopicStats) *Pusher {
	return &Pusher{options: options, source: source}
}

// Run pushes until ctx ends. What cannot be sent is logged, and lost.
func (p *Pusher) Run(ctx context.Context) {
	ticker := time.NewTicker(p.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := p.push(ctx); err != nil {
			p.options.Logger.Warn("cannot push statistics; is --statsd-address right, and does the daemon run?", slog.Any("error", err))
		}
	}
}

// push sends one report.
func (p *Pusher) push(ctx context.Context) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "udp", p.options.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return p.spread(ctx, conn, p.report())
}

// report returns the packets of one push.
func (p *Pusher) report() [][]byte {
	r := newReport(&p.options, p.counted)
	r.topics(p.source())
	if p.options.MemStats {
		r.memory(memstats.Read())
	}
	p.counted = r.counted
	return r.packets()
}

// spread sends packets evenly over the interval less a second, without pauses once ctx has ended. It returns the first error, but sends
// all: with UDP, an error tells of a packet before.
func (p *Pusher) spread(ctx context.Context, conn net.Conn, packets [][]byte) error {
	pause := max(p.options.Interval-time.Second, 0) / time.Duration(max(len(packets), 1))
	var first error
	for i, packet := range packets {
		if i > 0 && pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		if _, err := conn.Write(packet); err != nil && first == nil {
			first = fmt.Errorf("packet %d of %d: %w", i+1, len(packets), err)
		}
	}
	return first
}
