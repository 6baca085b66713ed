package access

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// foreignHost reports whether a request comes over the loopback interface, where nobody has to log in, and asks for a name that is not this
// machine's: a site can give a name of its own our address, and its scripts are then of the page's origin.
func (g *Guard) foreignHost(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if g.Login() != "none" || local == nil || !local.IP.IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return strings.Contains(host, ".") && // without a dot nobody outside can own it
		!strings.HasSuffix(host, ".localhost") &&
		!slices.ContainsFunc(g.options.Hosts, func(known string) bool { return strings.EqualFold(known, host) })
}
