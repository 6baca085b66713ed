package broker

import (
	"errors"
	"strings"
)

// maxNameLength bounds topic and channel names in bytes, suffix included, as NSQ does.
const maxNameLength = 64

// ephemeralSuffix ends the name of a topic or channel that lives in memory only.
const ephemeralSuffix = "#ephemeral"

// Errors about names.
var (
	ErrBadTopicName    = errors.New("topic name must be 1 to 64 of . a-z A-Z 0-9 _ - with an optional #ephemeral")
	ErrBadChannelName  = errors.New("channel name must be 1 to 64 of . a-z A-Z 0-9 _ - with an optional #ephemeral")
	ErrTopicNotFound   = errors.New("topic not found")
	ErrChannelNotFound = errors.New("channel not found")
)

// ValidTopicName reports whether s may name a topic: 1 to 64 characters of [.a-zA-Z0-9_-], the suffix #ephemeral included.
func ValidTopicName(s string) bool { return validName(s) }

// ValidChannelName reports whether s may name a channel. The rule is that of topics.
func ValidChannelName(s string) bool { return validName(s) }

func validName(s string) bool {
	if len(s) > maxNameLength {
		return false
	}
	s = strings.TrimSuffix(s, ephemeralSuffix)
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		ok := c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}

func isEphemeral(name string) bool { return strings.HasSuffix(name, ephemeralSuffix) }
