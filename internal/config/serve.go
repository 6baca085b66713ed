package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/nsqtcp"
)

// NSQ's ports.
const (
	tcpPort  = "4150"
	httpPort = "4151"
)

// Highest values that make sense; they keep a typing error from becoming an allocation.
const (
	maxDuration = 10 * 365 * 24 * time.Hour
	maxBytes    = 1 << 50
)

// Node is what the two commands that run a node read: the node's options, and how to log.
type Node struct {
	Options     node.Options
	LogLevel    slog.LevelVar
	LogFormat   string // text or json
	ShowVersion bool
}

// Serve returns the settings of `weir serve`, bound to n.
func Serve(n *Node) *Set {
	n.Options = node.DefaultOptions()
	n.LogFormat = "text"
	n.Options.TCPAddress, n.Options.HTTPAddress, n.Options.HTTPSAddress, n.Options.Advertise = "", "", "", ""
	o := &n.Options
	s := NewSet("weir serve")
	s.Group("Where")
	s.Func("data-path", "DIR", o.DataPath, "the path of a directory", "data directory, made if it is missing", notEmpty(&o.DataPath))
	listen := "127.0.0.1"
	s.Func("listen", "HOST", listen, "a host name or an IP address, without a port; 0.0.0.0 for all interfaces",
		"host that all doors listen at; 0.0.0.0 lets everybody in", host(&listen))
	s.Func("tcp-address", "HOST:PORT", "LISTEN:"+tcpPort, addressForm, "NSQ's TCP protocol", address(&o.TCPAddress))
	s.Func("http-address", "HOST:PORT", "LISTEN:"+httpPort, addressForm, "NSQ's HTTP API, metrics", address(&o.HTTPAddress))
	s.Func("https-address", "HOST:PORT", "LISTEN:"+httpsPort, addressForm, "the same by TLS, if there is --tls-cert", address(&o.HTTPSAddress))
	s.String(&o.Advertise, "advertise", "HOST", "host that others are told to reach this node by (default: that of --listen)")
	ports(s, o)
	topology(s, o)
	s.File()
	s.Group("Discovery")
	lookups(s, o)
	s.Func("discovery-tcp-address", "HOST:PORT", "LISTEN:"+lookupTCPPort, addressForm+"; empty: no lookup service here",
		"this node's lookup service, where brokers register; empty: none", orNothing(&o.DiscoveryTCPAddress, address(&o.DiscoveryTCPAddress)))
	s.Func("discovery-http-address", "HOST:PORT", "LISTEN:"+lookupHTTPPort, addressForm, "this node's lookup service, where consumers ask",
		address(&o.DiscoveryHTTPAddress))
	s.Group("Admin page")
	adminToken := adminPage(s, o)
	s.Group("Cluster")
	cluster(s, o)
	s.Group("Durability and space")
	syncPolicy(s, o)
	retention(s, o)
	s.Size(&o.Store.CacheBytes, "cache-size", 1<<20, maxBytes, "memory for the newest messages of all topics")
	s.Size(&o.MemoryLimit, "mem-limit", 0, maxBytes, "soft limit of memory; 0: a quarter above what is needed, at least 48MiB")
	s.Group("Security")
	tlsFiles(s, o, "tls1.2")
	authServers(s, o)
	httpTokens(s, o)
	s.Group("Limits")
	limits(s, o)
	compression(s, o)
	s.Group("Statistics")
	statistics(s, o)
	s.Group("Logging")
	logLevelVar(s, &n.LogLevel)
	s.OneOf(&n.LogFormat, "log-format", []string{"text", "json"}, "form of the log on stderr")
	s.shows("tcp-address", func() any { return o.TCPAddress })
	s.shows("http-address", func() any { return o.HTTPAddress })
	s.shows("https-address", func() any { return o.HTTPSAddress })
	s.finish = func() error {
		fillAddress(&o.TCPAddress, listen, tcpPort)
		fillAddress(&o.HTTPAddress, listen, httpPort)
		fillAddress(&o.HTTPSAddress, listen, httpsPort)
		fillAddress(&o.Cluster.PeerAddress, listen, peerPort)
		fillAddress(&o.Cluster.GossipAddress, listen, gossipPort)
		finishSecurity(o)
		fillAddress(&o.DiscoveryHTTPAddress, listen, lookupHTTPPort)
		if s.byName["discovery-tcp-address"].source == "" {
			fillAddress(&o.DiscoveryTCPAddress, listen, lookupTCPPort)
		}
		if s.byName["admin-address"].source == "" {
			fillAddress(&o.Admin.Address, listen, adminPort)
			o.Admin.Optional = true
		}
		var err error
		if o.Admin.Page.Tokens, err = readTokens(s, *adminToken); err != nil {
			return err
		}
		if o.Advertise == "" && !isWildcard(listen) {
			o.Advertise = listen
		}
		if err := checkOrder(s, &o.TCP); err != nil {
			return err
		}
		return n.finish(s)
	}
	return s
}

// ports defines the ports that others are told, for nodes behind a port mapping.
func ports(s *Set, o *node.Options) {
	s.Int(&o.BroadcastTCPPort, "broadcast-tcp-port", 0, 65535, "TCP port that others are told; 0: the one that is listened at")
	s.Int(&o.BroadcastHTTPPort, "broadcast-http-port", 0, 65535, "HTTP port that others are told; 0: the one that is listened at")
}

// lookups defines the lookup services of others.
func lookups(s *Set, o *node.Options) {
	s.List(&o.LookupAddresses, "lookupd-tcp-address", "HOST:PORT", "lookup service to register with, tls://HOST:PORT by TLS; may be repeated")
	s.alias("lookupd-tcp-address", "nsqlookupd_tcp_addresses")
	st := s.byName["lookupd-tcp-address"]
	add := st.set
	st.accepts = "HOST:PORT or tls://HOST:PORT"
	st.set = func(v string) error {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(v, "tls://"))
		if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" {
			return errValue
		}
		return add(v)
	}
}

// topology defines where the node says that it is.
func topology(s *Set, o *node.Options) {
	s.String(&o.TCP.TopologyRegion, "topology-region", "TEXT", "region of this node, told to clients; delivery does not look at it")
	s.String(&o.TCP.TopologyZone, "topology-zone", "TEXT", "zone of this node, told to clients; delivery does not look at it")
}

// syncPolicy defines --sync.
func syncPolicy(s *Set, o *node.Options) {
	s.Func("sync", "always|os|DURATION", o.Store.Sync.String(), "always, os, or a duration above 0 such as 100ms",
		"when OK is answered: synced to disk; in the page cache; synced within DURATION",
		func(v string) error {
			policy, err := commitlog.ParseSyncPolicy(v)
			o.Store.Sync = policy
			return err
		})
}

// retention defines --retain and --retain-bytes. The broker takes "not at all" as a negative duration.
func retention(s *Set, o *node.Options) {
	s.Func("retain", "DURATION", durationText(o.Broker.Retain), "0 or a duration such as 24h",
		"how long finished messages are kept for replay, while there is space; 0: not at all",
		func(v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 || d > maxDuration {
				return errValue
			}
			o.Broker.Retain = d
			if d == 0 {
				o.Broker.Retain = -1
			}
			return nil
		})
	s.Size(&o.Broker.RetainBytes, "retain-bytes", 1<<20, maxBytes, "most that is kept of a topic only for replay")
}

// limits defines the limits of messages and clients; names and defaults are nsqd's.
func limits(s *Set, o *node.Options) {
	t := &o.TCP
	size(s, &t.MaxMsgSize, "max-msg-size", 1, node.MaxBodyBytes, "largest message")
	size(s, &t.MaxBodySize, "max-body-size", 1, node.MaxBodyBytes, "largest body of one command")
	s.Duration(&t.MsgTimeout, "msg-timeout", time.Millisecond, maxDuration, "how long a message may be in flight")
	s.Duration(&t.MaxMsgTimeout, "max-msg-timeout", time.Millisecond, maxDuration, "longest in-flight time that a client may ask for")
	s.Duration(&t.MaxReqTimeout, "max-req-timeout", time.Millisecond, maxDuration, "longest delay of REQ and DPUB")
	s.Duration(&t.MaxHeartbeatInterval, "max-heartbeat-interval", time.Second, time.Hour, "longest time between heartbeats that a client may ask for")
	s.Int(&t.MaxRdyCount, "max-rdy-count", 1, 1<<30, "highest RDY")
	size(s, &t.MaxOutputBufferSize, "max-output-buffer-size", 64, 1<<30, "largest output buffer that a client may ask for")
	s.Duration(&t.OutputBufferTimeout, "output-buffer-timeout", time.Millisecond, time.Hour, "reported to clients; what is ready is sent at once")
	s.Duration(&t.MinOutputBufferTimeout, "min-output-buffer-timeout", time.Millisecond, time.Hour, "shortest that a client may ask for")
	s.Duration(&t.MaxOutputBufferTimeout, "max-output-buffer-timeout", time.Millisecond, time.Hour, "longest that a client may ask for")
	s.Int(&t.MaxConnections, "max-connections", 1, 1<<30, "most TCP connections at a time")
	s.Int(&o.Broker.MaxChannelConsumers, "max-channel-consumers", 0, 1<<30, "most consumers of one channel at this node; 0: no limit")
}

// size defines a Size that is held in an int.
func size(s *Set, p *int, name string, lowest, highest int64, usage string) {
	wide := int64(*p)
	s.Size(&wide, name, lowest, highest, usage)
	st := s.byName[name]
	set := st.set
	st.set = func(v string) error {
		err := set(v)
		*p = int(wide)
		return err
	}
}

// checkOrder refuses durations that contradict one another. `weir nsqd` takes them, as nsqd does.
func checkOrder(s *Set, t *nsqtcp.Options) error {
	for _, c := range []struct {
		low, high         time.Duration
		lowName, highName string
	}{
		{t.MsgTimeout, t.MaxMsgTimeout, "msg-timeout", "max-msg-timeout"},
		{t.OutputBufferTimeout, t.MaxOutputBufferTimeout, "output-buffer-timeout", "max-output-buffer-timeout"},
		{t.MinOutputBufferTimeout, t.OutputBufferTimeout, "min-output-buffer-timeout", "output-buffer-timeout"},
	} {
		if c.low > c.high {
			return s.Refuse(c.lowName, fmt.Sprintf("is %s", durationText(c.low)),
				fmt.Sprintf("at most --%s, which is %s", c.highName, durationText(c.high)))
		}
	}
	return nil
}

// finish completes and judges the whole.
func (n *Node) finish(s *Set) error {
	slices.SortFunc(n.Options.Broker.LatencyQuantiles, func(a, b float64) int { return cmp.Compare(b, a) }) // as nsqd lists them
	n.live(s)
	if err := n.Options.Validate(); err != nil {
		return &UsageError{Command: s.command, Where: "settings:", Problem: err.Error()}
	}
	return nil
}

// notEmpty takes any text but none.
func notEmpty(p *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return errValue
		}
		*p = v
		return nil
	}
}
