package secret

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, text string) Key {
	t.Helper()
	k, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAKeyIsReadInHexAndBase64(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb, 0xff, 7}, 11)
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), "  " + hex.EncodeToString(raw) + "\n",
		base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
	} {
		if k := parse(t, text); !bytes.Equal(k.bytes, raw) {
			t.Errorf("%q was read as something else", text)
		}
	}
	if k := New(); !bytes.Equal(parse(t, k.Text()).bytes, k.bytes) || k.Text() == New().Text() {
		t.Error("a fresh key does not survive its text, or is not fresh")
	}
}

func TestABadKeyIsRefusedAndNeverShown(t *testing.T) {
	for _, text := range []string{"", "swordfish!", strings.Repeat("ab", 31), strings.Repeat("ab", 2000)} {
		_, err := Parse(text)
		if err == nil {
			t.Errorf("%.20q was taken", text)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	k := New()
	for _, format := range []string{"%v", "%s", "%+v", "%#v"} {
		if shown := fmt.Sprintf(format, k); strings.Contains(shown, k.Text()) || strings.Contains(shown, fmt.Sprint(k.bytes)) {
			t.Errorf("%s shows the key: %s", format, shown)
		}
	}
}

func TestAKeyFileIsRead(t *testing.T) {
	k := New()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(k.Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(name)
	if err != nil || got.Text() != k.Text() {
		t.Fatalf("got another key, %v", err)
	}
	if _, err := ReadFile(name + ".no"); err == nil || !strings.Contains(err.Error(), "key.no") {
		t.Fatalf("a missing file: %v", err)
	}
}

// Nodes of two versions must derive the same: these bytes never change.
const (
	goldenGossip = "2f4dd51acdeea5329febddd8b8d3a320087126d9b77fcc89af4d42145d75e9f8"
	goldenCA     = "e283dc733f13807aab1ff1b074c4fdcfbfc626b4acd39d0af9f77b54d391b0b5"
)

func TestDerivedKeysAreGolden(t *testing.T) {
	k := parse(t, strings.Repeat("00", 31)+"01")
	if got := hex.EncodeToString(k.Gossip()); got != goldenGossip {
		t.Errorf("gossip key %s, want %s", got, goldenGossip)
	}
	if got := hex.EncodeToString(k.derive(caUse, 32)); got != goldenCA {
		t.Errorf("authority's seed %s, want %s", got, goldenCA)
	}
	if (Key{}).Gossip() != nil {
		t.Error("no key has a gossip key")
	}
}

func TestWithoutAKeyOnlyLoopbackIsListenedAt(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:4180": true, "[::1]:4180": true, "localhost:4180": true, "127.8.0.1:0": true,
		":4180": false, "0.0.0.0:4180": false, "10.0.0.1:4180": false, "[::]:4180": false, "broker:4180": false, "nonsense": false,
	} {
		if err := (Key{}).CheckAddress("--peer-address", address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err := New().CheckAddress("--peer-address", address); err != nil {
			t.Errorf("%s with a key: %v", address, err)
		}
	}
}

// handshake connects two configurations and returns what each side says.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, c := range []net.Conn{a, b} { // a pipe holds nothing: what the other side does not read blocks
		if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	errC := make(chan error, 1)
	go func() {
		err := tls.Server(a, server).Handshake()
		a.Close()
		errC <- err
	}()
	c := tls.Client(b, client)
	clientErr = c.Handshake()
	if clientErr == nil { // in TLS 1.3 the server's verdict comes after the client's handshake
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			clientErr = err
		}
	}
	b.Close()
	return <-errC, clientErr
}

func config(t *testing.T, k Key) *tls.Config {
	t.Helper()
	c, err := k.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNodesOfOneKeyTrustEachOther(t *testing.T) {
	k := New()
	if s, c := handshake(t, config(t, k), config(t, parse(t, k.Text()))); s != nil || c != nil {
		t.Fatalf("server %v, client %v", s, c)
	}
	if c, err := (Key{}).TLS(); c != nil || err != nil {
		t.Fatalf("without a key: %v, %v", c, err)
	}
}

func TestNodesOfTwoKeysDoNot(t *testing.T) {
	other := config(t, New())
	if s, c := handshake(t, config(t, New()), other); s == nil || c == nil {
		t.Errorf("two keys: server %v, client %v", s, c)
	}
	naked := other.Clone()
	naked.Certificates = nil
	naked.InsecureSkipVerify = true
	if s, _ := handshake(t, config(t, New()), naked); s == nil {
		t.Error("a client without a certificate was let in")
	}
	old := other.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if s, c := handshake(t, other, old); s == nil || c == nil {
		t.Error("TLS 1.2 was spoken")
	}
}
