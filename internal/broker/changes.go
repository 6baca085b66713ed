package broker

import "slices"

// changes tells that topics or channels came or went, or what a node is to advertise has changed.
type changes chan struct{} // cap 1

// note makes the reader look again. It never blocks and may be called under locks.
func (c changes) note() {
	select {
	case c <- struct{}{}:
	default: // the reader has not looked yet since the last change
	}
}

// Changes delivers after topics or channels came or went, or Advertised has changed: once for any number of changes since the
// last delivery. It has one reader, which looks at Advertised, Topics and their Channels then.
func (b *Broker) Changes() <-chan struct{} { return b.changes }

// Advertised returns the topics that consumers should find at this node, sorted by name: those of which it leads a partition or has
// sessions. A lone node's are all.
func (b *Broker) Advertised() []*Topic {
	topics := b.Topics()
	if b.options.Cluster == nil {
		return topics
	}
	return slices.DeleteFunc(topics, func(t *Topic) bool {
		return t.target.Load() == nil && len(t.entered.channels()) == 0
	})
}
