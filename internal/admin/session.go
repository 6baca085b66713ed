package admin

import (
	"net"
	"net/http"

	"github.com/weirmq/weir/internal/admin/access"
)

// sessionAnswer tells a page who it is used by and what it may offer.
type sessionAnswer struct {
	User     string      `json:"user"`
	Role     access.Role `json:"role"`
	Can      permissions `json:"can"`
	Login    string      `json:"login"`
	LoggedIn bool        `json:"logged_in"`
	CSRF     string      `json:"csrf"`
	Version  string      `json:"version"`
	Graphite bool        `json:"graphite"`
	BasePath string      `json:"base_path"`
}

type permissions struct {
	Act    bool `json:"act"`
	Bodies bool `json:"bodies"`
}

func (s *Server) describe(w access.Who) sessionAnswer {
	return sessionAnswer{
		User: w.User, Role: w.Role, Can: permissions{Act: w.Role == access.Admin, Bodies: w.Bodies}, Login: s.guard.Login(),
		LoggedIn: w.LoggedIn(), CSRF: w.CSRF, Version: s.options.Version, Graphite: s.options.GraphiteURL != "", BasePath: s.assets.base,
	}
}

// session is GET /api/v1/session.
func (s *Server) session(r *http.Request) (any, error) { return s.describe(who(r)), nil }

// login is POST /api/v1/login.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Token string `json:"token"`
	}
	if err := decode(r, &ask, true); err != nil {
		s.fail(w, &ownError{http.StatusBadRequest, "INVALID_BODY", "want {\"token\":TOKEN}"})
		return
	}
	now, err := s.guard.LogIn(w, r, ask.Token)
	if err != nil {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		s.quiet.Warn("login "+host, "login refused", "remote", r.RemoteAddr, "error", err)
		s.refuse(w, err)
		return
	}
	s.options.Logger.Info("logged in", "user", now.User, "role", string(now.Role), "remote", r.RemoteAddr)
	writeJSON(w, http.StatusOK, s.describe(now))
}

// logout is POST /api/v1/logout.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	s.guard.LogOut(w, r)
	writeJSON(w, http.StatusOK, s.describe(access.Who{}))
}
