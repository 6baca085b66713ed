package nsqhttp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/weirmq/weir/internal/httpdoor"
)

// ServeTLS is Serve for HTTPS. It may run beside Serve; they share the bounds of bodies, and each has its own of connections.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	err := s.http.Serve(tls.NewListener(httpdoor.Bound(ln, s.options.MaxConnections), config))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// requireTLS answers what does not come by TLS as nsqd does, with the port that its clients then try.
func (s *Server) requireTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, fmt.Sprintf(`{"message": "TLS_REQUIRED", "https_port": %d}`, s.options.HTTPSPort))
	})
}
