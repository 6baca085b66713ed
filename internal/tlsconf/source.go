package tlsconf

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookInterval is how long what was found in the files is believed.
	lookInterval = time.Second
	// expiryWarning is how long before its end a certificate that is taken into use is complained about.
	expiryWarning = 14 * 24 * time.Hour
)

// A Source makes configurations from the files as they are now. Its methods may be called from any goroutine.
type Source struct {
	options Options
	current atomic.Pointer[material]
	looked  atomic.Int64 // Unix ns of the last look

	mu struct {
		sync.Mutex
		stamps  [3]stamp // of certificate, key and root CA file, as in current
		refused string   // the problem that was logged last; "" if the files are those in use
	}
}

// Open reads the files. What cannot be used is an error that names the file.
func Open(options Options) (*Source, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Source{options: options}
	now := time.Now()
	s.mu.stamps = s.stamps()
	m, err := options.load(now)
	if err != nil {
		return nil, err
	}
	if options.ClientAuth == RequireVerified && options.RootCAFile == "" {
		options.Logger.Warn("clients may show a certificate of any authority that this system trusts; name yours with --tls-root-ca-file")
	}
	s.use(m, now)
	return s, nil
}

// Server returns the configuration for listeners, nil if there is no certificate. It follows the files by itself. No protocol is
// negotiated (ALPN), so HTTP stays at version 1.1.
func (s *Source) Server() *tls.Config {
	if !s.options.HasCertificate() {
		return nil
	}
	config := s.current.Load().server.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.look().server, nil }
	return config
}

// Client returns the configuration for one outgoing connection to a server of that name (a host name or an IP address), which is
// verified. If there is a certificate, it is shown to a server that asks for one. Ask anew for each connection: this one does not
// follow the files.
func (s *Source) Client(name string) *tls.Config {
	m := s.look()
	config := &tls.Config{ServerName: name, RootCAs: m.roots, MinVersion: max(s.options.MinVersion, tls.VersionTLS12)}
	if m.cert != nil {
		config.Certificates = []tls.Certificate{*m.cert}
	}
	return config
}

// DialContext connects and shakes hands; the server must prove to be the host of the address. It fits
// http.Transport.DialTLSContext.
func (s *Source) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	dialer := tls.Dialer{Config: s.Client(host)}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s by TLS: %w", address, err)
	}
	return conn, nil
}

// Expires returns when the certificate in use expires; ok is false without one.
func (s *Source) Expires() (at time.Time, ok bool) {
	m := s.look()
	return m.expires, m.cert != nil
}

// look returns what is in the files, or was there when they could be used last.
func (s *Source) look() *material {
	now := time.Now()
	last := s.looked.Load()
	if now.UnixNano()-last < int64(lookInterval) || !s.looked.CompareAndSwap(last, now.UnixNano()) {
		return s.current.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps := s.stamps()
	changed := s.mu.refused != ""
	for i := range stamps {
		changed = changed || !stamps[i].same(s.mu.stamps[i])
	}
	if !changed {
		return s.current.Load()
	}
	m, err := s.options.load(now)
	if err != nil {
		s.refuseLocked(err)
		return s.current.Load()
	}
	s.mu.stamps, s.mu.refused = stamps, ""
	s.options.Logger.Info("certificate files have changed, using the new ones", slog.String("certificate", s.options.CertFile),
		slog.String("root_ca", s.options.RootCAFile), slog.Time("expires", m.expires))
	s.use(m, now)
	return m
}

// refuseLocked logs why the new files are not used, once for each problem.
func (s *Source) refuseLocked(err error) {
	if s.mu.refused == err.Error() {
		return
	}
	s.mu.refused = err.Error()
	s.options.Logger.Error("new certificate files cannot be used, the old ones stay in use; repair or replace the files",
		slog.Any("error", err))
}

// use takes files into use.
func (s *Source) use(m *material, now time.Time) {
	s.looked.Store(now.UnixNano())
	s.current.Store(m)
	if m.cert != nil && m.expires.Sub(now) < expiryWarning {
		s.options.Logger.Warn("the certificate expires soon; replace the files, a restart is not needed",
			slog.String("certificate", s.options.CertFile), slog.Time("expires", m.expires))
	}
}

func (s *Source) stamps() [3]stamp {
	o := &s.options
	return [3]stamp{stampOf(o.CertFile), stampOf(o.KeyFile), stampOf(o.RootCAFile)}
}
