package nsqtcp

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// maxFinished bounds the FINs of a burst that are handed over together: they share one turn at the channel's lock.
const maxFinished = 1024

// cmdFIN notes that a message is done. No answer but E_FIN_FAILED, which is not fatal; it may come after answers to
// publishes that followed in the same burst, and names its message.
func (s *session) cmdFIN(cmd *nsqwire.Command) {
	s.finished = append(s.finished, broker.MessageID(cmd.ID))
	if len(s.finished) >= maxFinished {
		s.finish()
	}
}

// finish hands over the FINs collected so far.
func (s *session) finish() {
	if len(s.finished) == 0 {
		return
	}
	s.stats.finishes.Add(int64(len(s.finished)))
	s.sub.Finish(s.finished, s.onRefused)
	s.finished = s.finished[:0]
	refused := s.refused
	s.refused = nil
	for _, e := range refused {
		s.stats.finishes.Add(-1)
		s.refuse(e)
	}
}

// noteRefused keeps the error of the FIN at i of those being handed over, for an answer after all of them.
func (s *session) noteRefused(i int, err error) {
	s.refused = append(s.refused, messageRefusal(nsqwire.FIN, &s.finished[i], err))
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
