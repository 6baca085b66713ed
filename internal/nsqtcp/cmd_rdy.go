package nsqtcp

import "github.com/weirmq/weir/internal/nsqwire"

// cmdRDY sets how many messages may be in flight to the session. It is ignored after CLS. No answer.
func (s *session) cmdRDY(cmd *nsqwire.Command) {
	if s.state == stateClosing {
		return
	}
	s.stats.ready.Store(int64(cmd.Count))
	s.sub.SetReady(cmd.Count)
}
