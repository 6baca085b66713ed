package lookupd

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/version"
)

// DefaultMaxConnections is how many connections of each port a server takes at a time unless told otherwise.
const DefaultMaxConnections = 16_384

// Options configure a Server. The zero value of a field means its default, which is that of nsqlookupd's flag of the same name.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Version is what brokers and /info are told. Default version.NSQ.
	Version string
	// BroadcastAddress is the host that brokers are told to reach the HTTP API by. Default: Hostname.
	BroadcastAddress string
	// Hostname is this machine's name, told to brokers.
	Hostname string
	// InactiveProducerTimeout is how long a broker may say nothing before consumers are not told of it. Default 5m.
	InactiveProducerTimeout time.Duration
	// TombstoneLifetime is how long a tombstone hides a broker from a topic. Default 45s.
	TombstoneLifetime time.Duration
	// TLS lets brokers and consumers speak TLS on the same ports; TLSRequired refuses those that do not. Default: nil, in the clear.
	TLS         *tls.Config
	TLSRequired bool
	// Guard asks for a token from who changes something by HTTP, or looks into the process; to look things up needs none. Default: nil,
	// everybody may.
	Guard *auth.Guard
	// MaxConnections bounds the TCP connections at a time, and the HTTP ones; a TCP connection beyond is closed, an HTTP one waits.
	// Default 16,384.
	MaxConnections int
	// MaxRegistrations bounds the topics and channels and the brokers that have one, in sum. Default 1,048,576.
	MaxRegistrations int
}

// DefaultOptions returns the options with every default in its place.
func DefaultOptions() Options {
	var o Options
	o.setDefaults()
	return o
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Version = cmp.Or(o.Version, version.NSQ)
	o.BroadcastAddress = cmp.Or(o.BroadcastAddress, o.Hostname)
	o.InactiveProducerTimeout = cmp.Or(o.InactiveProducerTimeout, 5*time.Minute)
	o.TombstoneLifetime = cmp.Or(o.TombstoneLifetime, 45*time.Second)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.MaxRegistrations = cmp.Or(o.MaxRegistrations, 1<<20)
}

// Validate names the first field that is out of range.
func (o *Options) Validate() error {
	switch {
	case o.InactiveProducerTimeout < 0 || o.TombstoneLifetime < 0:
		return fmt.Errorf("InactiveProducerTimeout %v, TombstoneLifetime %v: must not be negative", o.InactiveProducerTimeout, o.TombstoneLifetime)
	case o.TLSRequired && o.TLS == nil:
		return errors.New("TLS cannot be required without a certificate: give --tls-cert and --tls-key")
	case o.MaxConnections < 0 || o.MaxRegistrations < 0:
		return fmt.Errorf("MaxConnections %d, MaxRegistrations %d: must not be negative", o.MaxConnections, o.MaxRegistrations)
	}
	return nil
}
