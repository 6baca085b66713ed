package node

import (
	"context"
	"errors"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// Offline is a data directory opened by a node's own broker, without doors: for what moves data in and out of it.
type Offline struct{ node *Node }

// OpenOffline opens or makes the data directory that the options name; their addresses are not used. It fails while a node runs
// on it.
func OpenOffline(options Options) (*Offline, error) {
	n := &Node{options: options, started: time.Now(), failedC: make(chan error, 2)}
	err := n.openStorage()
	if err == nil {
		err = n.openBroker()
	}
	o := &Offline{n}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Broker returns the broker of the directory.
func (o *Offline) Broker() *broker.Broker { return o.node.broker }

// Close records everything, and closes the directory.
func (o *Offline) Close() error { return o.node.close(context.Background()) }
