package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/quiet"
)

// Need is what a request needs. The zero Need is an operator.
type Need struct {
	kind           needKind
	topic, channel string
}

type needKind int

const (
	operator needKind = iota
	nothing
	anyGrants
	publishing
	subscribing
)

// Nothing is needed of what everybody may see: that a node is there.
func Nothing() Need { return Need{kind: nothing} }

// Operator is needed for what concerns others: settings, deleting, pausing.
func Operator() Need { return Need{} }

// Client is needed for looking: any client that an AUTH server knows.
func Client() Need { return Need{kind: anyGrants} }

// Publish is needed for publishing to a topic.
func Publish(topic string) Need { return Need{kind: publishing, topic: topic} }

// Subscribe is needed for making a channel of a topic.
func Subscribe(topic, channel string) Need {
	return Need{kind: subscribing, topic: topic, channel: channel}
}

// met reports whether grants are enough.
func (n Need) met(g *Grants) bool {
	switch n.kind {
	case anyGrants:
		return g.Count() > 0
	case publishing:
		return g.MayPublish(n.topic)
	case subscribing:
		return g.MaySubscribe(n.topic, n.channel)
	}
	return false
}

// maxRemembered bounds the callers whose grants a Guard remembers.
const maxRemembered = 4096

// A Guard lets requests to an HTTP API pass, or not. A request shows its token as "Authorization: Bearer TOKEN".
type Guard struct {
	// Tokens are operators'. nil means that there are none.
	Tokens *Tokens
	// Authority judges other tokens as it judges the secrets of AUTH. nil means that they are good for nothing.
	Authority *Authority
	// Own is a token that only this process knows, for what asks itself. Empty: there is none. It is set before requests come.
	Own    string
	Logger *slog.Logger

	mu struct {
		sync.Mutex
		remembered map[[sha256.Size]byte]*Grants
		quiet      *quiet.Log // made for the first line
	}
}

// Handler puts the guard before an API; needs says what each request needs. Refusals are 401 UNAUTHORIZED (no token, or one that
// nobody knows), 403 FORBIDDEN (not for this client), and 503 AUTH_FAILED (the AUTH server cannot be asked).
func (g *Guard) Handler(next http.Handler, needs func(*http.Request) Need) http.Handler {
	door := httpdoor.Door{Logger: g.Logger}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := g.judge(r, needs(r)); refusal != nil {
			if refusal.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
			}
			door.Fail(w, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// judge returns why a request may not pass, nil if it may.
func (g *Guard) judge(r *http.Request, need Need) *httpdoor.Error {
	if need.kind == nothing {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return httpdoor.NewError(http.StatusUnauthorized, "UNAUTHORIZED")
	}
	if g.Tokens != nil && g.Tokens.Know(token) || g.Own != "" && subtle.ConstantTimeCompare([]byte(token), []byte(g.Own)) == 1 {
		return nil
	}
	if g.Authority == nil {
		return httpdoor.NewError(http.StatusUnauthorized, "UNAUTHORIZED")
	}
	grants, err := g.grants(r.Context(), callerOf(r, token))
	switch {
	case err != nil:
		g.warn("an HTTP request is refused, the AUTH servers cannot be asked", slog.String("remote", r.RemoteAddr),
			slog.Any("error", err))
		return httpdoor.NewError(http.StatusServiceUnavailable, "AUTH_FAILED")
	case grants.Count() == 0:
		return httpdoor.NewError(http.StatusUnauthorized, "UNAUTHORIZED")
	case !need.met(grants):
		return httpdoor.NewError(http.StatusForbidden, "FORBIDDEN")
	}
	return nil
}

// warn logs a message, again only after a while: everybody can cause it, with any token.
func (g *Guard) warn(message string, attrs ...any) {
	g.mu.Lock()
	if g.mu.quiet == nil {
		g.mu.quiet = quiet.New(g.Logger)
	}
	log := g.mu.quiet
	g.mu.Unlock()
	log.Warn(message, message, attrs...)
}

// callerOf describes who sends a request.
func callerOf(r *http.Request, token string) Caller {
	c := Caller{TLS: r.TLS != nil, Secret: token}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		c.RemoteIP = host
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		c.CommonName = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	return c
}

// grants returns what the AUTH servers allow a caller, remembered until it expires.
func (g *Guard) grants(ctx context.Context, c Caller) (*Grants, error) {
	tls := "0"
	if c.TLS {
		tls = "1"
	}
	key := sha256.Sum256([]byte(c.Secret + "\x00" + c.RemoteIP + "\x00" + tls + c.CommonName))
	now := time.Now()
	g.mu.Lock()
	known := g.mu.remembered[key]
	g.mu.Unlock()
	if known != nil && now.Before(known.Expires) {
		return known, nil
	}
	grants, err := g.Authority.Ask(ctx, c)
	if err != nil || grants.Count() == 0 {
		return grants, err // strangers are not remembered: they could push out the others
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.remembered == nil || len(g.mu.remembered) >= maxRemembered {
		g.mu.remembered = make(map[[sha256.Size]byte]*Grants)
	}
	g.mu.remembered[key] = grants
	return grants, nil
}
