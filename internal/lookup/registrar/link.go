package registrar

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// How long a link waits before it dials again: firstPause after a connection that lasted, then twice as long each time.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	lasted     = 10 * time.Second
)

// link keeps one lookup service up to date.
type link struct {
	registrar *Registrar
	address   string
	log       *slog.Logger
	ctx       context.Context
	cancel    context.CancelFunc
	nudgeC    chan struct{} // cap 1: there may be something to tell
	// service is who is at the other end, nil while that is not known.
	service atomic.Pointer[lookupwire.Service]
	// registered says that the service has been told everything.
	registered atomic.Bool
	// suspect asks for a PING at the next nudge: the service did not answer over HTTP.
	suspect atomic.Bool
}

func newLink(r *Registrar, address string) *link {
	l := &link{registrar: r, address: address, nudgeC: make(chan struct{}, 1)}
	l.log = r.options.Logger.With(slog.String("lookup", address))
	l.ctx, l.cancel = context.WithCancel(r.ctx)
	return l
}

// nudge makes the link look whether there is something to tell.
func (l *link) nudge() {
	select {
	case l.nudgeC <- struct{}{}:
	default:
	}
}

// run connects again and again until the link is cancelled. Only the first failure in a row is a warning.
func (l *link) run(source Source, peer lookupwire.Peer) {
	defer l.cancel()
	pause, warned := firstPause, false
	for {
		begun := time.Now()
		registered, err := l.session(source, peer)
		l.service.Store(nil)
		l.registered.Store(false)
		if l.ctx.Err() != nil {
			return
		}
		level := slog.LevelWarn
		if warned && !registered {
			level = slog.LevelDebug
		}
		warned = true
		l.log.Log(l.ctx, level, "not registered with a lookup service: consumers may not find this node by it; trying again until it answers",
			slog.Any("reason", err))
		if time.Since(begun) > lasted {
			pause = firstPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-l.ctx.Done():
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// session is the life of one connection. It reports whether the service once knew everything, and why the connection ended.
func (l *link) session(source Source, peer lookupwire.Peer) (registered bool, err error) {
	conn, err := dial(l.ctx, l.address, &l.registrar.options)
	if err != nil {
		return false, err
	}
	defer conn.close()
	service, err := conn.identify(peer)
	if err != nil {
		return false, err
	}
	l.service.Store(&service)
	known := make(told)
	ping := time.NewTicker(l.registrar.options.PingInterval)
	defer ping.Stop()
	for {
		if err := conn.ask(known.update(source.Advertised())); err != nil {
			return registered, err
		}
		if !registered {
			registered = true
			l.registered.Store(true)
			l.log.Info("registered with a lookup service", slog.Int("topics", len(known)), slog.String("version", service.Version))
		}
		pinging := false
		select {
		case <-ping.C:
			pinging = true
		case <-l.nudgeC:
			pinging = l.suspect.Swap(false)
		case err := <-conn.failedC:
			return registered, err
		case data := <-conn.answerC:
			return registered, fmt.Errorf("an answer to nothing: %.128q", data)
		case <-l.ctx.Done():
			return registered, l.ctx.Err()
		}
		if pinging {
			if err := conn.ask([][]byte{lookupwire.AppendPing(nil)}); err != nil {
				return registered, err
			}
		}
	}
}
