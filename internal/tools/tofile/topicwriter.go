package tofile

import (
	"context"
	"time"

	"github.com/nsqio/go-nsq"
)

// idleInterval is how long after the last message a file is synced, whatever the sync interval: go-nsq connects to a lost nsqd
// again only when all that came from it is answered.
const idleInterval = time.Second

// topicWriter writes one topic's messages. Only messageC and reopenC are used by other goroutines.
type topicWriter struct {
	o        *Options
	topic    string
	consumer *nsq.Consumer
	messageC chan *nsq.Message
	reopenC  chan struct{} // holds one request
	out      output
	unsynced []*nsq.Message // written, neither synced nor finished
}

// run writes and syncs until ctx ends or a write fails, then disconnects.
func (w *topicWriter) run(ctx context.Context) error {
	err := w.write(ctx)
	if err == nil {
		err = w.sync()
	}
	w.consumer.Stop()
	if err == nil {
		err = w.finishUnderWay()
	}
	if err != nil {
		w.o.Source.Logger.Error("cannot write; stopping, unfinished messages will be delivered again", "topic", w.topic, "error", err)
		_ = w.out.abandon() // the first error says more
	} else {
		err = w.out.finish()
	}
	w.refuse()
	return err
}

// write is the normal life: until ctx ends.
func (w *topicWriter) write(ctx context.Context) error {
	tick := time.NewTicker(w.o.SyncInterval)
	defer tick.Stop()
	idle := time.NewTimer(idleInterval)
	defer idle.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err = w.tick(time.Now())
		case <-idle.C:
			err = w.sync()
		case <-w.reopenC:
			err = w.reopen()
		case m := <-w.messageC:
			idle.Reset(idleInterval)
			err = w.append(m, time.Now())
			if err == nil && (len(w.unsynced) >= w.o.Source.MaxInFlight || w.consumer.IsStarved() && len(w.messageC) == 0) {
				err = w.sync()
			}
		}
		if err != nil {
			return err
		}
	}
}

// tick syncs, and rotates a file whose time is over even if nothing comes. A file without a message is made only if asked for.
func (w *topicWriter) tick(now time.Time) error {
	if err := w.sync(); err != nil {
		return err
	}
	due, err := w.out.due(now)
	if err != nil || !due {
		return err
	}
	if err := w.out.finish(); err != nil || w.o.SkipEmptyFiles {
		return err
	}
	return w.out.open(now)
}

// reopen completes the file; the next message begins another, or goes on in the same if its name may be used again.
func (w *topicWriter) reopen() error {
	if err := w.sync(); err != nil {
		return err
	}
	return w.out.finish()
}

// finishUnderWay takes the messages that the stopping consumer has already received.
func (w *topicWriter) finishUnderWay() error {
	for {
		select {
		case <-w.consumer.StopChan:
			return nil
		case m := <-w.messageC:
			if err := w.append(m, time.Now()); err != nil {
				return err
			}
			if len(w.messageC) == 0 {
				if err := w.sync(); err != nil {
					return err
				}
			}
		}
	}
}

// refuse gives back what is not on disk, until the consumer has stopped.
func (w *topicWriter) refuse() {
	for _, m := range w.unsynced {
		w.giveBack(m)
	}
	w.unsynced = nil
	for {
		select {
		case <-w.consumer.StopChan:
			return
		case m := <-w.messageC:
			w.giveBack(m)
		}
	}
}

func (w *topicWriter) giveBack(m *nsq.Message) {
	m.RequeueWithoutBackoff(0)
	w.o.Meter.Failed.Add(1)
}

// append writes one message and its newline into the file of the moment. What an older file holds is synced and finished first.
func (w *topicWriter) append(m *nsq.Message, now time.Time) error {
	err := w.rotate(now)
	w.unsynced = append(w.unsynced, m)
	if err != nil {
		return err
	}
	return w.out.write(m.Body)
}

// rotate opens another file if the one that is open will not do.
func (w *topicWriter) rotate(now time.Time) error {
	due, err := w.out.due(now)
	if err != nil || !due {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	if err := w.out.finish(); err != nil {
		return err
	}
	return w.out.open(now)
}

// sync makes what is written durable, then finishes it.
func (w *topicWriter) sync() error {
	if len(w.unsynced) == 0 {
		return nil
	}
	if err := w.out.sync(); err != nil {
		return err
	}
	for _, m := range w.unsynced {
		m.Finish()
		w.o.Meter.Count(m.Body)
	}
	clear(w.unsynced)
	w.unsynced = w.unsynced[:0]
	return nil
}
