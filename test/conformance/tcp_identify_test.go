//go:build process

package conformance

import "fmt"

// identifyConversations are about IDENTIFY and AUTH.
func identifyConversations() []conversation {
	identify := func(bodies ...string) func(*client) {
		return func(c *client) {
			n := c.connect("")
			for _, b := range bodies {
				n.send("IDENTIFY\n", body(b)).read()
			}
			n.end()
		}
	}
	all := []conversation{
		{"twice", identify(`{"feature_negotiation":true,"msg_timeout":2000}`, `{"feature_negotiation":true,"sample_rate":5}`)},
		{"with parameters", func(c *client) { c.connect("").send("IDENTIFY a b\n", body("{}")).end() }},
		{"with CR LF", func(c *client) { c.connect("").send("IDENTIFY\r\n", body("{}")).end() }},
		{"after SUB", func(c *client) {
			c.consume("", "ch", 0, "").send("IDENTIFY\n", body("{}")).end()
		}},
		{"after CLS", func(c *client) {
			c.consume("", "ch", 0, "").send("CLS\n").read().send("IDENTIFY\n", body("{}")).end()
		}},
		{"after PUB", func(c *client) {
			c.connect("").send("PUB "+c.topic+"\n", body("x")).read().send("IDENTIFY\n", body(`{"feature_negotiation":true}`)).end()
		}},
		{"size 0", func(c *client) { c.connect("").send("IDENTIFY\n", length(0)).end() }},
		{"negative size", func(c *client) { c.connect("").send("IDENTIFY\n", length(-1)).end() }},
		{"size above max-body-size", func(c *client) { c.connect("").send("IDENTIFY\n", length(5242881)).end() }},
		{"cut off before the size", func(c *client) { c.connect("").send("IDENTIFY\n\x00\x00").hangUp().end() }},
		{"cut off in the body", func(c *client) { c.connect("").send("IDENTIFY\n", length(10), "{}").hangUp().end() }},
		{"heartbeats disabled, then SUB", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"heartbeat_interval":-1}`)).read().send("SUB " + c.topic + " ch\n").end()
		}},
		{"what /stats shows of it", func(c *client) {
			n := c.consume("", "ch", 7, `{"client_id":"me","hostname":"here","user_agent":"test/1","sample_rate":42,"msg_timeout":5000}`)
			n.send("TOUCH 0123456789abcdef\n").read() // RDY has been processed
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
			c.get("/stats?include_mem=false&topic=" + c.topic)
		}},
		{"deflate", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true,"deflate":true,"deflate_level":3}`)).read()
		}},
		{"snappy", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true,"snappy":true}`)).read()
		}},
		{"deflate and snappy", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true,"deflate":true,"snappy":true}`)).glance()
		}},
		{"AUTH", func(c *client) { c.connect("").send("AUTH\n", body("secret")).end() }},
		{"AUTH with a parameter", func(c *client) { c.connect("").send("AUTH x\n", body("secret")).end() }},
		{"AUTH of size 0", func(c *client) { c.connect("").send("AUTH\n", length(0)).end() }},
		{"AUTH of negative size", func(c *client) { c.connect("").send("AUTH\n", length(-5)).end() }},
		{"AUTH above max-body-size", func(c *client) { c.connect("").send("AUTH\n", length(5242881)).end() }},
		{"AUTH cut off", func(c *client) { c.connect("").send("AUTH\n", length(9), "abc").hangUp().end() }},
		{"AUTH after SUB", func(c *client) { c.consume("", "ch", 0, "").send("AUTH\n", body("secret")).end() }},
	}
	for _, text := range []string{
		`{}`, `{"feature_negotiation":false,"snappy":true,"deflate":true}`, `null`, `[]`, `"x"`, `1`, `{`, `{}{}`, `{} `, "{}\n", `{"feature_negotiation":1}`,
		`{"feature_negotiation":true}`, `{"feature_negotiation":true,"unknown":[1,{"a":null}],"short_id":"s","long_id":"l"}`,
		`{"FEATURE_NEGOTIATION":true}`, `{"feature_negotiation":null}`, `{"client_id":5}`,
		`{"heartbeat_interval":"1000"}`, `{"heartbeat_interval":1000.5}`, `{"heartbeat_interval":1e3,"feature_negotiation":true}`,
		`{"heartbeat_interval":99999999999999999999}`, `{"sample_rate":99999999999}`,
		`{"feature_negotiation":true,"tls_v1":true}`,
		`{"feature_negotiation":true,"topology_region":"r","topology_zone":"z"}`,
	} {
		all = append(all, conversation{"body " + quoted(text), identify(text)})
	}
	for _, field := range []struct {
		name   string
		values []int64
	}{
		{"heartbeat_interval", []int64{-2, -1, 0, 1, 999, 1000, 60000, 60001}},
		{"output_buffer_size", []int64{-2, -1, 0, 1, 63, 64, 65536, 65537}},
		{"output_buffer_timeout", []int64{-2, -1, 0, 1, 24, 25, 30000, 30001}},
		{"msg_timeout", []int64{-2, -1, 0, 1, 999, 1000, 900000, 900001}},
		{"sample_rate", []int64{-1, 0, 1, 99, 100}},
		{"deflate_level", []int64{-1, 0, 1, 6, 9, 10}},
	} {
		for _, v := range field.values {
			text := fmt.Sprintf(`{"feature_negotiation":true,"%s":%d}`, field.name, v)
			all = append(all, conversation{fmt.Sprintf("%s %d", field.name, v), identify(text)})
		}
	}
	all = append(all, conversation{"two values out of range", identify(`{"sample_rate":100,"msg_timeout":1,"heartbeat_interval":1,"output_buffer_size":1,"output_buffer_timeout":1}`)},
		conversation{"unbuffered with a timeout", identify(`{"feature_negotiation":true,"output_buffer_size":-1,"output_buffer_timeout":100}`)})
	return all
}
