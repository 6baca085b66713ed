//go:build process

package conformance

import (
	"net"
	"strings"
)

// framingConversations are about the magic, command lines and frames.
func framingConversations() []conversation {
	all := []conversation{
		{"magic of HTTP", func(c *client) { n := c.dial(""); n.raw.Send([]byte("GET /ping HTTP/1.1\r\n\r\n")); n.end() }},
		{"magic V1", func(c *client) { n := c.dial(""); n.raw.Send([]byte("  V1")); n.end() }},
		{"magic in lower case", func(c *client) { n := c.dial(""); n.raw.Send([]byte("  v2")); n.end() }},
		{"half a magic", func(c *client) { n := c.dial(""); n.raw.Send([]byte("  ")); n.hangUp().read() }},
		{"magic and no more", func(c *client) { c.connect("").hangUp().read() }},
		{"half a command line", func(c *client) { c.connect("").send("PUB to").hangUp().read() }},
		{"commands in one write", func(c *client) {
			c.connect("").send("NOP\n", "PUB "+c.topic+"\n", body("a"), "PUB "+c.topic+"\n", body("b"), "NOP\n").read().read().end()
		}},
		{"command in many writes", func(c *client) {
			n := c.connect("")
			for _, b := range "PUB " + c.topic + "\n" + body("slow") {
				n.raw.Conn.(*net.TCPConn).SetNoDelay(true)
				n.raw.Send([]byte{byte(b)})
			}
			n.read().end()
		}},
		{"line of 16384 bytes", func(c *client) {
			c.connect("").send("NOP " + strings.Repeat("x", 16384-5) + "\n").end()
		}},
		{"line of 16385 bytes", func(c *client) {
			c.connect("").send("NOP " + strings.Repeat("x", 16385-5) + "\n").end()
		}},
		{"line without end", func(c *client) { c.connect("").send(strings.Repeat("x", 20000)).read() }},
	}
	// each of these on a connection of its own, before any other command
	for _, line := range []string{
		"", "\r", " ", "HELLO", "HELLO a b c", "nop", "Nop", "NOP", "NOP ", "NOP a b", "NOP\r", "NOP\r\r", " NOP", "NOP\t", "NOP\x00",
		"PUB", "PUB ", "SUB", "RDY", "FIN", "REQ", "TOUCH", "CLS", "CLS x", "MPUB", "DPUB", "pub t", "\xff\xfe",
		"HELLO " + strings.Repeat("y", 100), strings.Repeat("z", 200),
	} {
		all = append(all, conversation{"line " + quoted(line), func(c *client) { c.connect("").send(line, "\n").end() }})
	}
	return all
}
