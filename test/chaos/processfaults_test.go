//go:build process

package chaos

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// restart starts nodes that are down.
func restart(nodes []*node) (err error) {
	for _, n := range nodes {
		err = errors.Join(err, n.start())
	}
	return err
}

// during kills nodes, checks something meanwhile, and starts them again.
func during(dead []*node, check func() error) error {
	for _, n := range dead {
		n.kill()
	}
	err := check()
	return errors.Join(err, restart(dead))
}

func (r *round) killOne() error { return r.killNode(r.pick()) }

func (r *round) killNode(victim *node) error {
	r.note("node %d", victim.id)
	return during([]*node{victim}, func() error {
		if _, err := r.cluster.awaitLed(false, acceptPatience); err != nil {
			return err
		}
		err := r.mustAccept(r.others(victim))
		r.sleep(200*time.Millisecond, 4*time.Second)
		return err
	})
}

// killLeader kills the node that leads the catalog.
func (r *round) killLeader() error {
	var leader catalog.NodeID
	view, err := r.cluster.nodes[0].view()
	if err != nil {
		return err
	}
	for _, p := range view.Partitions {
		if p.Topic == "" {
			leader = p.Leader
		}
	}
	for _, n := range r.cluster.nodes {
		if n.id == leader {
			return r.killNode(n)
		}
	}
	return fmt.Errorf("the catalog is led by node %d", leader)
}

// killMajority leaves too few nodes for any partition; publishing goes on when one is back.
func (r *round) killMajority() error {
	nodes := r.shuffled()
	dead := nodes[:len(nodes)-1]
	err := during(dead[1:], func() error {
		return during(dead[:1], func() error { return r.mustRefuse(nodes[len(nodes)-1:], 3*time.Second, 6*time.Second) })
	})
	return err
}

// killAll kills all nodes at once.
func (r *round) killAll() error {
	return during(r.cluster.nodes, func() error {
		r.sleep(100*time.Millisecond, time.Second)
		return nil
	})
}

// freezeOne stops a process for longer than all timeouts of its peers.
func (r *round) freezeOne() error {
	victim := r.pick()
	r.note("node %d", victim.id)
	return r.frozen([]*node{victim}, func() error {
		if err := r.mustAccept(r.others(victim)); err != nil {
			return err
		}
		r.sleep(3*time.Second, 8*time.Second)
		return nil
	})
}

// freezeMajority leaves one node awake.
func (r *round) freezeMajority() error {
	nodes := r.shuffled()
	return r.frozen(nodes[1:], func() error { return r.mustRefuse(nodes[:1], 3*time.Second, 6*time.Second) })
}

func (r *round) frozen(nodes []*node, check func() error) (err error) {
	for _, n := range nodes {
		err = errors.Join(err, n.signal(syscall.SIGSTOP))
	}
	time.Sleep(50 * time.Millisecond) // the signal stops thread after thread
	err = errors.Join(err, check())
	for _, n := range nodes {
		err = errors.Join(err, n.signal(syscall.SIGCONT))
	}
	return err
}

// stopOne stops a node as its service manager does.
func (r *round) stopOne() error {
	leaving := r.pick()
	r.note("node %d", leaving.id)
	if err := leaving.stop(stopPatience); err != nil {
		return errors.Join(err, leaving.start())
	}
	err := r.mustAccept(r.others(leaving))
	r.sleep(200*time.Millisecond, 3*time.Second)
	return errors.Join(err, leaving.start())
}
