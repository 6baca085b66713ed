package admin

import (
	"log/slog"
	"net/http"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// done writes an action into the log, whoever did it, and tells the notification endpoint in nsqadmin's words.
func (s *Server) done(r *http.Request, n notice, failures upstream.Failures) {
	attributes := append([]any{"action", n.Action, "topic", n.Topic}, audit(r)...)
	if n.Channel != "" {
		attributes = append(attributes, "channel", n.Channel)
	}
	if n.Node != "" {
		attributes = append(attributes, "node", n.Node)
	}
	if len(failures.Errors) == 0 {
		s.options.Logger.Info("admin action", attributes...)
	} else {
		s.options.Logger.Warn("admin action failed in part or whole", append(attributes, slog.Any("errors", failures.Texts()))...)
	}
	s.notify(r, n)
}

// audit says who asks for what, and from where.
func audit(r *http.Request) []any {
	attributes := []any{"user", who(r).User, "remote", r.RemoteAddr, "request", r.Method + " " + r.URL.Path}
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" {
		attributes = append(attributes, "forwarded_for", forwarded)
	}
	return attributes
}
