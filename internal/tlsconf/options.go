package tlsconf

import (
	"crypto/tls"
	"errors"
	"log/slog"
)

// Options name the files. The zero value has none: clients verify against the system's roots, and there is no server.
type Options struct {
	// CertFile and KeyFile are PEM files: the certificate with its intermediates, and its private key. A server needs them; a
	// client shows them to servers that ask. Default: none.
	CertFile, KeyFile string
	// RootCAFile is a PEM file with the certificates that the other side's must come from. Default: the system's roots.
	RootCAFile string
	// ClientAuth is what a server asks of its clients. Default: nothing.
	ClientAuth ClientAuth
	// MinVersion is the oldest protocol version that is spoken, tls.VersionTLS10 and so on. Default: TLS 1.2. Our clients never
	// speak an older one than that.
	MinVersion uint16
	// Logger takes what an operator should know of new files. Default: discard.
	Logger *slog.Logger
}

// ClientAuth is what a server asks of its clients.
type ClientAuth int

// The values are those of --tls-client-auth-policy.
const (
	NoClientCert    ClientAuth = iota
	RequireCert                // "require": some certificate, not verified
	RequireVerified            // "require-verify": one that comes from the root CA file
)

// HasCertificate reports whether there is a certificate, as a server needs.
func (o *Options) HasCertificate() bool { return o.CertFile != "" }

// Validate reports the first option that does not fit the others. It reads no file.
func (o *Options) Validate() error {
	switch {
	case o.CertFile != "" && o.KeyFile == "":
		return errors.New("a certificate needs its private key: --tls-key is missing")
	case o.CertFile == "" && o.KeyFile != "":
		return errors.New("a private key needs its certificate: --tls-cert is missing")
	case o.ClientAuth != NoClientCert && o.CertFile == "":
		return errors.New("clients can be asked for a certificate over TLS only: --tls-cert and --tls-key are missing")
	}
	return nil
}

// versions are the words of --tls-min-version.
var versions = map[string]uint16{
	"tls1.0": tls.VersionTLS10, "tls1.1": tls.VersionTLS11, "tls1.2": tls.VersionTLS12, "tls1.3": tls.VersionTLS13,
}

// ParseVersion reads a protocol version as nsqd spells it: tls1.0 to tls1.3.
func ParseVersion(word string) (version uint16, ok bool) {
	version, ok = versions[word]
	return version, ok
}

// ParseClientAuth reads a policy as nsqd spells it: require or require-verify. Nothing means none.
func ParseClientAuth(word string) (policy ClientAuth, ok bool) {
	switch word {
	case "":
		return NoClientCert, true
	case "require":
		return RequireCert, true
	case "require-verify":
		return RequireVerified, true
	}
	return NoClientCert, false
}

// tlsPolicy is the policy as crypto/tls knows it.
func (a ClientAuth) tlsPolicy() tls.ClientAuthType {
	switch a {
	case RequireCert:
		return tls.RequireAnyClientCert
	case RequireVerified:
		return tls.RequireAndVerifyClientCert
	}
	return tls.NoClientCert
}
