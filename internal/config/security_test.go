package config

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tlsconf"
)

func TestTLSRequiredTakesNsqdsWords(t *testing.T) {
	files := []string{"--tls-cert=c", "--tls-key=k"}
	for _, c := range []struct {
		args []string
		want node.TLSRequired
	}{
		{nil, node.TLSOptional}, {[]string{"--tls-required"}, node.TLSEverywhere}, {[]string{"-tls-required=true"}, node.TLSEverywhere},
		{[]string{"-tls-required=tcp-https"}, node.TLSOnTCP}, {[]string{"--tls-required=tcp-https", "--tls-required=false"}, node.TLSOptional},
		{[]string{"--tls-client-auth-policy=require"}, node.TLSEverywhere},
		{[]string{"--tls-client-auth-policy=require-verify", "--tls-required=tcp-https"}, node.TLSOnTCP},
	} {
		for _, parse := range []func(...string) (*Node, error){parseServe, parseNsqd} {
			n, err := parse(append(files, c.args...)...)
			if err != nil || n.Options.TLSRequired != c.want {
				t.Errorf("%q: %v, %v, want %v", c.args, n.Options.TLSRequired, err, c.want)
			}
		}
	}
}

func TestSecuritySettingsReachTheNode(t *testing.T) {
	n, err := parseNsqd("--tls-cert=c", "--tls-key=k", "--tls-root-ca-file=r", "--tls-client-auth-policy=require-verify", "--tls-min-version=tls1.3",
		"--snappy=false", "--deflate=false", "--max-deflate-level=3", "--auth-http-address=a:1", "--auth-http-address=https://b/auth",
		"--auth-http-request-method=POST", "--http-client-request-timeout=1s", "--http-auth-token-file=t", "--http-auth-server", "--https-address=:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &n.Options
	want := tlsconf.Options{CertFile: "c", KeyFile: "k", RootCAFile: "r", ClientAuth: tlsconf.RequireVerified, MinVersion: tls.VersionTLS13}
	if o.TLS != want || !o.TCP.NoSnappy || !o.TCP.NoDeflate || o.TCP.MaxDeflateLevel != 3 || len(o.Auth.Addresses) != 2 || !o.Auth.Post ||
		o.Auth.RequestTimeout.Seconds() != 1 || o.HTTPTokenFile != "t" || !o.HTTPAuthServer || o.HTTPSAddress != ":0" {
		t.Errorf("got %+v", o)
	}
	if n, err := parseNsqd(); err != nil || n.Options.TLS.MinVersion != tls.VersionTLS10 {
		t.Errorf("nsqd speaks from %x on, %v", n.Options.TLS.MinVersion, err)
	}
	if n, err := parseServe(); err != nil || n.Options.TLS.MinVersion != tls.VersionTLS12 || n.Options.TCP.NoSnappy || n.Options.TCP.NoDeflate {
		t.Errorf("got %+v, %v", n.Options, err)
	}
}

func TestSettingsShowNoSecrets(t *testing.T) {
	s := Nsqd(new(Node))
	if err := s.Parse([]string{"--auth-http-address=https://user:hidden1@host/auth?key=hidden2", "--auth-http-address=plain:80"}, environment(nil)); err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	s.Help(&help)
	shown := fmt.Sprint(s.Values()) + help.String()
	if strings.Contains(shown, "hidden") || !strings.Contains(shown, "https://host/auth") || !strings.Contains(shown, "plain:80") {
		t.Errorf("shown: %s", shown)
	}
}
