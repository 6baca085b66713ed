package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

const (
	minJoinPause = 500 * time.Millisecond
	maxJoinPause = 10 * time.Second
	// quietAttempts is how often a node may not answer before a line says so: it may just be starting.
	quietAttempts = 3
)

// Join replaces the list of addresses, host:port each, at which other nodes are looked for. It returns at once: addresses of
// which no node is alive are tried again for as long as the Gossip is open.
func (g *Gossip) Join(addresses []string) {
	g.mu.Lock()
	g.mu.join = slices.Clone(addresses)
	g.mu.Unlock()
	select {
	case g.joinC <- struct{}{}:
	default:
	}
}

// keepJoining looks for nodes of the list that are not alive as far as is known here.
func (g *Gossip) keepJoining() {
	failed := make(map[string]int)
	for pause := minJoinPause; g.ctx.Err() == nil; {
		missing := false
		for _, entry := range g.joinList() {
			err := g.joinOne(entry)
			if errors.Is(err, errClosed) {
				return
			}
			if err == nil {
				delete(failed, entry)
				continue
			}
			missing = true
			if failed[entry]++; failed[entry] >= quietAttempts {
				g.quiet.Warn("join "+entry, "a node of --join does not answer; trying on", "address", entry, "error", err)
			}
		}
		if pause = min(2*pause, maxJoinPause); !missing {
			pause = maxJoinPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-g.joinC:
			pause = minJoinPause
			clear(failed)
		case <-g.ctx.Done():
		}
		timer.Stop()
	}
}

func (g *Gossip) joinList() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.join
}

// joinOne meets the node at an address, unless it is known to be alive.
func (g *Gossip) joinOne(entry string) error {
	if g.ctx.Err() != nil {
		return errClosed
	}
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return err
	}
	for _, ip := range ips {
		address := net.JoinHostPort(ip, port)
		if g.alive(address) {
			return nil
		}
		var n int
		if n, err = g.list.Join([]string{address}); n > 0 {
			return nil
		}
	}
	if single := errors.Unwrap(err); single != nil {
		err = single // of the list of errors that memberlist makes, which has several lines
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it closed the connection: was it started with another --cluster-key? %w", err)
	}
	return err
}

// alive reports whether a node that is alive gossips from the address.
func (g *Gossip) alive(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.mu.members {
		if m.State == Alive && m.Address == address {
			return true
		}
	}
	return false
}
