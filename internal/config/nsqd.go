package config

import (
	"fmt"
	"os"
	"time"

	"github.com/weirmq/weir/internal/node"
)

// ignored is a setting of nsqd that has no meaning any more; it is read and checked so that existing scripts work.
type ignored struct {
	bytes    int64
	count    int
	duration time.Duration
	text     string
	texts    []string
}

// Nsqd returns the settings of `weir nsqd`: all of nsqd's, with its names and defaults, and Weir's own.
func Nsqd(n *Node) *Set {
	n.Options = node.DefaultOptions()
	n.LogFormat = "text"
	o := &n.Options
	o.DataPath, o.TCPAddress, o.HTTPAddress, o.Advertise = "", "0.0.0.0:"+tcpPort, "0.0.0.0:"+httpPort, ""
	o.HTTPSAddress = "0.0.0.0:" + httpsPort
	var no ignored

	s := NewSet("nsqd")
	s.Group("As in nsqd")
	s.File()
	s.Version(&n.ShowVersion)
	s.String(&o.DataPath, "data-path", "DIR", "data directory (default: the working directory)")
	s.Func("tcp-address", "HOST:PORT", o.TCPAddress, addressForm, "NSQ's TCP protocol", address(&o.TCPAddress))
	s.Func("http-address", "HOST:PORT", o.HTTPAddress, addressForm+"; empty closes the door", "NSQ's HTTP API, metrics", orNothing(&o.HTTPAddress, address(&o.HTTPAddress)))
	s.Func("https-address", "HOST:PORT", o.HTTPSAddress, addressForm+"; empty closes the door", "the same by TLS, if there is --tls-cert", orNothing(&o.HTTPSAddress, address(&o.HTTPSAddress)))
	s.String(&o.Advertise, "broadcast-address", "HOST", "host that others are told to reach this node by (default: the host name)")
	ports(s, o)
	lookups(s, o)
	topology(s, o)
	limits(s, o)
	o.Broker.EphemeralMessages = 10_000
	s.Int(&o.Broker.EphemeralMessages, "mem-queue-size", 0, 1<<40, "most messages of an ephemeral topic or channel (0: 10000); all others are on disk")
	compression(s, o)
	tlsFiles(s, o, "tls1.0")
	authServers(s, o)
	statistics(s, o)
	logLevelVar(s, &n.LogLevel)

	s.Group("Weir's own")
	httpTokens(s, o)
	syncPolicy(s, o)
	retention(s, o)
	s.Size(&o.Store.CacheBytes, "cache-size", 1<<20, maxBytes, "memory for the newest messages of all topics")
	s.Size(&o.MemoryLimit, "mem-limit", 0, maxBytes, "soft limit of memory; 0: a quarter above what is needed, at least 48MiB")
	s.OneOf(&n.LogFormat, "log-format", []string{"text", "json"}, "form of the log on stderr")

	s.Group("Of nsqd, accepted, but without a meaning here")
	no.count, no.bytes, no.duration = 2500, 100<<20, 2*time.Second
	s.Int(&no.count, "sync-every", 0, 1<<40, "every commit is synced, see --sync")
	s.Duration(&no.duration, "sync-timeout", 0, maxDuration, "see --sync=DURATION")
	s.Size(&no.bytes, "max-bytes-per-file", 0, maxBytes, "files grow with the write rate, up to 64MiB")
	scanMax, scanCount := 4, 20
	s.Int(&scanMax, "queue-scan-worker-pool-max", 0, 1<<30, "timeouts are not found by scanning")
	s.Int(&scanCount, "queue-scan-selection-count", 0, 1<<30, "timeouts are not found by scanning")
	nodeID := 0
	s.Int(&nodeID, "node-id", 0, 1023, "message ids are offsets")
	s.alias("node-id", "id")
	s.Ignored("worker-id", "old name of node-id")
	s.Ignored("verbose", "old, see --log-level")
	no.text = "[nsqd] "
	s.String(&no.text, "log-prefix", "TEXT", "lines of the log have no prefix")
	s.Ignored("use-unix-sockets", "the path of a socket is known by its form")
	s.List(&no.texts, "enable-experiment", "NAME", "zones are told to clients, delivery does not look at them")

	var given string
	s.shows("data-path", func() any { return given })
	s.finish = func() error {
		if given = o.DataPath; given == "" {
			o.DataPath = "."
		}
		if o.Advertise == "" {
			hostname, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("nsqd: --broadcast-address is not given, and there is no host name: %w", err)
			}
			o.Advertise = hostname
		}
		finishSecurity(o)
		return n.finish(s)
	}
	return s
}
