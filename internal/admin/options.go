package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/version"
)

// DefaultMaxConnections is how many connections a server takes at a time unless told otherwise.
const DefaultMaxConnections = 1_024

// Options configure a Server. The zero value of a field means its default, which is that of nsqadmin's flag of the same name.
type Options struct {
	// Logger takes what an operator should know, and every action. Default: discard.
	Logger *slog.Logger
	// Settings are shown and changed by /config, under the keys that they have in a settings file.
	Settings map[string]Setting
	// Version is reported by the page. Default version.Weir.
	Version string

	// BasePath is the path of the page. Default "/".
	BasePath string
	// DevStaticDir is a directory to serve the page's files from, instead of those built in; for working on the page.
	DevStaticDir string

	// Lookupds and Nodes (host:port, or https://host:port) are asked for nodes.
	Lookupds []string
	Nodes    []string
	// ConnectTimeout and RequestTimeout bound one request to a node or lookup service. Defaults 2s and 5s.
	ConnectTimeout time.Duration
	RequestTimeout time.Duration
	// DialTLS connects for requests over HTTPS. nil verifies against the system's roots.
	DialTLS func(ctx context.Context, network, address string) (net.Conn, error)
	// NodeToken is sent as a bearer token, unless empty, to Lookupds, to Nodes, and to nodes at TokenHosts: names or addresses without
	// a port, "*" for all. Who registers with a lookup service is shown; that alone earns him no token.
	NodeToken  string
	TokenHosts []string

	// GraphiteURL is where /api/graphite asks, and, with ProxyGraphite, where /render leads.
	GraphiteURL   string
	ProxyGraphite bool
	// StatsdInterval is how often nodes send to statsd. Default 60s.
	StatsdInterval time.Duration

	// NotificationEndpoint is a URL that every action is POSTed to.
	NotificationEndpoint string
	// AllowConfigFrom says from where /config may be used; the zero value: from everywhere.
	AllowConfigFrom netip.Prefix

	// ACLHeader names the user, and AdminUsers may act; see access. Default X-Forwarded-User, everybody.
	ACLHeader  string
	AdminUsers []string
	// Tokens are accepted for logging in. nil: nobody has to log in.
	Tokens access.Tokens
	// Hosts are names, besides localhost, addresses and the machine's own name, by which a page on the loopback interface may be asked if
	// nobody has to log in.
	Hosts []string
	// Bodies says who sees message bodies. Default access.BodiesAdmin.
	Bodies access.Bodies

	// Interval is how often live updates are computed while somebody watches. Default 2s.
	Interval time.Duration
	// MaxConnections bounds the connections at a time; further ones wait. Default 1,024.
	MaxConnections int
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Version = cmp.Or(o.Version, version.Weir)
	o.BasePath = path.Join("/", o.BasePath)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 2*time.Second)
	o.RequestTimeout = cmp.Or(o.RequestTimeout, 5*time.Second)
	o.StatsdInterval = cmp.Or(o.StatsdInterval, time.Minute)
	o.ACLHeader = cmp.Or(o.ACLHeader, "X-Forwarded-User")
	o.Bodies = cmp.Or(o.Bodies, access.BodiesAdmin)
	o.Interval = cmp.Or(o.Interval, 2*time.Second)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
}

// Validate names the first field that cannot be used.
func (o *Options) Validate() error {
	if len(o.Lookupds) == 0 && len(o.Nodes) == 0 {
		return errors.New("--lookupd-http-address or --nsqd-http-address is missing: nobody could be asked")
	}
	for _, address := range append(append([]string{}, o.Lookupds...), o.Nodes...) {
		if strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://") == "" {
			return fmt.Errorf("%q is not an address such as 127.0.0.1:4161", address)
		}
	}
	for _, u := range []struct{ name, value string }{{"graphite-url", o.GraphiteURL}, {"notification-http-endpoint", o.NotificationEndpoint}} {
		if parsed, err := url.Parse(u.value); u.value != "" && (err != nil || parsed.Host == "") {
			return fmt.Errorf("%s %q: must be a URL such as http://host:port", u.name, u.value)
		}
	}
	if o.ProxyGraphite && o.GraphiteURL == "" {
		return errors.New("proxy-graphite needs graphite-url")
	}
	if o.ConnectTimeout < 0 || o.RequestTimeout < 0 || o.StatsdInterval < 0 || o.Interval < 0 || o.MaxConnections < 0 {
		return errors.New("ConnectTimeout, RequestTimeout, StatsdInterval, Interval, MaxConnections: must not be negative")
	}
	return nil
}

// trusts tells whether an address (host:port, or https://host:port) may be shown NodeToken.
func (o *Options) trusts(address string) bool {
	if slices.Contains(o.Lookupds, address) || slices.Contains(o.Nodes, address) || slices.Contains(o.TokenHosts, "*") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"))
	return err == nil && slices.ContainsFunc(o.TokenHosts, func(trusted string) bool { return strings.EqualFold(trusted, host) })
}
