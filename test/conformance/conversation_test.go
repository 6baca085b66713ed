//go:build process

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// conversation is one story between clients and a server. hold must do the same whichever server it talks to; what it sees
// becomes the transcript.
type conversation struct {
	name string
	hold func(c *client)
}

// client is the clients' side of one conversation with one server.
type client struct {
	server *server
	topic  string // a name of the conversation's own, the same with both servers
	alone  bool   // nobody else talks to the server
	lines  []string
	ids    map[string]int // message id → order of appearance, from 1
	conns  []*conn
	err    error // the conversation could not be held: not a difference, a failure
}

// TestWeirAnswersAsStockNsqd holds all conversations with both servers.
func TestWeirAnswersAsStockNsqd(t *testing.T) {
	seen := &sightings{table: table}
	t.Run("shared", func(t *testing.T) {
		servers := startPair(t)
		for _, group := range []struct {
			name          string
			conversations []conversation
		}{
			{"framing", framingConversations()},
			{"identify", identifyConversations()},
			{"publish", publishConversations()},
			{"subscribe", subscribeConversations()},
			{"inflight", inFlightConversations()},
			{"heartbeat", heartbeatConversations()},
			{"http", httpConversations()},
			{"http-publish", httpPublishConversations()},
			{"http-admin", httpAdminConversations()},
			{"http-stats", httpStatsConversations()},
			{"http-config", httpConfigConversations()},
		} {
			t.Run(group.name, func(t *testing.T) {
				for i, c := range group.conversations {
					c.name = group.name + ": " + c.name
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						compare(t, servers, c, fmt.Sprintf("%s-%d", group.name, i), seen)
					})
				}
			})
		}
	})
	for name, flags := range securityFlags(t) {
		t.Run(name, func(t *testing.T) {
			servers := startPair(t, flags...)
			for i, c := range securityConversations() {
				c.name = name + ": " + c.name
				t.Run(c.name, func(t *testing.T) { compare(t, servers, c, fmt.Sprintf("%s-%d", name, i), seen) })
			}
		})
	}
	t.Run("alone", func(t *testing.T) { // conversations about the whole node, each with servers of its own
		for _, c := range aloneConversations() {
			c.name = "alone: " + c.name
			t.Run(c.name, func(t *testing.T) {
				compare(t, startPair(t, c.flags...), c.conversation, aloneTopic, seen)
			})
		}
	})
	seen.checkTable(t)
}

// aloneTopic is the topic of conversations that have their servers for themselves.
const aloneTopic = "topic"

// compare holds a conversation with both servers and reports every difference that is not deliberate.
func compare(t *testing.T, servers pair, c conversation, topic string, seen *sightings) {
	alone := topic == aloneTopic
	stock, weir := newClient(servers.stock, topic, alone), newClient(servers.weir, topic, alone)
	var both sync.WaitGroup
	for _, side := range []*client{stock, weir} {
		both.Go(func() {
			c.hold(side)
			for _, conn := range side.conns {
				conn.raw.Close()
			}
		})
	}
	both.Wait()
	t.Logf("stock:\n%s", strings.Join(stock.lines, "\n"))
	if !slices.ContainsFunc(stock.lines, func(line string) bool { return !strings.Contains(line, "> ") }) {
		t.Error("nothing was seen of the server: this conversation cannot fail")
	}
	for _, side := range []*client{stock, weir} {
		if side.err != nil {
			t.Errorf("%s: %v\nafter:\n%s", side.server.name, side.err, strings.Join(side.lines, "\n"))
		}
	}
	for _, d := range diff(stock.lines, weir.lines) {
		if reason := seen.deliberate(c.name, d); reason == "" {
			t.Errorf("not in the table:\n  stock %s\n  weir  %s", d.stock, d.weir)
		} else {
			t.Logf("deliberate (%s):\n  stock %s\n  weir  %s", reason, d.stock, d.weir)
		}
	}
}

func newClient(s *server, topic string, alone bool) *client {
	return &client{server: s, topic: topic, alone: alone, ids: map[string]int{}}
}

// note adds a line to the transcript.
func (c *client) note(format string, args ...any) {
	if c.err == nil {
		c.lines = append(c.lines, fmt.Sprintf(format, args...))
	}
}

// fail ends the conversation: what follows is not noted.
func (c *client) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}
