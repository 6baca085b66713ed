package nsqhttp

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/version"
)

// DefaultMaxConnections is how many connections a server takes at a time unless told otherwise.
const DefaultMaxConnections = 8_192

// Options configure a Server. The zero value of a field means its default, which is that of nsqd's flag of the same name.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Version is what /info and /stats report. Default version.NSQ.
	Version string
	// BroadcastAddress and Hostname are reported by /info.
	BroadcastAddress string
	Hostname         string
	// TCPPort and HTTPPort are the listeners' ports, reported by /info; -1 for none.
	TCPPort, HTTPPort int
	// TLSRequired refuses what does not come by TLS, and names HTTPSPort. Default: everything is answered.
	TLSRequired bool
	HTTPSPort   int
	// Guard stands before every endpoint but /ping. Default: none, everybody is let in.
	Guard *auth.Guard
	// Started is when the node was started. Default: now.
	Started time.Time
	// MaxMsgSize bounds one message, in bytes. Default 1 MiB.
	MaxMsgSize int
	// MaxBodySize bounds the body of one /mpub, in bytes. Default 5 MiB.
	MaxBodySize int
	// MaxConnections bounds the connections at a time; further ones wait. Default 8,192.
	MaxConnections int
	// BodyBytes bounds the request bodies of all connections that are held at a time; a request beyond it is answered 503
	// OVERLOADED. Default 128 MiB, and never less than four of the largest bodies.
	BodyBytes int64
	// MaxReqTimeout bounds the delay of /pub?defer. Default 1h.
	MaxReqTimeout time.Duration
	// MaxHeartbeatInterval, MaxOutputBufferSize (bytes), MaxOutputBufferTimeout and MaxDeflateLevel are reported by /info.
	// Defaults 60s, 64 KiB, 30s, 6.
	MaxHeartbeatInterval   time.Duration
	MaxOutputBufferSize    int
	MaxOutputBufferTimeout time.Duration
	MaxDeflateLevel        int
	// TopologyRegion and TopologyZone are where the node is, reported by /info. Default empty.
	TopologyRegion, TopologyZone string
	// Settings are what /config shows and changes, by their keys in a settings file. nil means none.
	Settings map[string]Setting
	// Withdraw reports whether the deletion of a topic of the cluster is the second half of nsqadmin's tombstone for this node, and
	// withdraws the node then; the topic stays. nil: topics are always deleted, as those of a node alone are.
	Withdraw func(ctx context.Context, topic string) bool
	// V1 answers everything under /v1/, behind the same Guard. nil: there is nothing.
	V1 http.Handler
	// Producers returns the sessions that have published, for /stats. nil means none.
	Producers func() []broker.ClientStats
	// Registry gets the broker's metrics, and is what /metrics shows. Default: a new one.
	Registry *prometheus.Registry
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	if o.Producers == nil {
		o.Producers = func() []broker.ClientStats { return nil }
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	o.Version = cmp.Or(o.Version, version.NSQ)
	o.MaxMsgSize = cmp.Or(o.MaxMsgSize, 1<<20)
	o.MaxBodySize = cmp.Or(o.MaxBodySize, 5<<20)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.BodyBytes = cmp.Or(o.BodyBytes, 128<<20)
	o.BodyBytes = max(o.BodyBytes, 4*int64(max(o.MaxMsgSize, o.MaxBodySize)))
	o.MaxReqTimeout = cmp.Or(o.MaxReqTimeout, time.Hour)
	o.MaxHeartbeatInterval = cmp.Or(o.MaxHeartbeatInterval, time.Minute)
	o.MaxOutputBufferSize = cmp.Or(o.MaxOutputBufferSize, 64<<10)
	o.MaxOutputBufferTimeout = cmp.Or(o.MaxOutputBufferTimeout, 30*time.Second)
	o.MaxDeflateLevel = cmp.Or(o.MaxDeflateLevel, 6)
}

// Validate names the first field that is out of range.
func (o *Options) Validate() error {
	switch {
	case o.MaxMsgSize < 0:
		return fmt.Errorf("MaxMsgSize %d: must not be negative", o.MaxMsgSize)
	case o.MaxBodySize < 0:
		return fmt.Errorf("MaxBodySize %d: must not be negative", o.MaxBodySize)
	case o.MaxConnections < 0:
		return fmt.Errorf("MaxConnections %d: must not be negative", o.MaxConnections)
	case o.BodyBytes < 0:
		return fmt.Errorf("BodyBytes %d: must not be negative", o.BodyBytes)
	case o.MaxReqTimeout < 0:
		return fmt.Errorf("MaxReqTimeout %v: must not be negative", o.MaxReqTimeout)
	}
	return nil
}
