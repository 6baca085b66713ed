package peer

import (
	"fmt"
	"maps"
	"sync"

	"github.com/weirmq/weir/internal/catalog"
)

// olderCopy is what two lives that do not fit mean.
const olderCopy = "its data directory is an older copy, or in use twice. It may have forgotten what others rely on; its directory must be " +
	"deleted and the node be replaced"

// lives are the highest lives seen of the other nodes.
type lives struct {
	keep func(node catalog.NodeID, life Life) error // Handler.LifeSeen
	turn chan struct{}                              // holds one token: who has it may call keep

	mu struct {
		sync.Mutex
		seen map[catalog.NodeID]Life
	}
}

func newLives(seen map[catalog.NodeID]Life, keep func(catalog.NodeID, Life) error) *lives {
	l := &lives{keep: keep, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	l.mu.seen = maps.Clone(seen)
	if l.mu.seen == nil {
		l.mu.seen = make(map[catalog.NodeID]Life)
	}
	return l
}

// admit accepts a life that was seen before or is above all that were, then keeps it durably. It may block for the disk. The
// error says why not.
func (l *lives) admit(node catalog.NodeID, life Life) error {
	if known, err := l.check(node, life); known || err != nil {
		return err
	}
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if known, err := l.check(node, life); known || err != nil {
		return err
	}
	if l.keep != nil {
		if err := l.keep(node, life); err != nil {
			return fmt.Errorf("life %d of node %d cannot be recorded: %w", life.Number, node, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.seen[node] = life
	return nil
}

// highest returns the highest life that was seen of a node.
func (l *lives) highest(node catalog.NodeID) Life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.seen[node]
}

func (l *lives) check(node catalog.NodeID, life Life) (known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.mu.seen[node]
	switch {
	case life == seen:
		return true, nil
	case life.Number <= seen.Number:
		return false, fmt.Errorf("node %d says that this is its life %d, but life %d was seen: "+olderCopy,
			node, life.Number, seen.Number)
	}
	return false, nil
}
