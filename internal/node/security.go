package node

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/tlsconf"
)

// TLSRequired says who must use TLS, as --tls-required does.
type TLSRequired int

// The numbers are those that nsqd shows at /config.
const (
	TLSOptional   TLSRequired = iota // nobody
	TLSEverywhere                    // clients of TCP and of HTTP
	TLSOnTCP                         // clients of TCP; HTTP may be in the clear ("tcp-https")
)

// checkSecurity reports what of the options for TLS and AUTH does not fit together.
func (o *Options) checkSecurity() error {
	if err := o.TLS.Validate(); err != nil {
		return err
	}
	if o.TLSRequired != TLSOptional && !o.TLS.HasCertificate() {
		return errors.New("TLS cannot be required without a certificate: give --tls-cert and --tls-key")
	}
	if o.HTTPAuthServer && len(o.Auth.Addresses) == 0 {
		return errors.New("no AUTH server can judge the tokens of HTTP requests: --auth-http-address is missing")
	}
	return o.Auth.Validate()
}

// openTLS reads the certificate files.
func (n *Node) openTLS() error {
	o := n.options.TLS
	o.Logger = n.options.Logger
	var err error
	n.tls, err = tlsconf.Open(o)
	return err
}

// openAuth prepares who judges clients. Nobody is asked yet.
func (n *Node) openAuth() error {
	o := &n.options
	if len(o.Auth.Addresses) > 0 {
		settings := o.Auth
		settings.TLS = n.tls
		var err error
		if n.authority, err = auth.NewAuthority(settings); err != nil {
			return err
		}
	}
	if o.HTTPTokenFile == "" && !o.HTTPAuthServer {
		return nil
	}
	n.guard = &auth.Guard{Logger: o.Logger, Own: rand.Text() + rand.Text()}
	if o.HTTPTokenFile != "" {
		var err error
		if n.guard.Tokens, err = auth.OpenTokens(o.HTTPTokenFile, o.Logger); err != nil {
			return err
		}
	}
	if o.HTTPAuthServer {
		n.guard.Authority = n.authority
	}
	return nil
}

// listenHTTPS opens the door for HTTPS if there is a certificate.
func (n *Node) listenHTTPS() error {
	o := &n.options
	if o.HTTPSAddress == "" || !o.TLS.HasCertificate() {
		return nil
	}
	var err error
	if n.httpsLn, err = listen(o.HTTPSAddress); err != nil {
		return fmt.Errorf("--https-address: %w", err)
	}
	return nil
}
