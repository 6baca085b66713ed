//go:build process

package conformance

import (
	"strings"
	"time"
)

// delivered is a conversation that begins with n messages delivered to a consumer, which are in flight.
func delivered(c *client, bodies []string, identify string) *conn {
	p := c.connect("publisher")
	for _, b := range bodies {
		p.send("PUB "+c.topic+"\n", body(b)).read()
	}
	n := c.consume("consumer", "ch", 10, identify)
	for range bodies {
		n.read()
	}
	return n
}

// shortTimeout asks for the shortest msg_timeout.
const shortTimeout = `{"msg_timeout":1000}`

// inFlightConversations are about FIN, REQ, TOUCH and what ends an attempt.
func inFlightConversations() []conversation {
	all := []conversation{
		{"FIN", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			n.send("FIN " + n.id + " more parameters\n").quiet()
			c.settle("ch", 0, 0, 0)
			n.send("FIN " + n.id + "\n").read().send("TOUCH " + n.id + "\n").read().send("REQ " + n.id + " 0\n").read().end()
		}},
		{"FIN of another's message", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			other := c.consume("other", "ch", 0, "")
			other.send("FIN " + n.id + "\n").read().send("REQ " + n.id + " 0\n").read().send("TOUCH " + n.id + "\n").read().end()
			n.send("FIN " + n.id + "\n").end()
		}},
		{"FIN of another channel's message", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			other := c.consume("other", "second", 0, "")
			other.send("FIN " + n.id + "\n").read().end()
		}},
		{"REQ at once", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			n.send("REQ " + n.id + " 0\n").read().send("REQ " + n.id + " 0 more\n").read().send("FIN " + n.id + "\n").quiet()
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"REQ with a delay comes later, not early", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			begin := now()
			n.send("REQ " + n.id + " 1500\n")
			c.settle("ch", 0, 0, 1)
			n.send("FIN " + n.id + "\n").read()
			n.readNotBefore(begin, 1500*ms)
		}},
		{"REQ beyond max-req-timeout", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			n.send("REQ " + n.id + " 3600001\n").quiet()
			c.settle("ch", 0, 0, 1)
			n.end()
		}},
		{"timeout", func(c *client) {
			n := delivered(c, []string{"x"}, shortTimeout)
			begin := now()
			n.readNotBefore(begin, 900*ms)
			n.send("FIN " + n.id + "\n").quiet()
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"timeout, then a late FIN", func(c *client) {
			n := delivered(c, []string{"x"}, shortTimeout)
			n.send("RDY 0\n").sync()
			c.settle("ch", 1, 0, 0)
			n.send("FIN " + n.id + "\n").read().end()
		}},
		{"TOUCH", func(c *client) {
			n := delivered(c, []string{"x"}, `{"msg_timeout":2000}`)
			begin := now()
			for range 3 {
				time.Sleep(time.Second)
				n.send("TOUCH " + n.id + " more\n")
			}
			n.readNotBefore(begin, 4900*ms)
		}},
		{"disconnect", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			n.disconnect()
			other := c.consume("other", "ch", 1, "")
			other.quietFor(noHurry)
		}},
		{"disconnect, then the timeout", func(c *client) {
			n := delivered(c, []string{"x"}, `{"msg_timeout":6000}`)
			id := n.id
			n.disconnect()
			c.awaitConsumers("ch", 0)
			other := c.consume("other", "ch", 0, "")
			other.send("FIN " + id + "\n").read()
			other.send("RDY 1\n").read()
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"FIN, then disconnect", func(c *client) {
			n := delivered(c, []string{"x", "y"}, "")
			n.send("FIN " + n.id + "\n")
			n.disconnect()
			c.awaitConsumers("ch", 0)
			got, _ := c.counts("ch")
			c.noteCounts("ch", got)
		}},
		{"channel emptied", func(c *client) {
			n := delivered(c, []string{"in flight"}, "")
			n.send("RDY 0\n").send("PUB "+c.topic+"\n", body("waiting")).read()
			c.connect("publisher").send("DPUB "+c.topic+" 60000\n", body("deferred")).read()
			c.settle("ch", 1, 1, 1)
			c.post("/channel/empty?topic="+c.topic+"&channel=ch", "")
			c.settle("ch", 0, 0, 0)
			n.send("FIN " + n.id + "\n").read().send("RDY 5\n").quiet()
			n.send("PUB "+c.topic+"\n", body("after")).readBoth()
		}},
		{"FIN that fails, PUB in the same packet", func(c *client) {
			n := c.consume("", "ch", 0, "")
			n.send("FIN 0123456789abcdef\n", "PUB "+c.topic+"\n", body("x")).read().read()
		}},
		{"sampling", func(c *client) {
			n := c.consume("", "ch", 0, `{"sample_rate":50}`)
			const messages = 1000
			n.send("MPUB "+c.topic+"\n", body(length(messages)+strings.Repeat(body("x"), messages))).read()
			n.send("RDY 2500\n")
			share := n.count(time.Second)
			c.note("between 400 and 600 of %d: %v", messages, share >= 400 && share <= 600)
			c.settle("ch", 0, int64(share), 0)
			c.lines = c.lines[:len(c.lines)-1] // the share itself is chance
			got, _ := c.counts("ch")
			c.note("the others are gone: %v", got == counts{0, 0, int64(share), 0})
		}},
		{"order of first deliveries", func(c *client) { delivered(c, []string{"1", "2", "3", "4", "5"}, "").quiet() }},
		{"two consumers share", func(c *client) {
			one, two := c.consume("one", "ch", 1, ""), c.consume("two", "ch", 1, "")
			p := c.connect("publisher")
			p.send("PUB "+c.topic+"\n", body("same")).read()
			p.send("PUB "+c.topic+"\n", body("same")).read()
			c.settle("ch", 0, 2, 0)
			one.send("CLS\n")
			two.send("CLS\n")
		}},
		{"two channels get copies of one id and time", func(c *client) {
			one, two := c.consume("one", "first", 1, ""), c.consume("two", "second", 1, "")
			c.connect("publisher").send("PUB "+c.topic+"\n", body("x")).read()
			one.read()
			two.read()
			c.note("same id: %v", one.id == two.id)
			one.send("FIN " + one.id + "\n").sync()
			two.send("FIN " + two.id + "\n").end()
		}},
	}
	for _, line := range []string{
		"FIN", "FIN ", "FIN short", "FIN 0123456789abcde", "FIN 0123456789abcdef", "FIN 0123456789abcdef0", "FIN  0123456789abcdef",
		"FIN 0123456789ABCDEF", "FIN 0123456789abcdeg", "FIN ????????????????", "fin 0123456789abcdef",
		"TOUCH", "TOUCH ", "TOUCH short", "TOUCH 0123456789abcdef", "TOUCH 0123456789abcdef 1 2",
		"REQ", "REQ ", "REQ 0123456789abcdef", "REQ short 0", "REQ 0123456789abcdef ", "REQ 0123456789abcdef 0", "REQ 0123456789abcdef -1",
		"REQ 0123456789abcdef x", "REQ 0123456789abcdef 1.5", "REQ 0123456789abcdef 99999999999999999999", "REQ 0123456789abcdef +1", "REQ short x",
	} {
		all = append(all,
			conversation{quoted(line), func(c *client) { c.consume("", "ch", 1, "").send(line, "\n").end() }},
			conversation{"before SUB " + quoted(line), func(c *client) { c.connect("").send(line, "\n").end() }},
			conversation{"after CLS " + quoted(line), func(c *client) { c.consume("", "ch", 1, "").send("CLS\n").read().send(line, "\n").end() }})
	}
	return all
}
