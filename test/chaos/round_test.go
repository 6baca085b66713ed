//go:build process

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
)

// Bounds of what follows a fault.
const (
	healPatience   = 20 * time.Second // until each partition is led again, after the fault is over
	returnPatience = 40 * time.Second // until the preferred nodes lead, all nodes being there
	refusePatience = 8 * time.Second  // until a publisher hears that there is no majority
	acceptPatience = 10 * time.Second // until the majority takes messages again
	stopPatience   = 20 * time.Second
	settleTime     = time.Second // after healing, for commands that were on their way
)

// round is one cluster and the scenarios that it goes through, one after the other.
type round struct {
	ctx     context.Context // ends with Ctrl-C
	seed    uint64
	rng     *rand.Rand
	cluster *cluster
	traffic *traffic
	disturb disturbances
	short   bool
	notes   string // what the running scenario tells of itself
	report  *history.Report
	moved   struct {
		stopC   chan struct{}
		running sync.WaitGroup
	}
}

// result is what became of one scenario.
type result struct {
	scenario string
	notes    string
	fault    time.Duration // how long it lasted
	led      time.Duration // from its end until all partitions were led
	returned time.Duration // and by the preferred nodes
	err      error
}

// newRound forms a cluster of some nodes with data below dir and begins the traffic.
func newRound(ctx context.Context, seed uint64, nodes int, short bool, dir string) (*round, error) {
	r := &round{ctx: ctx, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), short: short}
	var err error
	if r.cluster, err = newCluster(nodes, dir, r.rng); err != nil {
		return nil, err
	}
	if err = r.cluster.form("work", "audit"); err == nil {
		r.traffic, err = startTraffic(r.cluster, seed)
	}
	if err != nil {
		return r, err
	}
	r.moved.stopC = make(chan struct{})
	for _, n := range r.cluster.nodes {
		r.moved.running.Go(func() { r.disturb.watch(n, r.moved.stopC) })
	}
	return r, nil
}

// run goes through one scenario and judges all but the history.
func (r *round) run(s scenario) result {
	res := result{scenario: s.name}
	if _, res.err = r.cluster.awaitLed(true, returnPatience); res.err != nil {
		res.err = fmt.Errorf("before it: %w", res.err)
		return res
	}
	r.sleep(500*time.Millisecond, 500*time.Millisecond)
	r.notes = ""
	begun := time.Now()
	res.err = s.run(r)
	r.cluster.heal()
	res.fault, res.notes = time.Since(begun), r.notes
	var err error
	res.led, err = r.cluster.awaitLed(false, healPatience)
	res.err = errors.Join(res.err, err)
	time.Sleep(settleTime)
	r.disturb.Add(begun, time.Now())
	if res.err == nil {
		res.returned, res.err = r.cluster.awaitLed(true, returnPatience)
		res.returned += res.led
	}
	for _, n := range r.cluster.nodes {
		if accepted, took, err := r.traffic.ask(n, acceptPatience); !accepted && res.err == nil {
			res.err = fmt.Errorf("healed, node %d refuses a message after %v: %w", n.id, took.Round(time.Millisecond), err)
		}
		if fault := n.fault(); fault != "" {
			res.err = errors.Join(res.err, errors.New(fault))
		}
	}
	return res
}

// finish ends the traffic, judges the history, stops the nodes and reads their logs.
func (r *round) finish() error {
	r.traffic.stopPublishing()
	r.report = r.traffic.drain(&r.disturb)
	r.traffic.stopConsuming()
	close(r.moved.stopC)
	r.moved.running.Wait()
	err := r.report.Err()
	for _, n := range r.cluster.nodes {
		if e := n.stop(stopPatience); e != nil {
			err = errors.Join(err, fmt.Errorf("stop node %d: %w", n.id, e))
		}
	}
	for _, n := range r.cluster.nodes {
		err = errors.Join(err, n.verify())
	}
	return err
}

// sleep waits for a time between two, or until somebody presses Ctrl-C.
func (r *round) sleep(least, most time.Duration) {
	d := least
	if most > least {
		d += time.Duration(r.rng.Int64N(int64(most - least)))
	}
	if r.short {
		d = min(d, max(least, most/3))
	}
	select {
	case <-r.ctx.Done():
	case <-time.After(d):
	}
}

// note adds to what the scenario's line in the table tells.
func (r *round) note(format string, args ...any) {
	if r.notes != "" {
		r.notes += ", "
	}
	r.notes += fmt.Sprintf(format, args...)
}

// pick returns a node drawn by chance.
func (r *round) pick() *node { return r.cluster.nodes[r.rng.IntN(len(r.cluster.nodes))] }

// others returns all nodes but some.
func (r *round) others(but ...*node) (rest []*node) {
	for _, n := range r.cluster.nodes {
		is := false
		for _, b := range but {
			is = is || b == n
		}
		if !is {
			rest = append(rest, n)
		}
	}
	return rest
}

// shuffled returns all nodes in an order drawn by chance.
func (r *round) shuffled() []*node {
	var list []*node
	for _, i := range r.rng.Perm(len(r.cluster.nodes)) {
		list = append(list, r.cluster.nodes[i])
	}
	return list
}

// mustAccept demands that each of some nodes, which reach a majority, soon takes a message, and notes how long the slowest took.
func (r *round) mustAccept(nodes []*node) error {
	begun := time.Now()
	for _, n := range nodes {
		for {
			accepted, _, err := r.traffic.ask(n, refusePatience)
			if accepted {
				break
			}
			if time.Since(begun) > acceptPatience {
				return fmt.Errorf("%v into the fault node %d, which reaches a majority, still refuses: %w", time.Since(begun).Round(time.Millisecond), n.id, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	r.note("taken after %v", time.Since(begun).Round(time.Millisecond))
	return nil
}

// mustRefuse demands for a while that nodes which reach no majority answer publishers with an error, and soon.
func (r *round) mustRefuse(nodes []*node, least, most time.Duration) error {
	end := r.traffic.expectNoOK(nodes)
	over := make(chan struct{})
	var asking sync.WaitGroup
	var mu sync.Mutex
	var broken error
	var slowest time.Duration
	refused := 0
	for _, n := range nodes {
		asking.Go(func() {
			for {
				accepted, took, err := r.traffic.ask(n, refusePatience+2*time.Second)
				mu.Lock()
				refused++
				slowest = max(slowest, took)
				if accepted {
					broken = errors.Join(broken, fmt.Errorf("node %d, without a majority, answered OK", n.id))
				} else if took > refusePatience {
					broken = errors.Join(broken, fmt.Errorf("node %d, without a majority, took %v to answer: %w", n.id, took, err))
				}
				mu.Unlock()
				select {
				case <-over:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	r.sleep(least, most)
	close(over)
	asking.Wait()
	r.note("%d refused within %v", refused, slowest.Round(time.Millisecond))
	return errors.Join(broken, end())
}
