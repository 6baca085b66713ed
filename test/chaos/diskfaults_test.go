//go:build process

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// fullDisk fills the small disk of the last node for a while.
func (r *round) fullDisk() error {
	n := r.cluster.nodes[len(r.cluster.nodes)-1]
	ballast := filepath.Join(filepath.Dir(n.dir), "ballast")
	if err := n.machine.do(func() error { return fill(ballast) }); err != nil {
		return err
	}
	err := r.mustAccept(r.others(n))
	r.sleep(2*time.Second, 5*time.Second)
	return errors.Join(err, n.machine.do(func() error { return os.Remove(ballast) }))
}

// fill writes a file until the disk is full.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for range smallDisk/len(block) + 1 {
		if _, err = file.Write(block); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk does not fill: %w", err)
	}
	return nil
}

// wipedDisk starts a node with an empty directory: it must not serve as if nothing had happened. Then it gets its data back.
func (r *round) wipedDisk() error {
	return r.withOtherData(r.pick(), func(aside, data string) error { return nil })
}

// outdatedDisk starts a node with an older copy of its data: it must not lead or serve. Then it gets its data back.
func (r *round) outdatedDisk() error {
	n := r.pick()
	n.kill()
	older := n.dir + ".older"
	err := n.machine.do(func() error { return os.CopyFS(older, os.DirFS(n.dir)) })
	defer n.machine.do(func() error { return os.RemoveAll(older) })
	if err = errors.Join(err, n.start()); err != nil {
		return err
	}
	if _, err := r.cluster.awaitLed(true, returnPatience); err != nil {
		return err
	}
	r.sleep(time.Second, 3*time.Second)
	return r.withOtherData(n, func(_, data string) error { return os.Rename(older, data) })
}

// withOtherData kills a node, lets replace make another data directory, and demands that the node does not serve while the others do.
func (r *round) withOtherData(n *node, replace func(aside, data string) error) error {
	r.note("node %d", n.id)
	n.kill()
	aside := n.dir + ".aside"
	err := n.machine.do(func() error {
		if err := os.Rename(n.dir, aside); err != nil {
			return err
		}
		return replace(aside, n.dir)
	})
	if err != nil {
		return err
	}
	if err = n.start(); err == nil {
		err = r.mustStayOut(n)
	}
	n.mu.Lock()
	n.mu.crash = "" // it may refuse to run
	n.mu.Unlock()
	n.kill()
	return errors.Join(err, n.machine.do(func() error {
		return errors.Join(os.RemoveAll(n.dir), os.Rename(aside, n.dir))
	}), n.start())
}

// mustStayOut demands that the others serve and that none of them sees the node lead.
func (r *round) mustStayOut(n *node) error {
	err := r.mustAccept(r.others(n))
	begun := time.Now()
	for hold := 3 * time.Second; time.Since(begun) < hold; time.Sleep(100 * time.Millisecond) {
		for _, other := range r.others(n) {
			view, e := other.view()
			if e != nil {
				continue
			}
			for _, p := range view.Partitions {
				if p.Leader == n.id {
					return errors.Join(err, fmt.Errorf("node %d, without its data, leads partition %d of %q in term %d", n.id, p.Partition, p.Topic, p.Term))
				}
			}
		}
	}
	if accepted, _, _ := r.traffic.ask(n, refusePatience); accepted {
		r.note("it relays")
	}
	return err
}

// damagedSegment changes a byte in the middle of a node's largest segment while it is down. The replica must be isolated and say so; what
// is damaged must never reach a consumer, which the history tells.
func (r *round) damagedSegment() error {
	n := r.pick()
	n.kill()
	var path string
	var at int64
	err := n.machine.do(func() (err error) {
		if path, at, err = n.middle(r.rng.Float64()); err == nil {
			err = invert(path, at)
		}
		return err
	})
	if err != nil {
		return errors.Join(err, n.start())
	}
	r.note("node %d, byte %d", n.id, at)
	if err := n.start(); err != nil {
		return err
	}
	err = r.mustAccept(r.others(n))
	r.sleep(3*time.Second, 5*time.Second)
	if _, e := r.cluster.awaitLed(true, 5*time.Second); e == nil {
		r.note("found later or rebuilt")
	} else if told := n.problems(); told == "" {
		err = errors.Join(err, fmt.Errorf("node %d with a damaged segment neither serves nor says why: %w", n.id, e))
	} else {
		r.note("isolated")
	}
	n.mu.Lock()
	n.mu.crash = "" // it may refuse to run
	n.mu.Unlock()
	n.kill()
	return errors.Join(err, n.machine.do(func() error { return invert(path, at) }), n.start())
}

// problems returns what the node says of its own replicas that are not well, and what it logs of damage.
func (n *node) problems() string {
	var told []string
	view, err := n.view()
	if err == nil {
		for _, p := range view.Partitions {
			if p.Problem != "" {
				told = append(told, p.Problem)
			}
		}
	}
	if p := n.process(); p != nil && strings.Contains(p.Output(), "damage") {
		told = append(told, "damage, says the log")
	}
	return strings.Join(told, "; ")
}

// middle returns the largest segment of the node, and a position in the first half of what is written of it: damage in the newest frames,
// of which no later frame says that they were durable, looks like a write that a crash cut short.
func (n *node) middle(share float64) (path string, at int64, err error) {
	var most int
	err = filepath.WalkDir(filepath.Join(n.dir, "logs"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".log" {
			return err
		}
		data, err := os.ReadFile(name)
		if written := len(bytes.TrimRight(data, "\x00")); err == nil && written > most {
			path, most = name, written
		}
		return err
	})
	if err == nil && most < 1<<10 {
		err = errors.New("no segment has data")
	}
	return path, 64 + int64(share*float64(most/2)), err
}

// invert turns all bits of a byte of a file.
func invert(path string, at int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, at); err != nil {
		return err
	}
	one[0] = ^one[0]
	if _, err := file.WriteAt(one, at); err != nil {
		return err
	}
	return file.Sync()
}

// verify reads all logs of a stopped node.
func (n *node) verify() error {
	return n.machine.do(func() error {
		p, err := proc.Start(proc.Spec{Path: weirBinary, Args: []string{"log", "verify", n.dir}, DieWithThread: true})
		if err == nil {
			err = p.Wait(time.Minute)
		}
		if err != nil {
			return fmt.Errorf("verify the logs of node %d: %w", n.id, err)
		}
		return nil
	})
}
