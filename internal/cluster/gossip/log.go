package gossip

import (
	"strings"
)

// logWriter takes memberlist's log lines, "[LEVEL] memberlist: text".
type logWriter struct{ g *Gossip }

// otherKey are parts of the lines that tell of gossip that this node's key does not open, or that has none.
var otherKey = []string{"decrypt", "not encrypted", "is encrypted", "ncryption is", "unacceptable label"}

// expected are parts of the lines about nodes that do not answer: that they are dead is told otherwise.
var expected = []string{"Failed to send", "fallback TCP ping", "Push/Pull with", "timeout reached", "Failed UDP ping", "failed to receive",
	"Conflicting address", "ignoring alive message", "Refuting an alive message", "public address without encryption"}

// Write logs one line at a sensible level. It never fails.
func (w logWriter) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	level, text, _ := strings.Cut(line, "memberlist: ")
	if text == "" {
		text = line
	}
	switch {
	case containsAny(strings.ToLower(text), otherKey):
		w.g.quiet.Warn("key", "gossip came in that this node's key does not open: another node was started with another --cluster-key, or "+
			"with none", "detail", text)
	case strings.Contains(level, "DEBUG"), strings.Contains(level, "INFO"), containsAny(text, expected):
		w.g.logger.Debug("memberlist", "line", text)
	default:
		w.g.quiet.Warn("memberlist "+kindOf(text), "gossip", "problem", text)
	}
	return len(p), nil
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// kindOf is the beginning of a line, up to what differs from node to node.
func kindOf(text string) string {
	if i := strings.IndexAny(text, "0123456789'\"(:"); i > 0 {
		return text[:i]
	}
	return text
}
