//go:build process

package conformance

import (
	"fmt"
	"strings"
)

// lookupTCPConversations are about nsqlookupd's TCP protocol.
func lookupTCPConversations() []conversation {
	var all []conversation
	for _, magic := range []string{"  V1", "  V2", "  v1", "V1  ", "GET ", "\x00\x00\x00\x00"} {
		all = append(all, conversation{"magic " + quoted(magic), func(c *client) { c.broker("", magic).last() }})
	}
	commands := []string{"PING", "PING x", " PING ", "\tPING", "ping", "", " ", "NOP", "REGISTER", "REGISTER ", "UNREGISTER", "REGISTER x", "REGISTER a$ b",
		"IDENTIFIED", "PING\r", "REGISTER x y\r", "REGISTER x y z", "REGISTER  x", "REGISTER x  y", "REGISTER x y ", "UNREGISTER x", "UNREGISTER x y",
		"UNREGISTER unknown unknown", "UNREGISTER x#ephemeral y#ephemeral", strings.Repeat("z", 200), strings.Repeat("z", 5000)}
	for _, name := range names {
		if !strings.Contains(name, " ") {
			commands = append(commands, "REGISTER "+name, "REGISTER x "+name, "UNREGISTER "+name, "UNREGISTER x "+name)
		}
	}
	for _, command := range commands {
		command := strings.ReplaceAll(command, "x", "x"+fmt.Sprint(len(all)))
		all = append(all,
			conversation{"before IDENTIFY " + quoted(command), func(c *client) {
				n := c.broker("", "  V1")
				n.send(command + "\n")
				n.last()
			}},
			conversation{"after IDENTIFY " + quoted(command), func(c *client) {
				n := c.identified("", 4150)
				n.send(command + "\n")
				n.last()
			}})
	}
	good := `{"broadcast_address":"b","hostname":"h","tcp_port":1,"http_port":2,"version":"v"}`
	for _, text := range []string{
		good, `{"broadcast_address":"b","tcp_port":1,"http_port":2,"version":"v"}`, strings.Replace(good, `"b"`, `""`, 1), strings.Replace(good, `1`, `0`, 1),
		strings.Replace(good, `2`, `0`, 1), strings.Replace(good, `"v"`, `""`, 1), strings.Replace(good, `1`, `-1`, 1), strings.Replace(good, `1`, `70000`, 1),
		strings.Replace(good, `1`, `"1"`, 1), strings.Replace(good, `{`, `{"unknown":[{}],"remote_address":"me",`, 1), strings.ToUpper(good),
		`{}`, `null`, `[]`, `1`, `{`, ``, good + good, " " + good + "\n",
	} {
		all = append(all, conversation{"IDENTIFY " + quoted(text), func(c *client) {
			n := c.broker("", "  V1")
			n.send("IDENTIFY\n", body(text))
			n.last()
		}})
	}
	return append(all,
		conversation{"IDENTIFY twice", func(c *client) {
			n := c.identified("", 4150)
			n.send("IDENTIFY\n", body(good))
			n.last()
		}},
		conversation{"IDENTIFY with words", func(c *client) {
			n := c.broker("", "  V1")
			n.send("IDENTIFY a b\n", body(good))
			n.last()
		}},
		conversation{"IDENTIFY cut off in the size", func(c *client) { lookupConn{c.broker("", "  V1").send("IDENTIFY\n\x00\x00").hangUp()}.hear().hear() }},
		conversation{"IDENTIFY cut off in the body", func(c *client) {
			lookupConn{c.broker("", "  V1").send("IDENTIFY\n", length(10), "{}").hangUp()}.hear().hear()
		}},
		conversation{"IDENTIFY of 8193 bytes cut off", func(c *client) {
			lookupConn{c.broker("", "  V1").send("IDENTIFY\n", length(8193), "{}").hangUp()}.hear().hear()
		}},
		conversation{"a line cut off", func(c *client) { lookupConn{c.broker("", "  V1").send("PIN").hangUp()}.hear() }},
		conversation{"many commands in one packet", func(c *client) {
			n := c.identified("", 4150)
			n.say("PING\nREGISTER " + c.topic + " a\nREGISTER " + c.topic + "\nPING\nREGISTER\nPING\n").hear().hear().hear().hear().hear()
			c.pause()
			c.get("/lookup?topic=" + c.topic)
		}},
		conversation{"registered, then looked up", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + " ch\n")
			c.get("/lookup?topic=" + c.topic)
			c.get("/channels?topic=" + c.topic)
			m := c.identified("two", 5150)
			m.say("REGISTER " + c.topic + "\n")
			c.getSet("/lookup?topic=" + c.topic)
			n.say("UNREGISTER " + c.topic + " ch\n")
			c.getSet("/lookup?topic=" + c.topic)
			m.say("UNREGISTER " + c.topic + "\n")
			c.get("/lookup?topic=" + c.topic)
			n.disconnect()
			c.pause()
			c.get("/lookup?topic=" + c.topic)
			m.last()
		}},
		conversation{"topic unregistered with its channels", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + " a\n").say("REGISTER " + c.topic + " b\n").say("UNREGISTER " + c.topic + "\n")
			c.getSet("/lookup?topic=" + c.topic)
		}},
		conversation{"ephemeral ones unregistered", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + "#ephemeral a#ephemeral\n").say("REGISTER " + c.topic + " b#ephemeral\n")
			n.say("UNREGISTER " + c.topic + "#ephemeral a#ephemeral\n").say("UNREGISTER " + c.topic + "#ephemeral\n").say("UNREGISTER " + c.topic + " b#ephemeral\n")
			c.get("/lookup?topic=" + escaped(c.topic+"#ephemeral"))
			c.get("/channels?topic=" + escaped(c.topic+"#ephemeral"))
			c.get("/lookup?topic=" + c.topic)
		}},
		conversation{"ephemeral ones whose broker goes", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + " a#ephemeral\n")
			n.disconnect()
			c.pause()
			c.get("/lookup?topic=" + c.topic)
		}},
		conversation{"registered twice", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + "\n").say("REGISTER " + c.topic + "\n")
			c.get("/lookup?topic=" + c.topic)
		}},
		conversation{"an error forgets the broker", func(c *client) {
			n := c.identified("one", 4150)
			n.say("REGISTER " + c.topic + "\n").say("REGISTER\n").hear()
			c.pause()
			c.get("/lookup?topic=" + c.topic)
		}},
	)
}
