package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

const minBackOff = 10 * time.Millisecond

// link keeps up the connection of one lane to one peer. Its goroutine dials, serves and dials again; that of the control lane is
// also the only one that tells when the peer is up and down.
type link struct {
	t    *Transport
	to   catalog.NodeID
	lane Lane

	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	kickC  chan struct{} // dial now
	doneC  chan struct{} // closed when run has ended

	life    Life                    // of the process last connected to; used by run only
	current atomic.Pointer[session] // nil while there is no connection
	heard   atomic.Int64            // when something last came in, in ns since Transport.started
	rtt     atomic.Int64            // ns

	mu struct {
		sync.Mutex
		address string
		problem string
		up      bool
	}
}

func newLink(t *Transport, to catalog.NodeID, lane Lane, address string) *link {
	l := &link{t: t, to: to, lane: lane, kickC: make(chan struct{}, 1), doneC: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	l.mu.address = address
	l.mu.problem = "not dialled yet"
	return l
}

// run dials and serves until stop.
func (l *link) run() {
	defer close(l.doneC)
	defer l.setUp(false)
	wait := minBackOff
	for l.ctx.Err() == nil {
		begun := time.Now()
		err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		if err == nil && time.Since(begun) > l.t.opts.Limits.MaxBackOff {
			wait = minBackOff
			continue // dial again at once: a refusal tells that the process is gone
		}
		l.note(err)
		if isRefusedDial(err) || errors.Is(err, errRefused) || l.silence() > l.t.opts.Limits.HeartbeatTimeout {
			l.setUp(false)
		}
		l.pause(wait)
		wait = min(2*wait, l.t.opts.Limits.MaxBackOff)
	}
}

// connect dials and, if that works, serves the connection until it breaks and returns nil.
func (l *link) connect() error {
	l.mu.Lock()
	address := l.mu.address
	l.mu.Unlock()
	conn, life, err := l.t.dial(l.ctx, l.to, l.lane, address)
	if err != nil {
		return err
	}
	defer l.t.release(conn)
	if life != l.life {
		l.setUp(false) // it was started anew, faster than its death was seen
		l.life = life
	}
	s := newSession(l, conn)
	l.heardNow()
	l.current.Store(s)
	l.mu.Lock()
	l.mu.problem = ""
	moved := l.mu.address != address
	l.mu.Unlock()
	if moved {
		s.fail(errAddressChanged)
	}
	l.setUp(true)
	err = s.serve()
	l.current.Store(nil)
	s.end(err)
	l.note(err)
	if l.silence() > l.t.opts.Limits.HeartbeatTimeout {
		l.setUp(false)
	}
	return nil
}

// pause waits for the back-off, with jitter, or for a reason to dial now.
func (l *link) pause(wait time.Duration) {
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.kickC:
	case <-l.ctx.Done():
	}
}

// kick ends a back-off: the peer has just shown that it is there.
func (l *link) kick() {
	select {
	case l.kickC <- struct{}{}:
	default:
	}
}

// stop ends the link and waits for it.
func (l *link) stop() {
	l.cancel()
	if s := l.current.Load(); s != nil {
		s.fail(context.Canceled)
	}
	<-l.doneC
}

func (l *link) setAddress(address string) {
	l.mu.Lock()
	changed := l.mu.address != address
	l.mu.address = address
	l.mu.Unlock()
	if !changed {
		return
	}
	if s := l.current.Load(); s != nil {
		s.fail(errAddressChanged)
	}
	l.kick()
}

// setUp tells the handler when the control lane's state changes.
func (l *link) setUp(up bool) {
	if l.lane != Control {
		return
	}
	l.mu.Lock()
	changed := l.mu.up != up
	l.mu.up = up
	l.mu.Unlock()
	if !changed {
		return
	}
	tell := l.t.opts.Handler.PeerDown
	if up {
		tell = l.t.opts.Handler.PeerUp
	} else if p := l.t.peer(l.to); p != nil {
		// What the other lane has under way would only end with its own, longer timeout.
		if s := p.links[Append].current.Load(); s != nil {
			s.fail(errPeerDown)
		}
	}
	l.t.logger.Debug("peer", "node", l.to, "up", up)
	if tell != nil {
		tell(l.to)
	}
}

// note keeps why the lane is not connected, and logs it.
func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || l.ctx.Err() != nil {
		return
	}
	if l.lane == Control {
		l.t.quiet.Warn(fmt.Sprint("dial ", l.to, cause(err)), "no connection to a node of the cluster", "node", l.to, "address", l.mu.address, "error", err)
	}
	l.mu.problem = err.Error()
}

func (l *link) heardNow() { l.heard.Store(int64(time.Since(l.t.started))) }

// silence is how long nothing was heard.
func (l *link) silence() time.Duration {
	return time.Since(l.t.started) - time.Duration(l.heard.Load())
}

// patience is how long nothing may be heard before the connection is broken. A loaded append lane answers later.
func (l *link) patience() time.Duration {
	if l.lane == Control {
		return l.t.opts.Limits.HeartbeatTimeout
	}
	return 5 * l.t.opts.Limits.HeartbeatTimeout
}

func (l *link) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Status{Node: l.to, Address: l.mu.address, Up: l.mu.up, RTT: time.Duration(l.rtt.Load()), Problem: l.mu.problem}
}
