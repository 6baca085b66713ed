// Package secret makes a cluster's one secret usable: from --cluster-key it derives the key that encrypts gossip and a
// certificate authority for the connections between nodes, so that an operator distributes one line and no files. Who has the
// key is a node; who has not can neither join, nor listen, nor be taken for one.
//
// Each use has a key of its own by HKDF (SHA-256), so that none tells anything of another:
//
//	cluster key (≥ 32 bytes) ──HKDF──┬── "weir gossip 1"    → AES-256 key
//	                                 └── "weir peer ca 1"   → Ed25519 seed of the authority
//
// The authority exists only in memory, the same in every node; each node issues itself a certificate at every start. There is
// no revocation: to shut a node out, give the others a new key.
package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

const (
	// MinKeyBytes is the shortest cluster key.
	MinKeyBytes = 32
	maxKeyBytes = 1024

	gossipUse = "weir gossip 1"
	caUse     = "weir peer ca 1"
)

// Key is a cluster key. The zero Key is none: no encryption, for loopback only.
type Key struct{ bytes []byte }

// New draws a fresh key.
func New() Key {
	b := make([]byte, MinKeyBytes)
	_, _ = rand.Read(b) // never fails
	return Key{b}
}

// Parse reads a key as it is given to a node: at least MinKeyBytes bytes, in hex or base64 (either alphabet, with or without
// padding). Space around it is ignored. The error never contains the text.
func Parse(text string) (Key, error) {
	text = strings.TrimSpace(text)
	b, err := hex.DecodeString(text)
	if err != nil {
		unpadded := strings.TrimRight(text, "=")
		if b, err = base64.RawStdEncoding.DecodeString(unpadded); err != nil {
			b, err = base64.RawURLEncoding.DecodeString(unpadded)
		}
	}
	switch {
	case err != nil:
		return Key{}, errors.New("a cluster key is written in hex or base64; `weir cluster key` prints one")
	case len(b) < MinKeyBytes:
		return Key{}, fmt.Errorf("a cluster key has at least %d bytes, this one has %d; `weir cluster key` prints one", MinKeyBytes, len(b))
	case len(b) > maxKeyBytes:
		return Key{}, fmt.Errorf("a cluster key has at most %d bytes", maxKeyBytes)
	}
	return Key{b}, nil
}

// ReadFile reads a key from a file that holds nothing else.
func ReadFile(name string) (Key, error) {
	f, err := os.Open(name)
	if err != nil {
		return Key{}, fmt.Errorf("read cluster key: %w", err)
	}
	defer f.Close()
	b := make([]byte, 3*maxKeyBytes)
	n, err := f.Read(b)
	if err != nil {
		return Key{}, fmt.Errorf("read cluster key %s: %w", name, err)
	}
	k, err := Parse(string(b[:n]))
	if err != nil {
		return Key{}, fmt.Errorf("cluster key file %s: %w", name, err)
	}
	return k, nil
}

// IsZero reports that there is no key.
func (k Key) IsZero() bool { return len(k.bytes) == 0 }

// Text returns the key as Parse takes it: 64 hex digits for a key of New.
func (k Key) Text() string { return hex.EncodeToString(k.bytes) }

// String keeps the key out of logs and errors.
func (k Key) String() string {
	if k.IsZero() {
		return "none"
	}
	return "(cluster key)"
}

// GoString does so for %#v.
func (k Key) GoString() string { return k.String() }

// Gossip returns the AES-256 key of gossip, nil if there is no cluster key.
func (k Key) Gossip() []byte {
	if k.IsZero() {
		return nil
	}
	return k.derive(gossipUse, 32)
}

func (k Key) derive(use string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k.bytes, nil, use, n)
	if err != nil {
		panic(err) // only for lengths that no caller here asks for
	}
	return b
}

// CheckAddress refuses to listen at an address that others than this machine can reach, if there is no key. The flag names where
// the address came from.
func (k Key) CheckAddress(flag, address string) error {
	if !k.IsZero() {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, address, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s %s can be reached from other machines, and there is no cluster key: whoever reaches it could join. "+
		"Give all nodes the same --cluster-key-file; `weir cluster key` prints a key", flag, address)
}
