package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/testcert"
)

func open(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lookAgain makes the next handshake look at the files.
func (s *Source) lookAgain() { s.looked.Store(0) }

// shake connects a client to a server; it returns what the client sees, and both errors.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a.SetDeadline(time.Now().Add(5 * time.Second))
	b.SetDeadline(time.Now().Add(5 * time.Second))
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(a, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x")) // with TLS 1.3 a client hears of a refusal only when it reads
		}
		a.Close()
		done <- err
	}()
	conn := tls.Client(b, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 1))
	}
	b.Close()
	return conn.ConnectionState(), <-done, clientErr
}

func TestClientAndServerVerifyEachOther(t *testing.T) {
	ca, stranger := testcert.NewAuthority(t, "ours"), testcert.NewAuthority(t, "theirs")
	pair, foreign := ca.Issue(t, testcert.Spec{CommonName: "node-1"}), stranger.Issue(t, testcert.Spec{})
	peer := func(p testcert.Pair, root string) *Source {
		return open(t, Options{CertFile: p.CertFile, KeyFile: p.KeyFile, RootCAFile: root, ClientAuth: RequireVerified})
	}
	good := peer(pair, ca.File)
	state, serverErr, clientErr := shake(t, good.Server(), good.Client("127.0.0.1"))
	if serverErr != nil || clientErr != nil {
		t.Fatalf("two of the same authority: %v, %v", serverErr, clientErr)
	}
	if name := state.PeerCertificates[0].Subject.CommonName; name != "node-1" || state.Version != tls.VersionTLS13 {
		t.Errorf("got %s, version %x", name, state.Version)
	}
	if _, _, err := shake(t, good.Server(), good.Client("example.org")); !errors.As(err, new(x509.HostnameError)) {
		t.Errorf("a server of another name: %v", err)
	}
	if _, serverErr, _ := shake(t, good.Server(), peer(foreign, ca.File).Client("127.0.0.1")); serverErr == nil {
		t.Error("a client of another authority is let in")
	}
	if _, _, err := shake(t, peer(foreign, ca.File).Server(), good.Client("127.0.0.1")); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("a server of another authority: %v", err)
	}
	if _, serverErr, _ := shake(t, good.Server(), open(t, Options{RootCAFile: ca.File}).Client("127.0.0.1")); serverErr == nil {
		t.Error("a client without a certificate is let in")
	}
}

func TestPolicyRequireTakesAnyCertificate(t *testing.T) {
	ca, stranger := testcert.NewAuthority(t, "ours"), testcert.NewAuthority(t, "theirs")
	pair, foreign := ca.Issue(t, testcert.Spec{}), stranger.Issue(t, testcert.Spec{})
	server := open(t, Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile, RootCAFile: ca.File, ClientAuth: RequireCert}).Server()
	with := open(t, Options{CertFile: foreign.CertFile, KeyFile: foreign.KeyFile, RootCAFile: ca.File})
	if _, serverErr, err := shake(t, server, with.Client("localhost")); serverErr != nil || err != nil {
		t.Errorf("with a certificate of another authority: %v, %v", serverErr, err)
	}
	without := open(t, Options{RootCAFile: ca.File})
	if _, serverErr, _ := shake(t, server, without.Client("localhost")); serverErr == nil {
		t.Error("without a certificate: let in")
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	ca := testcert.NewAuthority(t, "ours")
	pair := ca.Issue(t, testcert.Spec{})
	for _, c := range []struct {
		least, spoken uint16
		ok            bool
	}{
		{0, tls.VersionTLS11, false}, {0, tls.VersionTLS12, true}, {tls.VersionTLS10, tls.VersionTLS10, true},
		{tls.VersionTLS13, tls.VersionTLS12, false}, {tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		server := open(t, Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile, MinVersion: c.least}).Server()
		client := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MinVersion: c.spoken, MaxVersion: c.spoken}
		if _, err, _ := shake(t, server, client); (err == nil) != c.ok {
			t.Errorf("server from %x on, client of %x: %v", c.least, c.spoken, err)
		}
	}
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	ca := testcert.NewAuthority(t, "ours")
	good, other := ca.Issue(t, testcert.Spec{}), ca.Issue(t, testcert.Spec{})
	old := ca.Issue(t, testcert.Spec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	young := ca.Issue(t, testcert.Spec{NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(t.TempDir(), "huge.pem")
	if err := os.WriteFile(huge, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"missing certificate", Options{CertFile: "/does/not/exist", KeyFile: good.KeyFile}, []string{"certificate /does/not/exist", "no such file"}},
		{"missing key", Options{CertFile: good.CertFile, KeyFile: "/does/not/exist"}, []string{"private key /does/not/exist", "no such file"}},
		{"missing root", Options{RootCAFile: "/does/not/exist"}, []string{"root CA file /does/not/exist"}},
		{"directory", Options{CertFile: t.TempDir(), KeyFile: good.KeyFile}, []string{"is a directory"}},
		{"junk", Options{CertFile: junk, KeyFile: good.KeyFile}, []string{junk, "cannot be used"}},
		{"junk root", Options{RootCAFile: junk}, []string{junk, "holds no certificate"}},
		{"huge", Options{CertFile: huge, KeyFile: good.KeyFile}, []string{huge, "too large"}},
		{"mismatched", Options{CertFile: good.CertFile, KeyFile: other.KeyFile}, []string{good.CertFile, other.KeyFile, "does not match"}},
		{"swapped", Options{CertFile: good.KeyFile, KeyFile: good.CertFile}, []string{"cannot be used"}},
		{"expired", Options{CertFile: old.CertFile, KeyFile: old.KeyFile}, []string{old.CertFile, "expired at"}},
		{"not yet valid", Options{CertFile: young.CertFile, KeyFile: young.KeyFile}, []string{young.CertFile, "valid only from"}},
		{"no key", Options{CertFile: good.CertFile}, []string{"--tls-key"}},
		{"no certificate", Options{KeyFile: good.KeyFile}, []string{"--tls-cert"}},
		{"policy alone", Options{ClientAuth: RequireCert}, []string{"--tls-cert"}},
	} {
		_, err := Open(c.o)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q lacks %q", c.name, err, part)
			}
		}
		if strings.Contains(err.Error(), "PRIVATE KEY-") {
			t.Errorf("%s: %q shows a key", c.name, err)
		}
	}
}

func TestNewFilesAreUsedAndBrokenOnesAreNot(t *testing.T) {
	ca := testcert.NewAuthority(t, "ours")
	pair := ca.Issue(t, testcert.Spec{CommonName: "first"})
	var log bytes.Buffer
	s := open(t, Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile, RootCAFile: ca.File, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	server := s.Server()
	served := func() string {
		t.Helper()
		state, _, err := shake(t, server, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Fatalf("served %s", got)
	}
	ca.IssueInto(t, pair, testcert.Spec{CommonName: "second"})
	if got := served(); got != "first" {
		t.Errorf("files are looked at with every handshake: %s", got)
	}
	s.lookAgain()
	if got := served(); got != "second" || !strings.Contains(log.String(), "certificate files have changed") {
		t.Errorf("served %s; log %s", got, &log)
	}
	for _, broken := range []struct {
		what, want string
		do         func()
	}{
		{"junk", "cannot be used", func() { os.WriteFile(pair.CertFile, []byte("junk"), 0o600) }},
		{"nothing", "no such file", func() { os.Remove(pair.CertFile) }},
		{"an expired one", "expired at", func() {
			ca.IssueInto(t, pair, testcert.Spec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		}},
	} {
		log.Reset()
		broken.do()
		for range 3 {
			s.lookAgain()
			if got := served(); got != "second" {
				t.Errorf("%s: served %s", broken.what, got)
			}
		}
		if n := strings.Count(log.String(), "the old ones stay in use"); n != 1 || !strings.Contains(log.String(), broken.want) {
			t.Errorf("%s: logged %d times: %s", broken.what, n, &log)
		}
	}
	log.Reset()
	ca.IssueInto(t, pair, testcert.Spec{CommonName: "third"})
	s.lookAgain()
	if got := served(); got != "third" || !strings.Contains(log.String(), "expires soon") {
		t.Errorf("served %s; log %s", got, &log)
	}
}

func TestNewRootIsUsedOnBothSides(t *testing.T) {
	old, young := testcert.NewAuthority(t, "old"), testcert.NewAuthority(t, "young")
	pair := old.Issue(t, testcert.Spec{})
	root := filepath.Join(t.TempDir(), "root.pem")
	copyFile(t, old.File, root)
	s := open(t, Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile, RootCAFile: root, ClientAuth: RequireVerified})
	server := s.Server()
	if _, serverErr, err := shake(t, server, s.Client("127.0.0.1")); serverErr != nil || err != nil {
		t.Fatal(serverErr, err)
	}
	copyFile(t, young.File, root)
	young.IssueInto(t, pair, testcert.Spec{})
	s.lookAgain()
	if _, serverErr, err := shake(t, server, s.Client("127.0.0.1")); serverErr != nil || err != nil {
		t.Errorf("after both were replaced: %v, %v", serverErr, err)
	}
	stale := &tls.Config{RootCAs: old.Pool(), ServerName: "127.0.0.1"}
	if _, _, err := shake(t, server, stale); err == nil {
		t.Error("the old certificate is still served")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDialContextVerifiesTheHost(t *testing.T) {
	ca := testcert.NewAuthority(t, "ours")
	pair := ca.Issue(t, testcert.Spec{Hosts: []string{"elsewhere.example"}})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", open(t, Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile}).Server())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if conn, err := ln.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	_, err = open(t, Options{RootCAFile: ca.File}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if !errors.As(err, new(x509.HostnameError)) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutACertificateThereIsNoServer(t *testing.T) {
	s := open(t, Options{})
	if s.Server() != nil {
		t.Error("got a server configuration")
	}
	if _, ok := s.Expires(); ok {
		t.Error("an expiry without a certificate")
	}
}
