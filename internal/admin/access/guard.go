package access

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Refusals.
var (
	ErrBadToken    = errors.New("no such token")
	ErrTooMany     = errors.New("too many attempts to log in; wait a second")
	ErrForeignHost = errors.New("the page is asked for by a name that is not this machine's; --admin-host allows it")
	ErrCrossOrigin = errors.New("the request comes from a page of another site")
	ErrCSRF        = errors.New("the header X-CSRF-Token is missing or not that of the session")
)

const (
	cookieName = "weir_admin"
	csrfHeader = "X-CSRF-Token"
	// refusalDelay is what a wrong token costs, and refusalsAtOnce how many such requests may wait.
	refusalDelay   = 500 * time.Millisecond
	refusalsAtOnce = 16
)

// Options say who may do what.
type Options struct {
	// Tokens that are accepted. nil: nobody logs in by token.
	Tokens Tokens
	// Header names the user, and AdminUsers are those that are administrators. With AdminUsers, everybody else is a reader.
	Header     string
	AdminUsers []string
	// Bodies says who sees message bodies. Default BodiesAdmin.
	Bodies Bodies
	// Hosts are names, besides localhost and addresses, by which a page on the loopback interface may be asked.
	Hosts []string
	// CookiePath is the path below which the cookie is sent, with a slash at both ends.
	CookiePath string
	// Now reads the clock. Default time.Now.
	Now func() time.Time
}

// Guard knows who is who.
type Guard struct {
	options  Options
	sessions sessions
	origins  http.CrossOriginProtection
	refusalC chan struct{} // holds one for each refusal under way
}

// NewGuard returns a Guard.
func NewGuard(o Options) *Guard {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{options: o, refusalC: make(chan struct{}, refusalsAtOnce)}
}

// Login is how people come in: "token", "proxy" or "none".
func (g *Guard) Login() string {
	switch {
	case g.options.Tokens != nil:
		return "token"
	case len(g.options.AdminUsers) > 0:
		return "proxy"
	}
	return "none"
}

// Identify tells who a request comes from; nobody if he has to log in. Error: ErrBadToken for a bearer token that is none.
func (g *Guard) Identify(r *http.Request) (Who, error) {
	o := &g.options
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && o.Tokens != nil {
		h, ok := o.Tokens.holder(token)
		if !ok {
			return Who{}, g.refuse(r)
		}
		return g.who(h), nil
	}
	if cookie, err := r.Cookie(cookieName); err == nil && o.Tokens != nil {
		if s, ok := g.sessions.find(cookie.Value, o.Now()); ok {
			who := g.who(s.holder)
			who.CSRF = s.csrf
			return who, nil
		}
	}
	user := ""
	if o.Header != "" {
		user = r.Header.Get(o.Header)
	}
	switch {
	case len(o.AdminUsers) > 0 && slices.Contains(o.AdminUsers, user):
		return g.who(holder{user: user, role: Admin}), nil
	case o.Tokens != nil:
		return Who{}, nil
	case len(o.AdminUsers) > 0:
		return g.who(holder{user: user, role: Read}), nil
	}
	return g.who(holder{user: user, role: Admin}), nil
}

func (g *Guard) who(h holder) Who {
	w := Who{User: h.user, Role: h.role}
	g.options.Bodies.apply(&w, h.bodies)
	return w
}

// Check refuses a request that asks by a foreign name where nobody has to log in, and one that would change something if a browser sends it for another site, or if it has a session's cookie and not
// its CSRF token. Errors: ErrForeignHost, ErrCrossOrigin, ErrCSRF.
func (g *Guard) Check(r *http.Request, who *Who) error {
	if g.foreignHost(r) {
		return ErrForeignHost
	}
	if g.origins.Check(r) != nil {
		return ErrCrossOrigin
	}
	if who.CSRF != "" && !safe(r.Method) && subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(who.CSRF)) != 1 {
		return ErrCSRF
	}
	return nil
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// LogIn exchanges a token for a session, whose cookie it sets. Errors: ErrBadToken, ErrTooMany.
func (g *Guard) LogIn(w http.ResponseWriter, r *http.Request, token string) (Who, error) {
	h, ok := g.options.Tokens.holder(token)
	if !ok {
		return Who{}, g.refuse(r)
	}
	cookie, s := g.sessions.begin(h, g.options.Now())
	http.SetCookie(w, g.cookie(r, cookie, int(sessionAge/time.Second)))
	who := g.who(s.holder)
	who.CSRF = s.csrf
	return who, nil
}

// LogOut ends the session of a request and drops its cookie.
func (g *Guard) LogOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		g.sessions.end(cookie.Value)
	}
	http.SetCookie(w, g.cookie(r, "", -1))
}

func (g *Guard) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: g.options.CookiePath, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" || r.Header.Get("X-Scheme") == "https",
	}
}

// refuse makes a wrong token cost time, so that guessing is slow, and few goroutines.
func (g *Guard) refuse(r *http.Request) error {
	select {
	case g.refusalC <- struct{}{}:
	default:
		return ErrTooMany
	}
	defer func() { <-g.refusalC }()
	wait := time.NewTimer(refusalDelay)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
	return ErrBadToken
}
