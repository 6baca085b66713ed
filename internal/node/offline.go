package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/cluster/member"
	"github.com/weirmq/weir/internal/vfs"
)

// Offline is a data directory opened by a node's own broker, without doors: for what moves data in and out of it.
type Offline struct{ node *Node }

// OpenOffline opens or makes the data directory that the options name; their addresses are not used. It fails while a node runs
// on it.
func OpenOffline(options Options) (*Offline, error) {
	n := &Node{options: options, started: time.Now(), failedC: make(chan error, 2)}
	err := n.openStorage()
	if err == nil {
		err = refuseMember(options.DataPath)
	}
	if err == nil {
		err = n.openBroker(context.Background())
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

// refuseMember refuses the data directory of a cluster's node: what changes there without the others is lost.
func refuseMember(dir string) error {
	if known, err := member.Exists(vfs.Disk(), dir); err != nil || !known {
		return err
	}
	return fmt.Errorf("%s belongs to a node of a cluster; use a client of the running cluster instead", dir)
}
