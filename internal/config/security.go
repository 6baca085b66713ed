package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tlsconf"
)

// httpsPort is NSQ's.
const httpsPort = "4152"

// tlsFiles defines the settings of TLS of a node; names are nsqd's, so is what it takes.
func tlsFiles(s *Set, o *node.Options, minVersion string) {
	certificates(s, &o.TLS, minVersion)
	tlsRequired(s, &o.TLSRequired)
}

// certificates defines the settings of certificates.
func certificates(s *Set, t *tlsconf.Options, minVersion string) {
	s.String(&t.CertFile, "tls-cert", "FILE", "certificate (PEM), for TLS by TCP and HTTP; replaced files are taken into use")
	s.String(&t.KeyFile, "tls-key", "FILE", "private key (PEM) of --tls-cert")
	s.String(&t.RootCAFile, "tls-root-ca-file", "FILE", "authorities (PEM) of clients' certificates, of AUTH servers and lookup services (default: the system's)")
	policy := ""
	s.Func("tls-client-auth-policy", "require|require-verify", policy, "require or require-verify, or nothing",
		"ask clients for a certificate: any, or one of --tls-root-ca-file; implies --tls-required",
		func(v string) error {
			var ok bool
			policy = v
			if t.ClientAuth, ok = tlsconf.ParseClientAuth(v); !ok {
				return errValue
			}
			return nil
		})
	s.shows("tls-client-auth-policy", func() any { return policy })
	t.MinVersion, _ = tlsconf.ParseVersion(minVersion)
	s.Func("tls-min-version", "VERSION", minVersion, "tls1.0, tls1.1, tls1.2 or tls1.3", "oldest version of TLS that is spoken",
		func(v string) error {
			var ok bool
			if v == "" {
				return nil // as in NSQ's example of a settings file
			}
			if t.MinVersion, ok = tlsconf.ParseVersion(v); !ok {
				return errValue
			}
			return nil
		})
	s.shows("tls-min-version", func() any { return int(t.MinVersion) })
}

// tlsRequired defines --tls-required; bare it means true, as a boolean does.
func tlsRequired(s *Set, p *node.TLSRequired) {
	s.add(&setting{name: "tls-required", usage: "refuse clients without TLS: true, false, or tcp-https, which leaves HTTP open",
		accepts: "true, false or tcp-https", def: "false",
		set: func(v string) error {
			if v == "tcp-https" {
				*p = node.TLSOnTCP
				return nil
			}
			on, err := strconv.ParseBool(v)
			if err != nil {
				return errValue
			}
			*p = node.TLSOptional
			if on {
				*p = node.TLSEverywhere
			}
			return nil
		}})
	s.shows("tls-required", func() any { return int(*p) })
}

// authServers defines who is asked what clients may do; names are nsqd's.
func authServers(s *Set, o *node.Options) {
	a := &o.Auth
	s.List(&a.Addresses, "auth-http-address", "HOST:PORT|URL", "AUTH server that says what each client may do; may be repeated")
	s.alias("auth-http-address", "auth_http_addresses")
	s.shows("auth-http-address", func() any {
		public := []string{}
		for _, address := range a.Addresses {
			public = append(public, auth.Public(address))
		}
		return public
	})
	method := "get"
	s.Func("auth-http-request-method", "get|post", method, "get or post", "how AUTH servers are asked; post keeps secrets out of their logs of URLs",
		func(v string) error {
			method = strings.ToLower(v)
			a.Post = method == "post"
			if method != "get" && method != "post" {
				return errValue
			}
			return nil
		})
	s.shows("auth-http-request-method", func() any { return method })
	a.ConnectTimeout, a.RequestTimeout = 2*time.Second, 5*time.Second
	s.Duration(&a.ConnectTimeout, "http-client-connect-timeout", time.Millisecond, time.Hour, "how long connecting to an AUTH server or lookup service may take")
	s.Duration(&a.RequestTimeout, "http-client-request-timeout", time.Millisecond, time.Hour, "how long an AUTH server may take to answer; a lookup service gets at most a second")
}

// httpTokens defines what the HTTP API asks for; NSQ's is open to everybody.
func httpTokens(s *Set, o *node.Options) {
	s.String(&o.HTTPTokenFile, "http-auth-token-file", "FILE", "tokens that HTTP requests must show, one in a line; a changed file is taken into use")
	s.Bool(&o.HTTPAuthServer, "http-auth-server", "let AUTH servers judge the tokens of HTTP requests, as secrets of AUTH")
}

// compression defines what clients may ask for.
func compression(s *Set, o *node.Options) {
	not := func(p *bool, name, usage string) {
		s.Func(name, "", "true", "true or false", usage, func(v string) error {
			on, err := strconv.ParseBool(v)
			if err != nil {
				return errValue
			}
			*p = !on
			return nil
		})
		s.shows(name, func() any { return !*p })
	}
	not(&o.TCP.NoDeflate, "deflate", "let clients ask for deflate")
	s.Int(&o.TCP.MaxDeflateLevel, "max-deflate-level", 1, 9, "highest level of deflate that a client may ask for")
	not(&o.TCP.NoSnappy, "snappy", "let clients ask for snappy")
}

// finishSecurity draws what follows from the settings together, as nsqd does.
func finishSecurity(o *node.Options) {
	if o.TLS.ClientAuth != tlsconf.NoClientCert && o.TLSRequired == node.TLSOptional {
		o.TLSRequired = node.TLSEverywhere
	}
}
