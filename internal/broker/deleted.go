package broker

import (
	"errors"
	"sync"
	"time"
)

// deletedFor is how long a deletion excuses further ones of the same thing: the admin page asks each node in turn to delete what
// the first one has deleted everywhere.
const deletedFor = 15 * time.Second

// maxDeleted bounds what is remembered.
const maxDeleted = 4096

// deletions remembers what was deleted a short while ago, by name: a topic's, or topic:channel. Only a cluster's node uses it.
//
// Concurrency: mu guards the map.
type deletions struct {
	mu sync.Mutex
	at map[string]time.Time
}

// note remembers that something was deleted now.
func (d *deletions) note(name string) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.at) >= maxDeleted || d.at == nil {
		d.at = make(map[string]time.Time)
	}
	d.at[name] = now
}

// excuse returns err, or nil if it says that something is not there which was deleted just now.
func (d *deletions) excuse(name string, err error) error {
	if !errors.Is(err, ErrChannelNotFound) && !errors.Is(err, ErrTopicNotFound) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.at[name]; ok && time.Since(at) < deletedFor {
		return nil
	}
	return err
}
