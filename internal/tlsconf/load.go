package tlsconf

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxFileBytes bounds what is read of one file.
const maxFileBytes = 4 << 20

// material is what the files held at one time. It is never changed.
type material struct {
	server  *tls.Config      // nil without a certificate
	cert    *tls.Certificate // nil likewise
	roots   *x509.CertPool   // nil for the system's
	expires time.Time        // of the certificate
}

// load reads the files and checks that they can be used now.
func (o *Options) load(now time.Time) (*material, error) {
	m := new(material)
	if o.RootCAFile != "" {
		pem, err := readFile("root CA file", o.RootCAFile)
		if err != nil {
			return nil, err
		}
		m.roots = x509.NewCertPool()
		if !m.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("root CA file %s holds no certificate in PEM form", o.RootCAFile)
		}
	}
	if !o.HasCertificate() {
		return m, nil
	}
	if err := o.loadCertificate(m, now); err != nil {
		return nil, err
	}
	m.server = &tls.Config{
		Certificates: []tls.Certificate{*m.cert}, ClientAuth: o.ClientAuth.tlsPolicy(),
		MinVersion: cmp.Or(o.MinVersion, tls.VersionTLS12),
	}
	if o.ClientAuth == RequireVerified { // else the names of these authorities would keep clients from showing another's
		m.server.ClientCAs = m.roots
	}
	return m, nil
}

// loadCertificate reads the certificate and its key.
func (o *Options) loadCertificate(m *material, now time.Time) error {
	certPEM, err := readFile("certificate", o.CertFile)
	if err != nil {
		return err
	}
	keyPEM, err := readFile("private key", o.KeyFile)
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("certificate %s and private key %s cannot be used: %w", o.CertFile, o.KeyFile, err)
	}
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certificate %s expired at %s", o.CertFile, leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certificate %s is valid only from %s on", o.CertFile, leaf.NotBefore.Format(time.RFC3339))
	}
	m.cert, m.expires = &cert, cert.Leaf.NotAfter
	return nil
}

// readFile reads a file of a sensible size.
func readFile(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFileBytes {
		err = errors.New("too large to be one")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, path, cause(err))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, path, cause(err))
	}
	return data, nil
}

// cause leaves out of a file's error what the caller says in its own words.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// stamp tells whether a file was replaced or written.
type stamp struct {
	info os.FileInfo // nil if there is none
}

func stampOf(path string) stamp {
	if path == "" {
		return stamp{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info}
}

func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}
