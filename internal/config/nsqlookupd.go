package config

import (
	"log/slog"
	"math"
	"time"

	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/tlsconf"
)

// The ports of NSQ's lookup service.
const (
	lookupTCPPort  = "4160"
	lookupHTTPPort = "4161"
)

// Lookup is what `weir nsqlookupd` reads: where the service listens, its options, and how to log.
type Lookup struct {
	TCPAddress  string
	HTTPAddress string
	Options     lookupd.Options // TLS is opened by the command
	TLS         tlsconf.Options
	TokenFile   string // for Options.Guard, likewise; empty: there is none
	LogLevel    slog.Level
	LogFormat   string // text or json
	ShowVersion bool
}

// Nsqlookupd returns the settings of `weir nsqlookupd`: nsqlookupd's names and defaults, and limits.
func Nsqlookupd(l *Lookup) *Set {
	l.TCPAddress, l.HTTPAddress, l.LogFormat = "0.0.0.0:"+lookupTCPPort, "0.0.0.0:"+lookupHTTPPort, "text"
	o := &l.Options
	*o = lookupd.DefaultOptions()
	var no ignored

	s := NewSet("nsqlookupd")
	s.Group("As in nsqlookupd")
	s.File()
	s.Version(&l.ShowVersion)
	s.Func("tcp-address", "HOST:PORT", l.TCPAddress, addressForm, "where brokers register", address(&l.TCPAddress))
	s.Func("http-address", "HOST:PORT", l.HTTPAddress, addressForm, "where consumers and nsqadmin ask", address(&l.HTTPAddress))
	s.String(&o.BroadcastAddress, "broadcast-address", "HOST", "host that brokers are told to reach the HTTP API by (default: the host name)")
	s.Duration(&o.InactiveProducerTimeout, "inactive-producer-timeout", time.Millisecond, maxDuration, "how long a broker may say nothing before consumers are not told of it")
	s.Duration(&o.TombstoneLifetime, "tombstone-lifetime", time.Millisecond, maxDuration, "how long a tombstone hides a broker from a topic")
	LogLevel(s, &l.LogLevel)

	s.Group("Weir's own")
	certificates(s, &l.TLS, "tls1.2")
	s.Bool(&o.TLSRequired, "tls-required", "refuse brokers and consumers that speak in the clear")
	s.String(&l.TokenFile, "http-auth-token-file", "FILE", "tokens, one in a line, that HTTP requests must show which change something; a changed file is taken into use")
	s.Int(&o.MaxConnections, "max-connections", 1, 1<<30, "most brokers, and most HTTP connections, at a time")
	s.Int(&o.MaxRegistrations, "max-registrations", 1, math.MaxInt32, "most topics, channels, and brokers that have one, in sum")
	s.OneOf(&l.LogFormat, "log-format", []string{"text", "json"}, "form of the log on stderr")

	s.Group("Of nsqlookupd, accepted, but without a meaning here")
	s.Ignored("verbose", "old, see --log-level")
	s.String(&no.text, "log-prefix", "TEXT", "lines of the log have no prefix")
	s.finish = func() error {
		o.TLSRequired = o.TLSRequired || l.TLS.ClientAuth != tlsconf.NoClientCert
		if o.TLSRequired && !l.TLS.HasCertificate() {
			return s.Refuse("tls-required", "cannot be kept without a certificate", "--tls-cert and --tls-key beside it")
		}
		if err := l.TLS.Validate(); err != nil {
			return &UsageError{Command: s.command, Where: "settings:", Problem: err.Error()}
		}
		return nil
	}
	return s
}
