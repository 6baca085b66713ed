package nsqtcp

import "github.com/weirmq/weir/internal/nsqwire"

// upgrades are the layers that a connection gets between the reply to IDENTIFY and the next command: TLS, then snappy or
// deflate. They replace the session's conn, each followed by an OK inside the new layer.
type upgrades struct{ tls, snappy, deflate bool }

// grant says which of the wished upgrades the session gets. None is built yet; clients go on in the clear, as with an nsqd
// that has no certificate and compression switched off.
func (s *session) grant(*nsqwire.Identify) upgrades { return upgrades{} }

// cmdAUTH refuses: nothing asks for authorization yet.
//
// Errors, fatal: E_AUTH_DISABLED.
func (s *session) cmdAUTH() *nsqwire.Error {
	return nsqwire.Errorf(nsqwire.CodeAuthDisabled, "AUTH disabled")
}
