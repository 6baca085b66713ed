//go:build process

package conformance

import (
	"testing"

	"github.com/weirmq/weir/internal/testkit/testcert"
)

// securityFlags are flags of servers for conversations about TLS that is required, and about AUTH whose server is down.
func securityFlags(t *testing.T) map[string][]string {
	pair := testcert.NewAuthority(t, "ca").Issue(t, testcert.Spec{})
	return map[string][]string{
		"tls": {"--tls-cert=" + pair.CertFile, "--tls-key=" + pair.KeyFile, "--https-address=127.0.0.1:0", "--tls-required=tcp-https",
			"--max-deflate-level=3"},
		"auth": {"--auth-http-address=127.0.0.1:1"},
	}
}

// securityConversations are held with servers of each of securityFlags.
func securityConversations() []conversation {
	var all []conversation
	for _, command := range []string{"PUB t\n" + body("x"), "DPUB t 1\n" + body("x"), "MPUB t\n" + body("\x00\x00\x00\x01"+body("x")), "SUB t c\n", "RDY 1\n",
		"CLS\n", "FIN 0123456789abcdef\n", "AUTH\n" + body("secret")} {
		all = append(all, conversation{quoted(command), func(c *client) { c.connect("").send(command).end() }})
	}
	for _, text := range []string{`{}`, `{"feature_negotiation":true}`, `{"feature_negotiation":true,"deflate_level":9}`} {
		all = append(all, conversation{"IDENTIFY " + text, func(c *client) {
			c.connect("").send("IDENTIFY\n", body(text)).read().send("SUB t c\n").end()
		}})
	}
	for _, text := range []string{`"tls_v1":true`, `"deflate":true,"deflate_level":9`, `"deflate":true,"deflate_level":2`} {
		all = append(all, conversation{"IDENTIFY with " + text, func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true,`+text+`}`)).read()
		}})
	}
	return all
}
