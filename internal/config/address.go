package config

import (
	"net"
	"strconv"
	"strings"
)

const addressForm = "HOST:PORT such as 127.0.0.1:4150 or :4150 (port 0 takes a free one), or the path of a unix socket with a slash in it"

// address parses a listen address. As in nsqd it may be the path of a unix socket; it needs a slash, so that a forgotten colon is
// found.
func address(p *string) func(string) error {
	return func(v string) error {
		if strings.Contains(v, "/") {
			*p = v
			return nil
		}
		return hostPort(p)(v)
	}
}

// hostPort parses HOST:PORT.
func hostPort(p *string) func(string) error {
	return func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return errValue
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errValue
		}
		*p = v
		return nil
	}
}

// host parses a host to listen at. An empty one would mean all interfaces, which nobody asks for by leaving a variable unset.
func host(p *string) func(string) error {
	return func(v string) error {
		if v == "" || strings.Contains(v, ":") && net.ParseIP(v) == nil {
			return errValue
		}
		*p = v
		return nil
	}
}

// orNothing lets a setting be empty.
func orNothing(p *string, parse func(string) error) func(string) error {
	return func(v string) error {
		if v == "" {
			*p = ""
			return nil
		}
		return parse(v)
	}
}

// fillAddress sets an address that was not given.
func fillAddress(p *string, host, port string) {
	if *p == "" {
		*p = net.JoinHostPort(host, port)
	}
}

// isWildcard reports whether a host means all interfaces; nobody can connect to it.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
