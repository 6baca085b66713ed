package broker

// changes tells that topics or channels came or went.
type changes chan struct{} // cap 1

// note makes the reader look again. It never blocks and may be called under locks.
func (c changes) note() {
	select {
	case c <- struct{}{}:
	default: // the reader has not looked yet since the last change
	}
}

// Changes delivers after topics or channels came or went: once for any number of changes since the last delivery. It has one
// reader, which looks at Topics and their Channels then.
func (b *Broker) Changes() <-chan struct{} { return b.changes }
