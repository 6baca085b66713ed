//go:build process

package conformance

import (
	"strings"
	"time"
)

// lookupHTTPConversations are about nsqlookupd's HTTP API.
func lookupHTTPConversations() []conversation {
	var all []conversation
	for _, request := range lookupRequests() {
		method, path, _ := strings.Cut(request, " ")
		all = append(all, conversation{request, func(c *client) { c.request(method, path, "") }})
	}
	for _, path := range []string{"/topic/create", "/topic/delete", "/topic/tombstone", "/channel/create", "/channel/delete"} {
		for _, query := range []string{
			"", "?topic=", "?topic=a$", "?topic=%zz", "?topic=TOPIC", "?channel=ch", "?topic=a$&channel=a$", "?topic=TOPIC&channel=", "?topic=TOPIC&channel=a$",
			"?topic=TOPIC&channel=ch", "?topic=TOPIC&channel=unknown", "?topic=other-TOPIC&channel=ch", "?topic=TOPIC&node=", "?topic=TOPIC&node=x:1",
			"?topic=TOPIC&node=127.0.0.1:4151", "?topic=" + strings.Repeat("n", 65), "?topic=TOPIC%23ephemeral&channel=ch%23ephemeral",
		} {
			all = append(all, conversation{path + query, func(c *client) {
				n := c.identified("one", 4150)
				n.say("REGISTER " + c.topic + " ch\n")
				c.post(path+strings.ReplaceAll(query, "TOPIC", c.topic), "")
				c.getSet("/lookup?topic=" + c.topic)
				c.get("/lookup?topic=other-" + c.topic)
				c.get("/lookup?topic=" + escaped(c.topic+"#ephemeral"))
				n.last()
			}})
		}
	}
	return all
}

// lookupRequests need no preparation.
func lookupRequests() []string {
	return []string{
		"GET /ping", "POST /ping", "OPTIONS /ping", "GET /ping/", "GET /PING", "GET /info", "GET /", "GET /nothing", "POST /topics", "POST /lookup?topic=t",
		"GET /topic/create?topic=t", "DELETE /topic/delete?topic=t", "GET /debug/pprof", "GET /debug/pprof/", "GET /debug/pprof/heap", "GET /debug/pprof/goroutine?debug=1",
		"GET /debug/pprof/block", "GET /debug/pprof/threadcreate", "GET /debug/pprof/cmdline", "GET /debug/pprof/symbol", "POST /debug/pprof/symbol",
		"GET /debug/pprof/nothing", "PUT /create_topic?topic=t", "GET /lookup", "GET /lookup?topic=", "GET /lookup?topic=unknown", "GET /lookup?topic=a$",
		"GET /lookup?topic=%zz", "GET /lookup?Topic=t", "GET /channels", "GET /channels?topic=", "GET /channels?topic=unknown", "GET /channels?topic=a$",
		"GET /channels?topic=%zz", "GET /lookup?topic=unknown;x=1",
	}
}

// lookupAloneConversations need services that nobody else talks to.
func lookupAloneConversations() []aloneConversation {
	all := func(c *client) {
		c.getSet("/topics")
		c.getSet("/nodes")
		c.getSet("/debug")
		c.getSet("/lookup?topic=t")
		c.getSet("/channels?topic=t")
	}
	return []aloneConversation{
		{conversation{"nothing registered", func(c *client) {
			c.get("/topics")
			c.get("/nodes")
			c.get("/lookup?topic=t")
		}}, nil},
		{conversation{"one broker comes and goes", func(c *client) {
			n := c.identified("one", 4150)
			all(c)
			n.say("REGISTER t c\n").say("REGISTER u\n")
			all(c)
			n.disconnect()
			c.pause()
			all(c)
		}}, nil},
		{conversation{"two brokers", func(c *client) {
			n, m := c.identified("one", 4150), c.identified("two", 5150)
			n.say("REGISTER t c\n")
			m.say("REGISTER t c\n").say("REGISTER t d\n")
			all(c)
			c.post("/channel/delete?topic=t&channel=c", "")
			all(c)
			m.say("REGISTER t c\n")
			c.post("/topic/delete?topic=t", "")
			all(c)
			n.say("PING\n").say("UNREGISTER t c\n").say("REGISTER t\n")
			all(c)
		}}, nil},
		{conversation{"a tombstone and its end", func(c *client) {
			n := c.identified("one", 4150)
			m := c.identified("two", 5150)
			n.say("REGISTER t c\n").say("REGISTER u\n")
			m.say("REGISTER t\n")
			c.post("/topic/tombstone?topic=t&node=127.0.0.1:4151", "")
			all(c)
			n.say("REGISTER t\n").say("PING\n")
			c.getSet("/lookup?topic=t")
			n.say("UNREGISTER t\n").say("REGISTER t\n")
			c.getSet("/lookup?topic=t")
			c.post("/topic/tombstone?topic=t&node=127.0.0.1:4151", "")
			time.Sleep(time.Second)
			all(c)
		}}, []string{"--tombstone-lifetime=900ms"}},
		{conversation{"a broker that says nothing", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER t c\n")
			time.Sleep(time.Second)
			c.getSet("/nodes")
			c.getSet("/lookup?topic=t")
			n.say("REGISTER u\n") // is no sign of life
			c.getSet("/nodes")
			n.say("PING\n")
			c.getSet("/nodes")
			c.getSet("/lookup?topic=t")
		}}, []string{"--inactive-producer-timeout=800ms"}},
		{conversation{"a star is no name", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER t c\n")
			c.getSet("/channels?topic=*")
			c.post("/channel/delete?topic=*&channel=*", "")
			c.post("/topic/delete?topic=*", "")
			c.getSet("/topics")
		}}, nil},
	}
}
