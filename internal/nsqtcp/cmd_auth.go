package nsqtcp

import "github.com/weirmq/weir/internal/nsqwire"

// cmdAUTH refuses: nothing asks for authorization yet.
//
// Errors, fatal: E_AUTH_DISABLED.
func (s *session) cmdAUTH() *nsqwire.Error {
	return nsqwire.Errorf(nsqwire.CodeAuthDisabled, "AUTH disabled")
}
