package node

import (
	"errors"
	"fmt"

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

// checkTLS reports what of the options for TLS does not fit together.
func (o *Options) checkTLS() error {
	if err := o.TLS.Validate(); err != nil {
		return err
	}
	if o.TLSRequired != TLSOptional && !o.TLS.HasCertificate() {
		return errors.New("TLS cannot be required without a certificate: give --tls-cert and --tls-key")
	}
	return nil
}

// openTLS reads the certificate files.
func (n *Node) openTLS() error {
	o := n.options.TLS
	o.Logger = n.options.Logger
	var err error
	n.tls, err = tlsconf.Open(o)
	return err
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
