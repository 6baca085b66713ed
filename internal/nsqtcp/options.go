package nsqtcp

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/nsqwire"
)

// DefaultMaxConnections is how many TCP connections a server takes at a time unless told otherwise.
const DefaultMaxConnections = 65_536

// Options configure a Server. The zero value of a field means its default, which is that of nsqd's flag of the same name.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Version is what IDENTIFY reports; clients parse it as a semantic version. Default "1.3.0".
	Version string
	// MaxConnections bounds the connections at one time; further ones are closed at once. Default 65,536.
	MaxConnections int
	// MaxMsgSize bounds one message, in bytes. Default 1 MiB.
	MaxMsgSize int
	// MaxBodySize bounds the body of one command, in bytes. Default 5 MiB.
	MaxBodySize int
	// InputBytes bounds the read buffers of all sessions, as far as they are longer than 64 KiB each, in bytes. A publish that
	// would take more fails. Default 256 MiB, and never less than four of the largest bodies.
	InputBytes int64
	// MaxRdyCount bounds RDY. Default 2500.
	MaxRdyCount int
	// MsgTimeout is how long a message may be in flight if the client asks for nothing else. Default 60s.
	MsgTimeout time.Duration
	// MaxMsgTimeout bounds what a client may ask for. Default 15m.
	MaxMsgTimeout time.Duration
	// MaxReqTimeout bounds the delay of REQ and DPUB. Default 1h.
	MaxReqTimeout time.Duration
	// HeartbeatInterval is that of clients that ask for nothing else. Default 30s.
	HeartbeatInterval time.Duration
	// MaxHeartbeatInterval bounds what a client may ask for. Default 60s.
	MaxHeartbeatInterval time.Duration
	// MaxOutputBufferSize bounds the output buffer that a client may ask for, in bytes. Default 64 KiB.
	MaxOutputBufferSize int
	// OutputBufferTimeout is reported to clients that ask for nothing else. What is ready is sent at once whatever is agreed
	// on: the timeout is an upper bound. Default 250ms.
	OutputBufferTimeout time.Duration
	// MinOutputBufferTimeout and MaxOutputBufferTimeout bound what a client may ask for. Defaults 25ms, 30s.
	MinOutputBufferTimeout time.Duration
	MaxOutputBufferTimeout time.Duration
	// TLS is what clients get that ask for TLS. Default: none, they go on in the clear. See internal/tlsconf.
	TLS *tls.Config
	// TLSRequired refuses every command but IDENTIFY until a connection has TLS.
	TLSRequired bool
	// Authority says who may publish and consume what. Default: nobody is asked, everybody may do everything.
	Authority *auth.Authority
	// NoSnappy and NoDeflate let clients that ask for compression go on without.
	NoSnappy, NoDeflate bool
	// MaxDeflateLevel bounds what a client may ask for. Default 6.
	MaxDeflateLevel int
	// TopologyRegion and TopologyZone are where the node is, reported to clients. Default empty.
	TopologyRegion, TopologyZone string
}

// defaultOutputBufferSize is nsqd's, in bytes; it has no flag.
const defaultOutputBufferSize = 16 << 10

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Version = cmp.Or(o.Version, "1.3.0")
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.MaxMsgSize = cmp.Or(o.MaxMsgSize, 1<<20)
	o.MaxBodySize = cmp.Or(o.MaxBodySize, 5<<20)
	o.InputBytes = cmp.Or(o.InputBytes, 256<<20)
	o.InputBytes = max(o.InputBytes, 4*int64(max(o.MaxMsgSize, o.MaxBodySize)))
	o.MaxRdyCount = cmp.Or(o.MaxRdyCount, 2500)
	o.MsgTimeout = cmp.Or(o.MsgTimeout, time.Minute)
	o.MaxMsgTimeout = cmp.Or(o.MaxMsgTimeout, 15*time.Minute)
	o.MaxReqTimeout = cmp.Or(o.MaxReqTimeout, time.Hour)
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, 30*time.Second)
	o.MaxHeartbeatInterval = cmp.Or(o.MaxHeartbeatInterval, time.Minute)
	o.MaxOutputBufferSize = cmp.Or(o.MaxOutputBufferSize, 64<<10)
	o.OutputBufferTimeout = cmp.Or(o.OutputBufferTimeout, 250*time.Millisecond)
	o.MinOutputBufferTimeout = cmp.Or(o.MinOutputBufferTimeout, 25*time.Millisecond)
	o.MaxOutputBufferTimeout = cmp.Or(o.MaxOutputBufferTimeout, 30*time.Second)
	o.MaxDeflateLevel = cmp.Or(o.MaxDeflateLevel, 6)
}

// tenYears is longer than anybody waits.
const tenYears = 10 * 365 * 24 * time.Hour

// Validate names the first field that is out of range, defaults applied.
func (o *Options) Validate() error {
	v := *o
	v.setDefaults()
	for _, f := range []struct {
		name         string
		value, limit int64
	}{
		{"MaxConnections", int64(v.MaxConnections), 1 << 30},
		{"MaxMsgSize", int64(v.MaxMsgSize), 1 << 30},
		{"MaxBodySize", int64(v.MaxBodySize), 1 << 30},
		{"InputBytes", v.InputBytes, 1 << 50},
		{"MaxRdyCount", int64(v.MaxRdyCount), 1 << 30},
		{"MaxOutputBufferSize", int64(v.MaxOutputBufferSize), 1 << 30},
	} {
		if f.value < 1 || f.value > f.limit {
			return fmt.Errorf("%s %d: must be 1 to %d", f.name, f.value, f.limit)
		}
	}
	for _, f := range []struct {
		name         string
		value, limit time.Duration
	}{ // as in nsqd, the default of a value is not bound by the most that clients may ask for
		{"MsgTimeout", v.MsgTimeout, tenYears},
		{"MaxReqTimeout", v.MaxReqTimeout, tenYears},
		{"HeartbeatInterval", v.HeartbeatInterval, time.Hour},
		{"MinOutputBufferTimeout", v.MinOutputBufferTimeout, tenYears},
		{"OutputBufferTimeout", v.OutputBufferTimeout, tenYears},
	} {
		if f.value < time.Millisecond || f.value > f.limit {
			return fmt.Errorf("%s %v: must be 1ms to %v", f.name, f.value, f.limit)
		}
	}
	if v.MaxDeflateLevel < 1 || v.MaxDeflateLevel > 9 {
		return fmt.Errorf("MaxDeflateLevel %d: must be 1 to 9", v.MaxDeflateLevel)
	}
	if v.TLSRequired && v.TLS == nil {
		return errors.New("TLS is required, but there is no certificate")
	}
	return nil
}

// limits returns what bounds commands.
func (o *Options) limits() nsqwire.Limits {
	return nsqwire.Limits{
		MaxMsgSize: o.MaxMsgSize, MaxBodySize: o.MaxBodySize, MaxRdyCount: o.MaxRdyCount, MaxReqTimeout: o.MaxReqTimeout,
	}
}

// identifyLimits returns what bounds a client's wishes.
func (o *Options) identifyLimits() nsqwire.IdentifyLimits {
	return nsqwire.IdentifyLimits{
		MaxHeartbeatInterval:   o.MaxHeartbeatInterval,
		MaxOutputBufferSize:    o.MaxOutputBufferSize,
		MinOutputBufferTimeout: o.MinOutputBufferTimeout,
		MaxOutputBufferTimeout: o.MaxOutputBufferTimeout,
		MaxMsgTimeout:          o.MaxMsgTimeout,
	}
}

// terms returns what holds for a session before IDENTIFY.
func (o *Options) terms() nsqwire.Terms {
	return nsqwire.Terms{
		HeartbeatInterval:   o.HeartbeatInterval,
		OutputBufferSize:    min(defaultOutputBufferSize, o.MaxOutputBufferSize),
		OutputBufferTimeout: o.OutputBufferTimeout,
		MsgTimeout:          o.MsgTimeout,
	}
}
