package access

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// maxTokens bounds a file of tokens.
const maxTokens = 10_000

// minTokenBytes is the length of the shortest token: shorter ones can be guessed.
const minTokenBytes = 16

// Tokens are who is who by token. Only hashes are kept.
type Tokens map[[sha256.Size]byte]holder

type holder struct {
	user   string
	role   Role
	bodies bool
}

// ParseTokens reads a file of tokens: one on each line, after its holder's name and role (admin, read, or read+bodies), separated by
// blanks. Empty lines and those that begin with # are skipped. Errors name the line and quote nothing of it: the token may be in the wrong place.
func ParseTokens(r io.Reader) (Tokens, error) {
	tokens := make(Tokens)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: want NAME ROLE TOKEN, separated by blanks", n)
		}
		h := holder{user: fields[0]}
		switch fields[1] {
		case "admin":
			h.role = Admin
		case "read":
			h.role = Read
		case "read+bodies":
			h.role, h.bodies = Read, true
		default:
			return nil, fmt.Errorf("line %d: want admin, read or read+bodies between name and token", n)
		}
		if len(fields[2]) < minTokenBytes {
			return nil, fmt.Errorf("line %d: the token has less than %d characters", n, minTokenBytes)
		}
		key := sha256.Sum256([]byte(fields[2]))
		if _, twice := tokens[key]; twice {
			return nil, fmt.Errorf("line %d: the token was there before", n)
		}
		tokens[key] = h
		if len(tokens) > maxTokens {
			return nil, fmt.Errorf("more than %d tokens", maxTokens)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("no token: nobody could log in")
	}
	return tokens, nil
}

// holder finds who has a token. Looking up a hash tells nothing of how much of a guess was right.
func (t Tokens) holder(token string) (holder, bool) {
	h, ok := t[sha256.Sum256([]byte(token))]
	return h, ok
}
