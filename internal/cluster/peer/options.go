package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// Lane is one of the connections between two nodes.
type Lane uint8

const (
	// Control carries what is small and urgent: votes, heartbeats, changes.
	Control Lane = 0
	// Append carries entries and forwarded batches.
	Append Lane = 1

	bulk Lane = 2 // a Stream's own connection
)

// lanes is how many are kept up for each peer.
const lanes = 2

func (l Lane) String() string {
	switch l {
	case Control:
		return "control"
	case Append:
		return "append"
	case bulk:
		return "bulk"
	}
	return fmt.Sprintf("lane %d", uint8(l))
}

// Life is one run of a node's process.
type Life struct {
	// Number counts the node's starts, durably.
	Number uint32
	// Nonce is drawn at random at each start. It tells two processes apart that were started from two copies of one disk.
	Nonce uint64
}

// Options are a Transport's settings.
type Options struct {
	Self      catalog.NodeID // required
	ClusterID uint64         // required
	Life      Life           // of this process
	// Lives are the highest lives of other nodes that were seen before this process started.
	Lives map[catalog.NodeID]Life
	// Remembers reports whether an earlier life is one of this node's own. nil: all are.
	Remembers func(Life) bool
	// Version of this program, for the lines that tell of a refusal.
	Version string
	// TLS is used for both directions: it must have a certificate and verify the other side's. nil: no TLS.
	TLS     *tls.Config
	Logger  *slog.Logger // default: none
	Limits  Limits
	Handler Handler
}

// Limits bound what a Transport keeps and waits for. Zero fields mean the defaults.
type Limits struct {
	FrameBytes       int           // largest payload of a frame; default 64 MiB
	ControlBytes     int           // that may wait to be sent on a control lane; default 8 MiB
	AppendBytes      int           // that may wait to be sent on an append lane; default 64 MiB
	Calls            int           // without an answer, on a connection (their bytes: as those of the lane); default 65536
	Streams          int           // served at a time by this node; default 8
	Unidentified     int           // accepted connections whose hello is still awaited; default 64
	BulkBytes        int           // a second, of all streams that this node serves; default 200 MB; negative: unlimited
	DialTimeout      time.Duration // for the connection and hellos; default 2 s
	WriteTimeout     time.Duration // a megabyte must be gone by then; default 10 s
	Heartbeat        time.Duration // between pings; default 300 ms
	HeartbeatTimeout time.Duration // without any answer a peer is down; default 2 s
	MaxBackOff       time.Duration // between attempts to dial; default 1 s
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.FrameBytes, 64 << 20}, {&l.ControlBytes, 8 << 20}, {&l.AppendBytes, 64 << 20}, {&l.Calls, 1 << 16},
		{&l.Streams, 8}, {&l.Unidentified, 64}, {&l.BulkBytes, 200e6},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.DialTimeout, 2 * time.Second}, {&l.WriteTimeout, 10 * time.Second}, {&l.Heartbeat, 300 * time.Millisecond},
		{&l.HeartbeatTimeout, 2 * time.Second}, {&l.MaxBackOff, time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

func (l *Limits) queueBytes(lane Lane) int {
	if lane == Control {
		return l.ControlBytes
	}
	return l.AppendBytes
}

// Handler is told what comes in. A nil function ignores messages and refuses calls. Received and Called run on the goroutine
// that reads the connection: while one runs, nothing more of that peer and lane is read, so they must not block.
type Handler struct {
	// Received takes a message. The frame belongs to the handler. Messages of one peer and lane come in the order in which
	// they were sent, without repetition, but some may be missing.
	Received func(from catalog.NodeID, lane Lane, frame []byte)
	// Called takes a call, which must be answered in bounded time by Reply or Fail, from any goroutine.
	Called func(r Request)
	// Streamed writes a stream, on a goroutine of its own, and may block. The request belongs to the handler. Its error ends
	// the stream at the other end too.
	Streamed func(from catalog.NodeID, method uint8, request []byte, w io.Writer) error
	// PeerUp and PeerDown are told in turn for a peer, PeerUp first, one at a time. They must neither block nor call SetPeers.
	PeerUp   func(node catalog.NodeID)
	PeerDown func(node catalog.NodeID)
	// LifeSeen makes a higher life of a node durable, before anything of that life is taken. An error refuses the node. One
	// call at a time; it may block.
	LifeSeen func(node catalog.NodeID, life Life) error
}

// Validate names the first field that cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Self == 0:
		return errors.New("option Self: no node id")
	case o.ClusterID == 0:
		return errors.New("option ClusterID: no cluster id")
	case len(o.Version) > maxVersionBytes:
		return fmt.Errorf("option Version: longer than %d bytes", maxVersionBytes)
	case o.TLS != nil && len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil:
		return errors.New("option TLS: no certificate")
	case o.TLS != nil && o.TLS.InsecureSkipVerify && o.TLS.VerifyConnection == nil && o.TLS.VerifyPeerCertificate == nil:
		return errors.New("TLS: certificates are not verified")
	}
	return nil
}
