package config

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/admin"
	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tlsconf"
)

// adminPort is nsqadmin's.
const adminPort = "4171"

// Admin is what `weir nsqadmin` reads: where it listens, its options, and how to log.
type Admin struct {
	HTTPAddress string
	Options     admin.Options
	LogLevel    slog.LevelVar
	LogFormat   string // text or json
	ShowVersion bool

	tokenFile, nodeTokenFile string
	client                   tlsconf.Options
	insecure                 bool
}

// Nsqadmin returns the settings of `weir nsqadmin`: nsqadmin's names and defaults, and who may log in.
func Nsqadmin(a *Admin) *Set {
	a.HTTPAddress, a.LogFormat = "0.0.0.0:"+adminPort, "text"
	o := &a.Options
	*o = admin.Options{
		BasePath: "/", ConnectTimeout: 2 * time.Second, RequestTimeout: 5 * time.Second, StatsdInterval: time.Minute,
		ACLHeader: "X-Forwarded-User", AllowConfigFrom: netip.MustParsePrefix("127.0.0.1/8").Masked(),
	}
	statsdPrefix, counterFormat, gaugeFormat, prefix := "nsq.%s", "stats.counters.%s.count", "stats.gauges.%s", ""

	s := NewSet("nsqadmin")
	s.Group("As in nsqadmin")
	s.File()
	s.Version(&a.ShowVersion)
	s.Func("http-address", "HOST:PORT", a.HTTPAddress, addressForm, "where the page is", address(&a.HTTPAddress))
	s.String(&o.BasePath, "base-path", "PATH", "path of the page, where a proxy puts it below one")
	s.String(&o.DevStaticDir, "dev-static-dir", "DIR", "serve the page's files from here, to work on them")
	s.List(&o.Lookupds, "lookupd-http-address", "HOST:PORT", "lookup service that knows the nodes; may be repeated")
	s.alias("lookupd-http-address", "nsqlookupd_http_addresses")
	s.List(&o.Nodes, "nsqd-http-address", "HOST:PORT", "node to show; may be repeated")
	s.alias("nsqd-http-address", "nsqd_http_addresses")
	s.String(&o.GraphiteURL, "graphite-url", "URL", "graphite that has the nodes' statsd figures")
	s.Bool(&o.ProxyGraphite, "proxy-graphite", "let browsers reach it below /render")
	s.Duration(&o.StatsdInterval, "statsd-interval", time.Second, maxDuration, "how often nodes send to statsd")
	s.String(&o.NotificationEndpoint, "notification-http-endpoint", "URL", "POST every action there")
	s.Duration(&o.ConnectTimeout, "http-client-connect-timeout", time.Millisecond, time.Hour, "how long to wait for a connection to a node or lookup service")
	s.Duration(&o.RequestTimeout, "http-client-request-timeout", time.Millisecond, time.Hour, "how long to wait for an answer of one")
	s.Bool(&a.insecure, "http-client-tls-insecure-skip-verify", "take any certificate of nodes and lookup services")
	s.String(&a.client.RootCAFile, "http-client-tls-root-ca-file", "FILE", "certificates that theirs must come from")
	s.String(&a.client.CertFile, "http-client-tls-cert", "FILE", "certificate to show them")
	s.String(&a.client.KeyFile, "http-client-tls-key", "FILE", "its private key")
	s.Func("allow-config-from-cidr", "CIDR", "127.0.0.1/8", "an address range such as 10.0.0.0/8, or nothing for all",
		"from where /config may be used; empty: from everywhere", prefixOf(&o.AllowConfigFrom))
	adminUsers(s, o)
	logLevelVar(s, &a.LogLevel)

	s.Group("Weir's own")
	adminAccess(s, o, &a.tokenFile)
	s.String(&a.nodeTokenFile, "http-auth-token-file", "FILE", "file whose content nodes want as a token")
	s.List(&o.TokenHosts, "http-auth-token-host", "HOST", "host to whose nodes it may be sent, besides --nsqd-http-address and --lookupd-http-address; * for all; may be repeated")
	s.OneOf(&a.LogFormat, "log-format", []string{"text", "json"}, "form of the log on stderr")

	s.Group("Of nsqadmin, accepted, but without a meaning here")
	s.Ignored("verbose", "old, see --log-level")
	s.String(&prefix, "log-prefix", "TEXT", "lines of the log have no prefix")
	s.String(&statsdPrefix, "statsd-prefix", "TEXT", "the page's charts are the nodes' own")
	s.String(&counterFormat, "statsd-counter-format", "TEXT", "the page's charts are the nodes' own")
	s.String(&gaugeFormat, "statsd-gauge-format", "TEXT", "the page's charts are the nodes' own")
	s.finish = func() error { return a.finish(s) }
	return s
}

// adminUsers defines who may act when a proxy names the user.
func adminUsers(s *Set, o *admin.Options) {
	s.String(&o.ACLHeader, "acl-http-header", "HEADER", "header by which a proxy names the user; trusted as it stands")
	s.List(&o.AdminUsers, "admin-user", "USER", "user who may act; may be repeated. Without one everybody may, unless there are tokens")
	s.alias("admin-user", "admin_users")
}

// adminAccess defines who may log in.
func adminAccess(s *Set, o *admin.Options, tokenFile *string) {
	s.List(&o.Hosts, "admin-host", "NAME", "name that a proxy on this machine passes on; may be repeated. Needed only where nobody logs in")
	s.String(tokenFile, "admin-token-file", "FILE", "tokens to log in with; a line is NAME ROLE TOKEN, roles are admin, read, read+bodies")
	s.Func("message-bodies", "admin|all|none", "admin", "admin, all or none", "who sees the bodies of messages",
		func(v string) error {
			switch b := access.Bodies(v); b {
			case access.BodiesAdmin, access.BodiesAll, access.BodiesNone:
				o.Bodies = b
				return nil
			}
			return errValue
		})
}

// adminPage defines the page of a node. It returns where the path of the file of tokens goes.
func adminPage(s *Set, o *node.Options) *string {
	tokenFile, page := new(string), &o.Admin.Page
	page.ACLHeader = "X-Forwarded-User"
	s.Func("admin-address", "HOST:PORT", "LISTEN:"+adminPort, addressForm+"; empty: no page", "the admin page; empty: none", orNothing(&o.Admin.Address, address(&o.Admin.Address)))
	s.String(&page.BasePath, "admin-base-path", "PATH", "path of the page, where a proxy puts it below one")
	adminUsers(s, page)
	adminAccess(s, page, tokenFile)
	s.String(&page.NotificationEndpoint, "notification-http-endpoint", "URL", "POST every action of the page there")
	return tokenFile
}

// finish reads the files that settings name, and judges the whole.
func (a *Admin) finish(s *Set) error {
	o := &a.Options
	if a.ShowVersion {
		return nil
	}
	var err error
	if o.Tokens, err = readTokens(s, a.tokenFile); err != nil {
		return err
	}
	if a.nodeTokenFile != "" {
		token, err := os.ReadFile(a.nodeTokenFile)
		if err != nil {
			return s.Refuse("http-auth-token-file", "cannot be read: "+err.Error(), "a file with a token")
		}
		o.NodeToken = strings.TrimSpace(string(token))
	}
	if o.DialTLS, err = a.dialTLS(); err != nil {
		return &UsageError{Command: s.command, Where: "settings:", Problem: err.Error()}
	}
	if err := o.Validate(); err != nil {
		return &UsageError{Command: s.command, Where: "settings:", Problem: err.Error()}
	}
	o.Settings = make(map[string]admin.Setting)
	for name, value := range s.Values() {
		o.Settings[name] = admin.Setting{Value: func() any { return value }}
	}
	level := s.byName["log-level"]
	o.Settings["log_level"] = admin.Setting{Value: level.value, Change: func(body []byte) error { return level.set(string(body)) }}
	return nil
}

// readTokens reads the file of tokens; nil if there is none.
func readTokens(s *Set, path string) (access.Tokens, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, s.Refuse("admin-token-file", "cannot be read: "+err.Error(), "")
	}
	defer file.Close()
	tokens, err := access.ParseTokens(file)
	if err != nil {
		return nil, s.Refuse("admin-token-file", fmt.Sprintf("cannot be used: %s: %v", path, err), "")
	}
	return tokens, nil
}

// dialTLS returns how to connect to nodes over TLS; nil is Go's default.
func (a *Admin) dialTLS() (func(context.Context, string, string) (net.Conn, error), error) {
	if a.client == (tlsconf.Options{}) && !a.insecure {
		return nil, nil
	}
	source, err := tlsconf.Open(a.client)
	if err != nil {
		return nil, err
	}
	if !a.insecure {
		return source.DialContext, nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config := source.Client("")
		config.InsecureSkipVerify = true
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	}, nil
}

// prefixOf parses a range of addresses, or nothing.
func prefixOf(p *netip.Prefix) func(string) error {
	return func(v string) error {
		*p = netip.Prefix{}
		if v == "" {
			return nil
		}
		parsed, err := netip.ParsePrefix(v)
		*p = parsed.Masked()
		return err
	}
}
