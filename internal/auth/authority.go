package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/tlsconf"
)

const (
	// maxAnswerBytes bounds what is read of an AUTH server's answer.
	maxAnswerBytes = 1 << 20
	// maxQueries bounds the questions under way; further ones wait, at most for the request timeout.
	maxQueries = 64
)

// AuthorityOptions name the AUTH servers and say how to ask them.
type AuthorityOptions struct {
	// Addresses are of servers that know the same: HOST:PORT, asked at http://HOST:PORT/auth, or whole URLs.
	Addresses []string
	// Post asks by POST with a JSON body instead of GET with a query.
	Post bool
	// ConnectTimeout and RequestTimeout bound one question to one server. Defaults 2s, 5s.
	ConnectTimeout, RequestTimeout time.Duration
	// TLS verifies servers with https URLs. Default: against the system's roots.
	TLS *tlsconf.Source
}

// Validate names the first address that cannot be one.
func (o *AuthorityOptions) Validate() error {
	for _, address := range o.Addresses {
		if u, err := url.Parse(endpoint(address)); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("auth-http-address: must be HOST:PORT or an http or https URL")
		}
	}
	return nil
}

// Authority asks AUTH servers.
type Authority struct {
	options  AuthorityOptions
	client   *http.Client
	queriesC chan struct{} // holds one for each question under way
}

// NewAuthority returns an Authority. It asks nobody yet.
func NewAuthority(options AuthorityOptions) (*Authority, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if len(options.Addresses) == 0 {
		return nil, errors.New("no AUTH server is named")
	}
	options.ConnectTimeout = cmp.Or(options.ConnectTimeout, 2*time.Second)
	options.RequestTimeout = cmp.Or(options.RequestTimeout, 5*time.Second)
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: options.ConnectTimeout}).DialContext,
		TLSHandshakeTimeout: options.ConnectTimeout,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
	}
	if options.TLS != nil {
		transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, options.ConnectTimeout)
			defer cancel()
			return options.TLS.DialContext(ctx, network, address)
		}
	}
	return &Authority{
		options:  options,
		client:   &http.Client{Transport: transport, Timeout: options.RequestTimeout, CheckRedirect: redirect},
		queriesC: make(chan struct{}, maxQueries),
	}, nil
}

// maxRedirects bounds how often a question is sent on, net/http's.
const maxRedirects = 10

// redirect lets a question be sent on, without the URL of the one before, which holds the secret.
func redirect(next *http.Request, before []*http.Request) error {
	next.Header.Del("Referer")
	if len(before) >= maxRedirects {
		return fmt.Errorf("sent on more than %d times", maxRedirects)
	}
	return nil
}

// Caller is who shows a secret.
type Caller struct {
	RemoteIP   string // "" on a unix socket
	TLS        bool
	CommonName string // of the client's certificate
	Secret     string
}

// Ask returns what the caller may do. The servers are asked one after the other, from a random one on, until one gives a usable
// answer; the error tells of all of them, without the secret. It takes at most the request timeout for each server, and once more
// if too many ask at a time.
func (a *Authority) Ask(ctx context.Context, c Caller) (*Grants, error) {
	if err := a.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-a.queriesC }()
	addresses := a.options.Addresses
	first := rand.IntN(len(addresses))
	var errs []error
	for i := range addresses {
		address := addresses[(first+i)%len(addresses)]
		grants, err := a.ask(ctx, address, c)
		if err == nil {
			return grants, nil
		}
		errs = append(errs, fmt.Errorf("AUTH server %s: %w", Public(address), err))
	}
	return nil, errors.Join(errs...)
}

// enter waits for a place among the questions under way.
func (a *Authority) enter(ctx context.Context) error {
	timeout := time.NewTimer(a.options.RequestTimeout)
	defer timeout.Stop()
	select {
	case a.queriesC <- struct{}{}:
		return nil
	case <-timeout.C:
		return errors.New("too many clients wait for the AUTH server")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask asks one server.
func (a *Authority) ask(ctx context.Context, address string, c Caller) (*Grants, error) {
	request, err := a.request(ctx, address, c)
	if err != nil {
		return nil, errors.New("the address cannot be asked") // the error would repeat the URL and the secret in it
	}
	resp, err := a.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, withoutURL(err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("answered %s", strconv.Itoa(resp.StatusCode))
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswerBytes)
	}
	return decodeGrants(body, time.Now())
}

// request is the question, in nsqd's form.
func (a *Authority) request(ctx context.Context, address string, c Caller) (*http.Request, error) {
	form := url.Values{
		"remote_ip": {c.RemoteIP}, "tls": {strconv.FormatBool(c.TLS)}, "secret": {c.Secret}, "common_name": {c.CommonName},
	}
	to := endpoint(address)
	var r *http.Request
	var err error
	if a.options.Post {
		body, _ := json.Marshal(form) // lists of strings: cannot fail
		r, err = http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	} else {
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		r, err = http.NewRequestWithContext(ctx, http.MethodGet, to+separator+form.Encode(), nil)
	}
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/vnd.nsq; version=1.0")
	if a.options.Post {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// endpoint is where a server is asked.
func endpoint(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address + "/auth"
}

// Public returns an address without what may be secret in it: user, password, query.
func Public(address string) string {
	u, err := url.Parse(address)
	if err != nil || !strings.Contains(address, "://") {
		return address
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// withoutURL returns the cause of an HTTP client's error; the URL before it holds the secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}
