package nsqtcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdAUTH asks the AUTH servers who the client is and what it may do, and tells it. The session waits for them, nobody else does.
//
// Errors, all fatal: E_INVALID the second time; E_AUTH_DISABLED; E_AUTH_FAILED if no server gives a usable answer, whose reason only
// the log tells; E_UNAUTHORIZED if nothing is allowed.
func (s *session) cmdAUTH(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	if s.grants.Load() != nil {
		return nsqwire.Errorf(nsqwire.CodeInvalid, "AUTH already set")
	}
	if s.server.options.Authority == nil {
		return nsqwire.Errorf(nsqwire.CodeAuthDisabled, "AUTH disabled")
	}
	s.settle()
	s.secret = string(cmd.Body)
	grants, err := s.askAuthority(ctx)
	if err != nil {
		return nsqwire.Errorf(nsqwire.CodeAuthFailed, "AUTH failed")
	}
	if grants.Count() == 0 {
		s.grants.Store(nil)
		return nsqwire.Errorf(nsqwire.CodeUnauthorized, "AUTH no authorizations found")
	}
	reply, err := json.Marshal(struct {
		Identity        string `json:"identity"`
		IdentityURL     string `json:"identity_url"`
		PermissionCount int    `json:"permission_count"`
	}{grants.Identity, grants.IdentityURL, grants.Count()})
	if err != nil {
		panic(fmt.Sprintf("encode AUTH reply: %v", err)) // only strings and a number: cannot fail
	}
	s.answer(answer{frame: nsqwire.AppendResponse(nil, reply)})
	return nil
}

// askAuthority gets the session's grants, and keeps them. Why it fails goes to the log.
func (s *session) askAuthority(ctx context.Context) (*auth.Grants, error) {
	caller := auth.Caller{Secret: s.secret}
	if at, ok := s.conn.RemoteAddr().(*net.TCPAddr); ok {
		caller.RemoteIP = at.IP.String()
	}
	if l := s.layers.Load(); l != nil && l.tlsConn != nil {
		caller.TLS = true
		if certs := l.tlsConn.ConnectionState().PeerCertificates; len(certs) > 0 {
			caller.CommonName = certs[0].Subject.CommonName
		}
	}
	grants, err := s.server.options.Authority.Ask(ctx, caller)
	if err != nil {
		s.server.quiet.Warn("auth", "a client is refused, the AUTH servers give no usable answer", slog.String("remote", s.stats.remote),
			slog.Any("error", err))
		return nil, err
	}
	s.grants.Store(grants)
	return grants, nil
}

// authorize checks that the session may publish to the topic, or consume the channel. Grants that have expired are asked for again.
//
// Errors, all fatal: E_AUTH_FIRST, E_AUTH_FAILED, E_UNAUTHORIZED.
func (s *session) authorize(ctx context.Context, verb nsqwire.Verb, topic, channel string) *nsqwire.Error {
	if s.server.options.Authority == nil {
		return nil
	}
	grants := s.grants.Load()
	if grants == nil {
		return nsqwire.Errorf(nsqwire.CodeAuthFirst, "AUTH required before %s", verb)
	}
	if time.Now().After(grants.Expires) {
		s.settle() // what is asked takes time
		var err error
		if grants, err = s.askAuthority(ctx); err != nil {
			return nsqwire.Errorf(nsqwire.CodeAuthFailed, "AUTH failed")
		}
	}
	if verb == nsqwire.SUB && !grants.MaySubscribe(topic, channel) || verb != nsqwire.SUB && !grants.MayPublish(topic) {
		return nsqwire.Errorf(nsqwire.CodeUnauthorized, "AUTH failed for %s on %q %q", verb, topic, channel)
	}
	return nil
}
