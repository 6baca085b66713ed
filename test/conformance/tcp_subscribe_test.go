//go:build process

package conformance

import (
	"fmt"
	"time"
)

// subscribeConversations are about SUB, RDY and CLS.
func subscribeConversations() []conversation {
	all := []conversation{
		{"SUB without parameters", func(c *client) { c.connect("").send("SUB\n").end() }},
		{"SUB with one parameter", func(c *client) { c.connect("").send("SUB " + c.topic + "\n").end() }},
		{"SUB with an empty channel", func(c *client) { c.connect("").send("SUB " + c.topic + " \n").end() }},
		{"SUB with two spaces", func(c *client) { c.connect("").send("SUB " + c.topic + "  ch\n").end() }},
		{"SUB with more parameters", func(c *client) { c.connect("").send("SUB " + c.topic + " ch more and more\n").end() }},
		{"SUB with CR LF", func(c *client) {
			c.connect("").send("SUB " + c.topic + " ch\r\n").end()
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + c.topic)
		}},
		{"SUB twice", func(c *client) { c.consume("", "ch", 0, "").send("SUB " + c.topic + " ch\n").end() }},
		{"SUB after CLS", func(c *client) {
			c.consume("", "ch", 0, "").send("CLS\n").read().send("SUB " + c.topic + " ch\n").end()
		}},
		{"second SUB without parameters", func(c *client) { c.consume("", "ch", 0, "").send("SUB\n").end() }},
		{"SUB creates topic and channel", func(c *client) {
			c.consume("", "ch", 3, "")
			c.settle("ch", 0, 0, 0)
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + c.topic)
		}},
		{"first channel gets the backlog, the second the future", func(c *client) {
			p := c.connect("publisher")
			p.send("PUB "+c.topic+"\n", body("old")).read()
			c.consume("first", "one", 5, "").read().quiet()
			second := c.consume("second", "two", 5, "")
			second.quiet()
			p.send("PUB "+c.topic+"\n", body("new")).read()
			second.read().quiet()
		}},
		{"ephemeral channel goes with its consumer", func(c *client) {
			n := c.consume("", "ch#ephemeral", 5, "")
			n.send("PUB "+c.topic+"\n", body("x")).readBoth()
			n.disconnect()
			time.Sleep(quietTime)
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"ephemeral topic goes with its channel", func(c *client) {
			c.topic += "#ephemeral"
			n := c.connect("")
			n.send("SUB " + c.topic + " ch#ephemeral\n").read()
			n.disconnect()
			time.Sleep(quietTime)
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + escaped(c.topic))
		}},

		{"RDY is a window", func(c *client) {
			p := c.connect("publisher")
			for i := range 6 {
				p.send("PUB "+c.topic+"\n", body(fmt.Sprint("message ", i))).read()
			}
			n := c.consume("consumer", "ch", 2, "")
			n.read().read().quiet()
			n.send("FIN " + n.id + "\n").read().quiet()
			n.send("RDY 3\n").read().quiet()
			n.send("RDY 0\n").send("FIN " + n.id + "\n").quiet()
			c.settle("ch", 2, 2, 0)
			n.send("RDY\n").quiet()
			n.send("RDY 100\n").read().read().quiet()
		}},
		{"no RDY, no messages", func(c *client) {
			n := c.consume("", "ch", 0, "")
			n.send("PUB "+c.topic+"\n", body("x")).read().quiet()
			n.send("RDY\n").read().quiet()
		}},
		{"CLS", func(c *client) {
			p := c.connect("publisher")
			p.send("MPUB "+c.topic+"\n", body(length(3)+body("a")+body("b")+body("c"))).read()
			n := c.consume("consumer", "ch", 2, "")
			n.read()
			first := n.id
			n.read()
			n.send("CLS\n").read()
			n.send("RDY 5\n").quiet()
			n.send("TOUCH " + first + "\n").send("FIN " + first + "\n").send("REQ " + n.id + " 0\n").quiet()
			c.settle("ch", 2, 0, 0)
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
			n.send("CLS\n").end()
		}},
		{"CLS with a parameter", func(c *client) { c.consume("", "ch", 0, "").send("CLS now\n").end() }},
		{"bad RDY after CLS", func(c *client) { c.consume("", "ch", 0, "").send("CLS\n").read().send("RDY 99999\n").end() }},
		{"RDY of a word after CLS", func(c *client) { c.consume("", "ch", 0, "").send("CLS\n").read().send("RDY x\n").end() }},
		{"channel deleted under its consumer", func(c *client) {
			n := c.consume("", "ch", 1, "")
			c.post("/channel/delete?topic="+c.topic+"&channel=ch", "")
			n.read()
		}},
		{"topic deleted under its consumer", func(c *client) {
			n := c.consume("", "ch", 1, "")
			c.post("/topic/delete?topic="+c.topic, "")
			n.read()
		}},
		{"paused channel", func(c *client) {
			n := c.consume("", "ch", 5, "")
			c.post("/channel/pause?topic="+c.topic+"&channel=ch", "")
			n.send("PUB "+c.topic+"\n", body("x")).read().quiet()
			c.settle("ch", 1, 0, 0)
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + c.topic)
			c.post("/channel/unpause?topic="+c.topic+"&channel=ch", "")
			n.read()
		}},
		{"paused topic", func(c *client) {
			n := c.consume("", "ch", 5, "")
			c.post("/topic/pause?topic="+c.topic, "")
			n.send("PUB "+c.topic+"\n", body("x")).read().quiet()
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + c.topic)
			c.post("/topic/unpause?topic="+c.topic, "")
			n.read()
		}},
	}
	for _, count := range []string{"0", "1", "2500", "2501", "-1", "+1", "x", "", "1 2", "00001", "99999999999999999999", "1.0"} {
		all = append(all, conversation{"RDY " + quoted(count), func(c *client) { c.consume("", "ch", 0, "").send("RDY " + count + "\n").end() }})
	}
	for _, name := range names {
		all = append(all,
			conversation{"SUB to topic " + quoted(name), func(c *client) { c.connect("").send("SUB " + name + " ch\n").end() }},
			conversation{"SUB to channel " + quoted(name), func(c *client) { c.connect("").send("SUB " + c.topic + " " + name + "\n").end() }})
	}
	return all
}
