package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// maxTokenFile bounds a file of tokens, in bytes.
	maxTokenFile = 64 << 10
	// minTokenLength is below what a token is guessed.
	minTokenLength = 16
	// lookInterval is how long what was found in the file is believed.
	lookInterval = time.Second
)

// Tokens are what operators show to the HTTP API: the lines of a file. Empty lines and those that begin with # do not count. The file
// is looked at again with a request, at most once in a second; while it cannot be used, its last contents hold.
type Tokens struct {
	path   string
	logger *slog.Logger

	mu struct {
		sync.Mutex
		digests [][sha256.Size]byte
		looked  time.Time
		refused string // the problem that was logged last
	}
}

// OpenTokens reads a file of tokens. An error names the file, never its contents.
func OpenTokens(path string, logger *slog.Logger) (*Tokens, error) {
	digests, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	t := &Tokens{path: path, logger: logger}
	t.mu.digests, t.mu.looked = digests, time.Now()
	return t, nil
}

// Know reports whether a token is one of the file's. How long it takes does not tell how much of a guess is right.
func (t *Tokens) Know(token string) bool {
	digest := sha256.Sum256([]byte(token))
	known := 0
	for _, d := range t.look() {
		known |= subtle.ConstantTimeCompare(d[:], digest[:])
	}
	return known == 1
}

// look returns the digests of the tokens in the file.
func (t *Tokens) look() [][sha256.Size]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.mu.looked) < lookInterval {
		return t.mu.digests
	}
	t.mu.looked = time.Now()
	digests, err := readTokens(t.path)
	switch {
	case err == nil:
		t.mu.digests, t.mu.refused = digests, ""
	case err.Error() != t.mu.refused:
		t.mu.refused = err.Error()
		t.logger.Error("the file of HTTP tokens cannot be used, the last tokens still hold; repair the file", slog.Any("error", err))
	}
	return t.mu.digests
}

func readTokens(path string) ([][sha256.Size]byte, error) {
	data, err := readSmallFile(path)
	if err != nil {
		return nil, fmt.Errorf("token file %s: %w", path, err)
	}
	var digests [][sha256.Size]byte
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case len(line) < minTokenLength:
			return nil, fmt.Errorf("token file %s line %d: a token needs at least %d characters", path, i+1, minTokenLength)
		default:
			digests = append(digests, sha256.Sum256([]byte(line)))
		}
	}
	if len(digests) == 0 {
		return nil, fmt.Errorf("token file %s: there is no token in it", path)
	}
	return digests, nil
}

func readSmallFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxTokenFile {
		return nil, errors.New("too large to be one")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return nil, p.Err
	}
	return data, err
}
