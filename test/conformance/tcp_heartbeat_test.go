//go:build process

package conformance

import "time"

// heartbeatConversations are about heartbeats and connections that say nothing.
func heartbeatConversations() []conversation {
	const everySecond = `{"heartbeat_interval":1000}`
	return []conversation{
		{"unanswered", func(c *client) {
			n := c.connect("").send("IDENTIFY\n", body(everySecond)).read()
			begin := now()
			n.readNotBefore(begin, 700*ms).readUntilClosed(begin, 1900*ms, 8*time.Second)
		}},
		{"answered", func(c *client) {
			n := c.connect("").send("IDENTIFY\n", body(everySecond)).read()
			begin := now()
			for range 3 {
				n.readWithin(begin, 3000*ms).send("NOP\n")
				begin = now()
			}
			n.end()
		}},
		{"comes although there is traffic", func(c *client) {
			n := c.connect("").send("IDENTIFY\n", body(`{"heartbeat_interval":4000}`)).read()
			begin := now()
			for range 5 {
				time.Sleep(300 * ms)
				n.send("PUB "+c.topic+"\n", body("x")).read()
			}
			n.readWithin(begin, 7000*ms)
		}},
		{"none when disabled", func(c *client) {
			n := c.connect("").send("IDENTIFY\n", body(`{"heartbeat_interval":-1}`)).read()
			time.Sleep(2500 * ms)
			n.quiet().end()
		}},
		{"a second IDENTIFY", func(c *client) {
			n := c.connect("").send("IDENTIFY\n", body(`{"heartbeat_interval":30000}`)).read()
			n.send("IDENTIFY\n", body(`{"heartbeat_interval":3000}`)).read()
			n.read()
		}},
	}
}
