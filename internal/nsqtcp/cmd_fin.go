package nsqtcp

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// maxFinished bounds the FINs of a burst that are handed over together: they share one turn at the channel's lock.
const maxFinished = 1024

// done is the FINs of a session that are not yet handed over.
type done struct {
	ids     []broker.MessageID
	refused []*nsqwire.Error // of those being handed over
	// onRefused is note, bound once.
	onRefused func(i int, err error)
}

// note keeps the error of the FIN at i, for an answer after all of them.
func (d *done) note(i int, err error) {
	d.refused = append(d.refused, messageRefusal(nsqwire.FIN, &d.ids[i], err))
}

// cmdFIN notes that a message is done. No answer but E_FIN_FAILED, which is not fatal; it may come after answers to
// publishes that followed in the same burst, and names its message.
func (s *session) cmdFIN(cmd *nsqwire.Command) {
	s.done.ids = append(s.done.ids, broker.MessageID(cmd.ID))
	if len(s.done.ids) >= maxFinished {
		s.finish()
	}
}

// finish hands over the FINs collected so far.
func (s *session) finish() {
	d := &s.done
	if len(d.ids) == 0 {
		return
	}
	s.sub.Finish(d.ids, d.onRefused)
	s.stats.finishes.Add(int64(len(d.ids) - len(d.refused)))
	refused := d.refused
	d.ids, d.refused = d.ids[:0], nil // first: an answer that waits for room comes back here
	for _, e := range refused {
		s.refuse(e)
	}
}

// cmdREQ gives a message back. No answer but E_REQ_FAILED, which is not fatal.
func (s *session) cmdREQ(cmd *nsqwire.Command) {
	id := broker.MessageID(cmd.ID)
	if err := s.sub.Requeue(id, cmd.Delay); err != nil {
		s.refuse(messageRefusal(nsqwire.REQ, &id, err))
		return
	}
	s.stats.requeues.Add(1)
}

// cmdTOUCH starts a message's timeout anew. No answer but E_TOUCH_FAILED, which is not fatal.
func (s *session) cmdTOUCH(cmd *nsqwire.Command) {
	id := broker.MessageID(cmd.ID)
	if err := s.sub.Touch(id); err != nil {
		s.refuse(messageRefusal(nsqwire.TOUCH, &id, err))
	}
}
