//go:build process

package conformance

import "strings"

// names are topic and channel names, good and bad.
var names = []string{
	"", "a", ".", "..", "-", "_", "A.b-c_9", "a/b", "a b", "a$", "ä", "a\x00", "#ephemeral", "a#ephemeral", "a#other", "a#ephemeral#ephemeral",
	strings.Repeat("n", 64), strings.Repeat("n", 65), strings.Repeat("n", 54) + "#ephemeral", strings.Repeat("n", 55) + "#ephemeral",
	strings.Repeat("n", 300),
}

// publishConversations are about PUB, MPUB and DPUB.
func publishConversations() []conversation {
	raw := func(parts ...string) func(*client) { return func(c *client) { c.connect("").send(parts...).end() } }
	all := []conversation{
		{"PUB and consume", func(c *client) {
			p := c.connect("publisher")
			p.send("PUB "+c.topic+"\n", body("first")).read()
			p.send("PUB "+c.topic+" extra parameter\n", body("second \x00\xff\n")).read()
			p.send("PUB "+c.topic+"\r\n", body("third")).read()
			p.send("PUB "+c.topic+" \n", body("fourth")).read()
			p.send("MPUB "+c.topic+" extra\n", body(length(2)+body("fifth")+body("sixth"))).read()
			n := c.consume("consumer", "ch", 10, "")
			n.read().read().read().read().read().read().quiet()
			c.settle("ch", 0, 6, 0)
		}},
		{"PUB of every byte", func(c *client) {
			var every strings.Builder
			for b := range 256 {
				every.WriteByte(byte(b))
			}
			c.connect("publisher").send("PUB "+c.topic+"\n", body(every.String())).read()
			c.consume("consumer", "ch", 1, "").read()
		}},
		{"PUB on a connection that consumes", func(c *client) {
			c.consume("", "ch", 1, "").send("PUB "+c.topic+"\n", body("to myself")).readBoth()
		}},
		{"PUB after CLS", func(c *client) {
			c.consume("", "ch", 0, "").send("CLS\n").read().send("PUB "+c.topic+"\n", body("x")).end()
		}},
		{"PUB with two spaces", raw("PUB  t\n", body("x"))},
		{"PUB of size 0", raw("PUB t\n", length(0))},
		{"PUB of negative size", raw("PUB t\n", length(-1))},
		{"PUB of the smallest size", raw("PUB t\n", length(-1<<31))},
		{"PUB above max-msg-size", raw("PUB t\n", length(1048577))},
		{"PUB of 1 GiB", raw("PUB t\n", length(1<<30))},
		{"PUB of max-msg-size", raw("PUB t\n", body(strings.Repeat("m", 1048576)))},
		{"PUB cut off before the size", func(c *client) { c.connect("").send("PUB t\n\x00").hangUp().end() }},
		{"PUB cut off in the body", func(c *client) { c.connect("").send("PUB t\n", length(10), "abc").hangUp().end() }},
		{"PUB to a bad topic, cut off", func(c *client) { c.connect("").send("PUB a$\n").end() }},

		{"MPUB of length 0", raw("MPUB t\n", length(0))},
		{"MPUB of negative length", raw("MPUB t\n", length(-1))},
		{"MPUB above max-body-size", raw("MPUB t\n", length(5242881))},
		{"MPUB of no messages", raw("MPUB t\n", body(length(0)))},
		{"MPUB of a negative number of messages", raw("MPUB t\n", body(length(-1)))},
		{"MPUB of too many messages", raw("MPUB t\n", length(5242880), length(1048576))},
		{"MPUB of a billion messages", raw("MPUB t\n", length(100), length(1<<30))},
		{"MPUB with an empty message", raw("MPUB t\n", body(length(2)+body("a")+length(0)))},
		{"MPUB with a negative message", raw("MPUB t\n", body(length(2)+body("a")+length(-7)))},
		{"MPUB with a message too big", raw("MPUB t\n", body(length(1)+length(1048577)))},
		{"MPUB announced too long", raw("MPUB t\n", length(500), length(1), body("a"))},
		{"MPUB announced too short", raw("MPUB t\n", length(5), length(2), body("a"), body("b"))},
		{"MPUB without topic", raw("MPUB\n", body(length(1)+body("a")))},
		{"MPUB cut off before the length", func(c *client) { c.connect("").send("MPUB t\n\x00").hangUp().end() }},
		{"MPUB cut off before the count", func(c *client) { c.connect("").send("MPUB t\n", length(20), "\x00").hangUp().end() }},
		{"MPUB cut off before a size", func(c *client) {
			c.connect("").send("MPUB t\n", length(20), length(2), body("a"), "\x00").hangUp().end()
		}},
		{"MPUB cut off in a message", func(c *client) {
			c.connect("").send("MPUB t\n", length(20), length(2), body("a"), length(4), "x").hangUp().end()
		}},
		{"MPUB that is bad at its end leaves nothing", func(c *client) {
			c.connect("publisher").send("MPUB "+c.topic+"\n", body(length(3)+body("a")+body("b")+length(0))).end()
			c.connect("publisher").send("PUB "+c.topic+"\n", body("good")).read()
			c.consume("consumer", "ch", 5, "").read().quiet()
		}},

		{"DPUB comes later, not early", func(c *client) {
			n := c.consume("consumer", "ch", 5, "")
			p := c.connect("publisher")
			begin := now()
			p.send("DPUB "+c.topic+" 2000 extra\n", body("later")).read()
			p.send("PUB "+c.topic+"\n", body("now")).read()
			n.read()
			c.settle("ch", 0, 1, 1)
			n.readNotBefore(begin, 2000*ms).quiet()
		}},
		{"DPUB 0", func(c *client) {
			c.connect("publisher").send("DPUB "+c.topic+" 0\n", body("now")).read()
			c.consume("consumer", "ch", 5, "").read()
		}},
		{"DPUB without time", raw("DPUB t\n", body("x"))},
		{"DPUB with an empty time", raw("DPUB t \n", body("x"))},
		{"DPUB of size 0", raw("DPUB t 10\n", length(0))},
		{"DPUB above max-msg-size", raw("DPUB t 10\n", length(1048577))},
		{"DPUB cut off", func(c *client) { c.connect("").send("DPUB t 10\n", length(10), "abc").hangUp().end() }},
		{"DPUB to a bad topic for a bad time", raw("DPUB a$ soon\n", body("x"))},
	}
	for _, time := range []string{"3600000", "3600001", "99999999999999999999", "-1", "+1", "1.5", "soon", "0x10", "007"} {
		all = append(all, conversation{"DPUB by " + quoted(time), raw("DPUB deferred "+time+"\n", body("x"))})
	}
	for _, name := range names {
		all = append(all,
			conversation{"PUB to " + quoted(name), raw("PUB "+name+"\n", body("x"))},
			conversation{"MPUB to " + quoted(name), raw("MPUB "+name+"\n", body(length(1)+body("x")))},
			conversation{"DPUB to " + quoted(name), raw("DPUB "+name+" 5\n", body("x"))})
	}
	return all
}
