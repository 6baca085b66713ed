// Package node wires one node: storage, broker and doors, started in order and stopped in reverse.
//
//	Start:  stock NSQ data? ─► memory limit ─► store (lock, format) ─► logs ─► own lookup service ─► cluster (gossip, identity, peers)
//	        ─► broker (recovery) ─► listeners ─► doors ─► registration with lookup services
//	Stop:   leadership handed over ─► registration ─► doors (refuse new work, answer what is under way, requeue what is in flight) ─► broker (records every cursor,
//	        writes checkpoints) ─► cluster ─► logs ─► store (records its end, unlocks)
//
// It is the one place that knows all packages: they meet here and nowhere else. A Node's methods may be called from any
// goroutine.
package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/nsqhttp"
	"github.com/weirmq/weir/internal/nsqtcp"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/statsd"
	"github.com/weirmq/weir/internal/tlsconf"
)

// maxSegmentBytes is the size of the largest segments. A body may be at most half of it.
const maxSegmentBytes = 64 << 20

// MaxBodyBytes is the largest body size that a node can be set to take.
const MaxBodyBytes = maxSegmentBytes / 2

// Options of a node. The limits of messages and clients are those of TCP; HTTP gets the same.
type Options struct {
	// DataPath is the data directory; it is made if it is missing. Default ./weir-data.
	DataPath string
	// TCPAddress and HTTPAddress are where the doors listen: HOST:PORT, or the path of a unix socket. An empty HTTPAddress leaves
	// that door closed.
	TCPAddress  string
	HTTPAddress string
	// HTTPSAddress is where the HTTP door listens for TLS, if there is a certificate. Empty leaves that closed.
	HTTPSAddress string
	// TLS names the certificate of TCP and HTTPS. Without one there is no TLS.
	TLS tlsconf.Options // Logger is set by Start
	// TLSRequired says who must use it.
	TLSRequired TLSRequired
	// Advertise is the host that others are told to reach this node by.
	Advertise string
	// BroadcastTCPPort and BroadcastHTTPPort are the ports that others are told. 0: those that are listened at.
	BroadcastTCPPort, BroadcastHTTPPort int
	// LookupAddresses are the lookup services to register with, HOST:PORT of their TCP protocol, besides the node's own.
	LookupAddresses []string
	// DiscoveryTCPAddress and DiscoveryHTTPAddress are where the node's own lookup service listens. The default is that it has none:
	// DiscoveryTCPAddress is empty.
	DiscoveryTCPAddress, DiscoveryHTTPAddress string
	// Auth names the AUTH servers, which are then asked what each client of TCP may do. TLS is set by Start.
	Auth auth.AuthorityOptions
	// HTTPTokenFile is a file with the tokens of operators. HTTPAuthServer lets the AUTH servers judge other tokens. With one of
	// them, or both, requests to the HTTP API need a token. Default: everybody is let in.
	HTTPTokenFile  string
	HTTPAuthServer bool
	// Admin is the node's admin page. Default: it has none.
	Admin AdminOptions
	// Cluster is the cluster that the node belongs to; without Cluster.Join it is alone.
	Cluster ClusterOptions
	// MemoryLimit is the soft limit of the memory of the whole process in bytes; 0 lets it follow what lives, see limitMemory.
	MemoryLimit int64
	// StopTimeout is how long a graceful stop may take before connections are broken off. Default 20s.
	StopTimeout time.Duration
	// Logger takes what an operator should know.
	Logger *slog.Logger
	// Terminal gets the progress of a long recovery. nil for none.
	Terminal io.Writer

	Store   commitlog.Options // FS, Dir and Logger are set by Start
	Replica replica.Options   // FS, Dir and Logger are set by Start
	Broker  broker.Options    // Logger, MaxMsgTimeout are set by Start
	Statsd  statsd.Options    // without Address nothing is pushed; Prefix may hold %s; Logger is set by Start
	TCP     nsqtcp.Options    // Logger is set by Start
	HTTP    nsqhttp.Options   // what TCP has too is set by Start
	// Discovery are the options of the node's own lookup service; the names and Logger are set by Start.
	Discovery lookupd.Options
}

// DefaultOptions returns the options of `weir serve` without any setting given, but without a lookup service.
func DefaultOptions() Options {
	return Options{
		DataPath: "./weir-data", TCPAddress: "127.0.0.1:4150", HTTPAddress: "127.0.0.1:4151", HTTPSAddress: "127.0.0.1:4152", Advertise: "127.0.0.1",
		StopTimeout: 20 * time.Second, Logger: slog.Default(),
		Store:   commitlog.Options{Sync: commitlog.SyncAlways, CacheBytes: 12 << 20, MaxSegmentBytes: maxSegmentBytes},
		Replica: replica.Options{SpareBytes: 8 << 20},
		Broker:  broker.Options{Retain: 24 * time.Hour, RetainBytes: 1 << 30},
		Statsd:  statsd.Options{Interval: time.Minute, Prefix: "nsq.%s", PacketSize: 508, MemStats: true},
		TCP: nsqtcp.Options{
			MaxConnections: 65_536, MaxMsgSize: 1 << 20, MaxBodySize: 5 << 20, MaxRdyCount: 2500,
			MsgTimeout: time.Minute, MaxMsgTimeout: 15 * time.Minute, MaxReqTimeout: time.Hour,
			MaxHeartbeatInterval: time.Minute, MaxOutputBufferSize: 64 << 10, OutputBufferTimeout: 250 * time.Millisecond,
			MinOutputBufferTimeout: 25 * time.Millisecond, MaxOutputBufferTimeout: 30 * time.Second, MaxDeflateLevel: 6,
		},
	}
}

// Validate reports the first option that cannot be used.
func (o *Options) Validate() error {
	switch {
	case o.DataPath == "":
		return errors.New("data-path is missing")
	case o.TCPAddress == "":
		return errors.New("tcp-address is missing")
	case o.MemoryLimit < 0:
		return fmt.Errorf("MemoryLimit %d: must not be negative", o.MemoryLimit)
	case o.TCP.MaxBodySize > MaxBodyBytes:
		return fmt.Errorf("max-body-size %d: must be at most %d, half of the largest segment", o.TCP.MaxBodySize, MaxBodyBytes)
	case o.TCP.MaxMsgSize > MaxBodyBytes:
		return fmt.Errorf("max-msg-size %d: must be at most %d, half of the largest segment", o.TCP.MaxMsgSize, MaxBodyBytes)
	}
	if err := o.checkSecurity(); err != nil {
		return err
	}
	return o.TCP.Validate()
}

// doorOptions returns the doors' options, made from o and the addresses that are listened at.
func (o *Options) doorOptions(started time.Time, tcp, http net.Listener, producers func() []broker.ClientStats) (nsqhttp.Options, error) {
	h := o.HTTP
	h.Logger = o.Logger
	var err error
	if h.BroadcastAddress, h.Hostname, err = o.names(); err != nil {
		return h, err
	}
	h.TCPPort, h.HTTPPort = port(tcp), port(http)
	h.Started = started
	prefix, err := o.statsdPrefix(http)
	if err != nil {
		return h, err
	}
	h.Settings = o.settings(map[string]any{
		"broadcast_tcp_port":  cmp.Or(o.BroadcastTCPPort, max(h.TCPPort, 0)),
		"broadcast_http_port": cmp.Or(o.BroadcastHTTPPort, max(h.HTTPPort, 0)),
		"statsd_prefix":       prefix,
	})
	if h.Registry == nil {
		h.Registry = prometheus.NewRegistry()
		h.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	h.MaxMsgSize, h.MaxBodySize, h.MaxReqTimeout = o.TCP.MaxMsgSize, o.TCP.MaxBodySize, o.TCP.MaxReqTimeout
	h.MaxHeartbeatInterval, h.MaxOutputBufferSize = o.TCP.MaxHeartbeatInterval, o.TCP.MaxOutputBufferSize
	h.MaxOutputBufferTimeout, h.MaxDeflateLevel = o.TCP.MaxOutputBufferTimeout, o.TCP.MaxDeflateLevel
	h.TopologyRegion, h.TopologyZone = o.TCP.TopologyRegion, o.TCP.TopologyZone
	h.Producers = producers
	return h, nil
}

// names returns the host that others are told to reach the node by, and the machine's own name.
func (o *Options) names() (broadcast, hostname string, err error) {
	if hostname, err = os.Hostname(); err != nil {
		return "", "", fmt.Errorf("host name: %w", err)
	}
	return cmp.Or(o.Advertise, hostname), hostname, nil
}

// settings returns what /config shows: the options' own, with those known that are found only when the node listens.
func (o *Options) settings(known map[string]any) map[string]nsqhttp.Setting {
	settings := make(map[string]nsqhttp.Setting)
	maps.Copy(settings, o.HTTP.Settings)
	for name, value := range known {
		if _, ok := settings[name]; ok {
			settings[name] = nsqhttp.Setting{Value: func() any { return value }}
		}
	}
	return settings
}
