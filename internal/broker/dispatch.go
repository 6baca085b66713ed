package broker

import "github.com/weirmq/weir/internal/record"

// due is a deferred message: its offset, and when it is due in Unix milliseconds.
type due struct {
	offset record.Offset
	ms     int64
}

// dispatch says up to where a partition's channels may read: the high watermark, or, while the topic is paused or has no
// durable channel, where it stood when that began. A new channel starts at the dispatch position, so that the first channel
// gets the backlog and later ones the future.
//
// It is pure and part of the partition's applied state: the partition's mutex guards it.
type dispatch struct {
	next     record.Offset // the high watermark as applied
	position record.Offset // where reading is frozen; meaningful only while frozen
	paused   bool
	pausedAt record.Offset // high watermark when the pause began; ephemeral channels stop there
	durable  int           // durable channels
	// backlog lists the deferred messages from position on, while frozen: channels learn of them when it thaws.
	backlog []due
}

func (d *dispatch) frozen() bool { return d.paused || d.durable == 0 }

// end is where durable channels stop reading.
func (d *dispatch) end() record.Offset {
	if d.frozen() {
		return d.position
	}
	return d.next
}

// ephemeralEnd is where ephemeral channels stop reading: the absence of a durable channel does not concern them.
func (d *dispatch) ephemeralEnd() record.Offset {
	if d.paused {
		return d.pausedAt
	}
	return d.next
}

// change runs do, which may begin a freeze.
func (d *dispatch) change(do func()) {
	was := d.frozen()
	do()
	if !was && d.frozen() {
		d.position = d.next
		d.backlog = nil
	}
}

// takeBacklog returns the deferred messages that durable channels must learn of now, if the freeze has ended.
func (d *dispatch) takeBacklog() []due {
	if d.frozen() {
		return nil
	}
	list := d.backlog
	d.backlog = nil
	return list
}

// empty drops what waits for a dispatch.
func (d *dispatch) empty() {
	d.position = d.next
	d.pausedAt = d.next
	d.backlog = nil
}

// depth is the number of messages that wait for a dispatch.
func (d *dispatch) depth() int64 { return int64(d.next - d.end()) }
