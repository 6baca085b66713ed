//go:build process

package conformance

import (
	"fmt"
	"strings"
)

// httpConversations are about the HTTP server as a whole, and the endpoints that show and debug a node.
func httpConversations() []conversation {
	var all []conversation
	for _, request := range []string{
		"GET /ping", "HEAD /ping", "POST /ping", "OPTIONS /ping", "GET /ping/", "GET /PING", "GET //ping", "GET /ping?x=1", "DELETE /ping", "GET /ping/?x=1",
		"GET /", "GET /nothing", "POST /nothing", "OPTIONS /nothing", "OPTIONS /", "OPTIONS *",
		"GET /pub", "OPTIONS /pub", "PUT /pub", "POST /pub/", "GET /topic/create", "GET /topic", "POST /stats", "GET /stats/x",
		"POST /put?topic=t", "POST /create_topic?topic=t",
		"GET /debug/pprof", "GET /debug/pprof/", "GET /debug/pprof/heap", "GET /debug/pprof/goroutine?debug=1", "GET /debug/pprof/block",
		"GET /debug/pprof/threadcreate", "GET /debug/pprof/cmdline", "GET /debug/pprof/symbol", "POST /debug/pprof/symbol",
		"GET /debug/pprof/mutex", "GET /debug/pprof/nothing",
		"PUT /debug/setblockrate", "PUT /debug/setblockrate?rate=0", "PUT /debug/setblockrate?rate=x", "GET /debug/setblockrate",
		"POST /debug/freememory", "GET /debug/freememory",
		"GET /metrics",
	} {
		method, path, _ := strings.Cut(request, " ")
		if path == "*" {
			continue // net/http answers it itself
		}
		all = append(all, conversation{request, func(c *client) { c.request(method, path, "") }})
	}
	return append(all,
		conversation{"GET /info", func(c *client) { c.get("/info") }},
		conversation{"the version of NSQ's clients is ignored", func(c *client) { c.get("/ping?") }},
	)
}

// httpPublishConversations are about /pub and /mpub.
func httpPublishConversations() []conversation {
	post := func(path, text string) func(*client) { return func(c *client) { c.post(path, text) } }
	// consumed publishes to the conversation's topic and shows what a consumer gets.
	consumed := func(path, text string, messages int) func(*client) {
		return func(c *client) {
			c.post(path+escaped(c.topic), text)
			n := c.consume("", "ch", 10, "")
			for range messages {
				n.read()
			}
			n.quiet()
		}
	}
	binary := length(2) + body("one") + body("two\n")
	all := []conversation{
		{"pub", consumed("/pub?topic=", "a message\nwith lines\n", 1)},
		{"pub ignores what it does not know", consumed("/pub?unknown=1&topic=", "x", 1)},
		{"pub without topic", post("/pub", "x")},
		{"pub with an empty topic", post("/pub?topic=", "x")},
		{"pub with the topic in the body", post("/pub", "topic=t")},
		{"pub of nothing", post("/pub?topic=t", "")},
		{"pub of nothing to no topic", post("/pub", "")},
		{"pub of too much to a bad topic", post("/pub?topic=a$", strings.Repeat("m", 1048577))},
		{"pub of max-msg-size", post("/pub?topic=t", strings.Repeat("m", 1048576))},
		{"pub above max-msg-size", post("/pub?topic=t", strings.Repeat("m", 1048577))},
		{"pub above max-msg-size in chunks", func(c *client) {
			c.requestFrom("POST", "/pub?topic=t", struct{ *strings.Reader }{strings.NewReader(strings.Repeat("m", 1048577))}, -1)
		}},
		{"pub in chunks", func(c *client) {
			c.requestFrom("POST", "/pub?topic=t", struct{ *strings.Reader }{strings.NewReader("chunked")}, -1)
		}},
		{"pub with two topics", post("/pub?topic=a$&topic=t", "x")},
		{"pub with a bad escape", post("/pub?topic=%zz", "x")},
		{"pub with a semicolon", post("/pub?topic=t;x=1", "x")},
		{"pub that is deferred", func(c *client) {
			n := c.consume("", "ch", 1, "")
			begin := now()
			c.post("/pub?topic="+c.topic+"&defer=500", "later")
			n.readNotBefore(begin, 500*ms)
		}},

		{"mpub of lines", consumed("/mpub?topic=", "one\ntwo\n\nthree", 3)},
		{"mpub of lines with CR", consumed("/mpub?topic=", "one\r\ntwo\r\n", 2)},
		{"mpub of a last line that ends", consumed("/mpub?topic=", "one\n", 1)},
		{"mpub of empty lines", func(c *client) {
			c.post("/mpub?topic="+c.topic, "\n\n\n")
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"mpub of nothing", func(c *client) {
			c.post("/mpub?topic="+c.topic, "")
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"mpub without topic", post("/mpub", "x")},
		{"mpub to a bad topic", post("/mpub?topic=a$", "x")},
		{"mpub with a line too big", post("/mpub?topic=t", "a\n"+strings.Repeat("m", 1048577)+"\nb")},
		{"mpub above max-body-size", post("/mpub?topic=t", strings.Repeat(strings.Repeat("m", 1023)+"\n", 5121))},
		{"mpub with a line too big leaves nothing", func(c *client) {
			c.post("/topic/create?topic="+c.topic, "")
			c.post("/mpub?topic="+c.topic, "a\nb\n"+strings.Repeat("m", 1048577))
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
		}},
		{"mpub that is not deferred", consumed("/mpub?defer=60000&topic=", "x", 1)},
		{"mpub, binary", consumed("/mpub?binary=true&topic=", binary, 2)},
		{"mpub, binary of nothing", post("/mpub?binary=true&topic=t", "")},
		{"mpub, binary of no messages", post("/mpub?binary=true&topic=t", length(0))},
		{"mpub, binary with an empty message", post("/mpub?binary=true&topic=t", length(1)+length(0))},
		{"mpub, binary with a message too big", post("/mpub?binary=true&topic=t", length(1)+length(1048577))},
		{"mpub, binary cut off", post("/mpub?binary=true&topic=t", length(2)+body("one")+length(9)+"x")},
		{"mpub, binary with more at its end", post("/mpub?binary=true&topic=t", binary+"more")},
		{"mpub, binary with too many messages", post("/mpub?binary=true&topic=t", length(1<<30))},
		{"mpub, binary above max-body-size", post("/mpub?binary=true&topic=t", length(6)+strings.Repeat(body(strings.Repeat("m", 1000000)), 6))},
	}
	for value, messages := range map[string]int{"1": 2, "0": 1, "false": 1, "TRUE": 2, "no": 2, "": 2, "False": 2} {
		all = append(all, conversation{"mpub, binary=" + value, consumed("/mpub?binary="+value+"&topic=", binary, messages)})
	}
	for _, value := range []string{"", "0", "3600000", "3600001", "-1", "x", "1.5", "99999999999999999999", "+5"} {
		all = append(all, conversation{"pub defer=" + value, post("/pub?topic=deferred&defer="+escaped(value), "x")})
	}
	for _, name := range names {
		all = append(all, conversation{"pub to " + quoted(name), post("/pub?topic="+escaped(name), "x")})
	}
	return all
}

// httpAdminConversations are about the endpoints that create, delete, empty and pause.
func httpAdminConversations() []conversation {
	var all []conversation
	for _, path := range []string{"/topic/create", "/topic/delete", "/topic/empty", "/topic/pause", "/topic/unpause"} {
		for _, query := range []string{"", "?topic=", "?topic=unknown", "?topic=a$", "?topic=" + strings.Repeat("n", 65), "?topic=%zz", "?Topic=x", "?topic=made&more=1"} {
			topic := query
			if query == "?topic=unknown" {
				topic += escaped(path) // nobody else makes it
				if path == "/topic/create" {
					topic = "?topic=new"
				} else {
					topic = strings.NewReplacer("%2F", "-").Replace(topic)
				}
			}
			if query == "?topic=made&more=1" {
				all = append(all, conversation{path + query, func(c *client) {
					c.post("/topic/create?topic="+c.topic, "")
					c.post(path+"?topic="+c.topic+"&more=1", "")
					c.post(path+"?topic="+c.topic, "a body")
					c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
				}})
				continue
			}
			all = append(all, conversation{path + query, func(c *client) { c.post(path+topic, "") }})
		}
	}
	for _, path := range []string{"/channel/create", "/channel/delete", "/channel/empty", "/channel/pause", "/channel/unpause"} {
		for _, query := range []string{
			"", "?topic=", "?topic=TOPIC", "?channel=ch", "?topic=nowhere", "?topic=nowhere&channel=ch", "?topic=a$&channel=ch", "?topic=TOPIC&channel=a$",
			"?topic=TOPIC&channel=", "?topic=TOPIC&channel=unknown", "?topic=TOPIC&channel=ch", "?topic=%zz&channel=ch", "?topic=a$&channel=a$",
		} {
			all = append(all, conversation{path + query, func(c *client) {
				c.post("/topic/create?topic="+c.topic, "")
				c.post("/channel/create?topic="+c.topic+"&channel=ch", "")
				c.post(path+strings.ReplaceAll(query, "TOPIC", c.topic), "")
				c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
			}})
		}
	}
	return append(all,
		conversation{"topic emptied", func(c *client) {
			c.post("/pub?topic="+c.topic, "x")
			c.post("/topic/empty?topic="+c.topic, "")
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
			c.consume("", "ch", 1, "").quiet()
		}},
		conversation{"topic emptied, not its channels", func(c *client) {
			c.post("/topic/create?topic="+c.topic, "")
			c.post("/channel/create?topic="+c.topic+"&channel=ch", "")
			c.post("/pub?topic="+c.topic, "x")
			c.settle("ch", 1, 0, 0)
			c.post("/topic/empty?topic="+c.topic, "")
			c.settle("ch", 1, 0, 0)
		}},
		conversation{"topic deleted and made again", func(c *client) {
			c.post("/pub?topic="+c.topic, "old")
			c.post("/topic/delete?topic="+c.topic, "")
			c.get("/stats?format=json&include_mem=false&topic=" + c.topic)
			c.post("/pub?topic="+c.topic, "new")
			c.consume("", "ch", 5, "").read().quiet()
		}},
		conversation{"channel deleted and made again", func(c *client) {
			n := delivered(c, []string{"x"}, "")
			c.post("/channel/delete?topic="+c.topic+"&channel=ch", "")
			n.read()
			c.consume("", "ch", 5, "").quiet()
		}},
		conversation{"ephemeral ones", func(c *client) {
			c.post("/topic/create?topic="+escaped(c.topic+"#ephemeral"), "")
			c.post("/channel/create?channel=ch%23ephemeral&topic="+escaped(c.topic+"#ephemeral"), "")
			c.get("/stats?format=json&include_mem=false&topic=" + escaped(c.topic+"#ephemeral"))
		}},
	)
}

// httpStatsConversations are about /stats of one topic; those of a whole node stand in aloneConversations.
func httpStatsConversations() []conversation {
	var all []conversation
	for _, query := range []string{
		"?format=json", "?format=json&include_mem=false", "?format=json&include_clients=false", "?format=json&channel=ch", "?format=json&channel=unknown",
		"?format=json&include_clients=0&include_mem=0", "?format=json&include_clients=no", "?format=json&include_clients=F&include_mem=FALSE", "", "?format=text", "?format=JSON&include_mem=false",
		"?include_clients=false", "?channel=unknown", "?include_mem=false",
	} {
		all = append(all, conversation{"/stats" + query, func(c *client) {
			n := delivered(c, []string{"one", "two", "three"}, `{"client_id":"me","hostname":"here","user_agent":"test/1"}`)
			n.send("FIN "+n.id+"\n").send("DPUB "+c.topic+" 60000\n", body("deferred")).read()
			c.settle("ch", 0, 2, 1)
			c.post("/channel/create?topic="+c.topic+"&channel=second", "")
			c.post("/channel/pause?topic="+c.topic+"&channel=second", "")
			c.post("/topic/pause?topic="+c.topic, "")
			separator := "&"
			if query == "" {
				separator = "?"
			}
			c.get("/stats" + query + separator + "topic=" + c.topic)
		}})
	}
	return append(all,
		conversation{"/stats of an unknown topic", func(c *client) { c.get("/stats?format=json&include_mem=false&topic=unknown") }},
		conversation{"/stats of a bad topic", func(c *client) { c.get("/stats?format=json&include_mem=false&topic=a$") }},
		conversation{"/stats text of an unknown topic", func(c *client) { c.get("/stats?include_mem=false&topic=unknown") }},
		conversation{"/stats with a bad escape", func(c *client) { c.get("/stats?topic=%zz") }},
	)
}

// httpConfigConversations are about /config.
func httpConfigConversations() []conversation {
	var all []conversation
	for _, path := range []string{
		"/config", "/config/", "/config/nothing", "/config/max-msg-size", "/config/MAX_MSG_SIZE", "/config/max_msg_size/", "/config/max_msg_size/x", "/config/node_id",
		"/config/lookupd_tcp_address", "/config/verbose", "/config/worker_id", "/config/version", "/config/config", "/config/max_msg_size?x=1", "/config/%6dax_msg_size",
	} {
		for _, method := range []string{"GET", "PUT", "POST", "OPTIONS", "HEAD"} {
			all = append(all, conversation{method + " " + path, func(c *client) { c.request(method, path, "x") }})
		}
	}
	for _, name := range settings {
		all = append(all, conversation{"GET " + name, func(c *client) { c.get("/config/" + name) }})
		if name != "log_level" && name != "nsqlookupd_tcp_addresses" {
			all = append(all, conversation{"PUT " + name, func(c *client) { c.request("PUT", "/config/"+name, "1") }})
		}
	}
	for _, text := range []string{"", "loud", "1", `"info"`, "INFO", "info\n", strings.Repeat("x", 1048576), strings.Repeat("x", 1048577)} {
		all = append(all, conversation{"PUT log_level " + quoted(text), func(c *client) { c.request("PUT", "/config/log_level", text) }})
	}
	return all
}

// settings are the names of nsqd's settings. Not among them is id, which here has no meaning and no default.
var settings = []string{
	"broadcast_address", "broadcast_http_port", "broadcast_tcp_port", "data_path", "http_address", "tcp_address", "log_level", "log_prefix", "max_body_size", "max_bytes_per_file",
	"max_channel_consumers", "max_heartbeat_interval", "max_msg_size", "max_msg_timeout", "max_output_buffer_size", "max_output_buffer_timeout", "max_rdy_count",
	"max_req_timeout", "mem_queue_size", "min_output_buffer_timeout", "msg_timeout", "output_buffer_timeout", "queue_scan_selection_count",
	"queue_scan_worker_pool_max", "sync_every", "sync_timeout", "statsd_address", "statsd_prefix", "statsd_interval", "statsd_mem_stats",
	"statsd_udp_packet_size", "statsd_exclude_ephemeral", "e2e_processing_latency_window_time", "e2e_processing_latency_percentiles",
}

// aloneConversation is a conversation about a whole node.
type aloneConversation struct {
	conversation
	flags []string
}

// aloneConversations need servers that nobody else talks to.
func aloneConversations() []aloneConversation {
	stats := func(c *client) {
		c.get("/stats?format=json")
		c.get("/stats?format=json&include_clients=false&channel=ch")
		c.get("/stats")
		c.get("/stats?include_mem=false")
	}
	limits := []string{"--max-msg-size=100", "--max-body-size=200", "--max-rdy-count=5", "--max-req-timeout=2s", "--msg-timeout=3s", "--max-msg-timeout=4s",
		"--max-heartbeat-interval=5s", "--max-output-buffer-size=8192", "--max-output-buffer-timeout=3s", "--min-output-buffer-timeout=100ms", "--output-buffer-timeout=200ms"}
	above := []string{"--msg-timeout=20s", "--max-msg-timeout=10s", "--output-buffer-timeout=2s", "--max-output-buffer-timeout=1s"}
	return []aloneConversation{
		{conversation{"latencies", func(c *client) {
			stats(c)
			c.post("/topic/create?topic=no-channel", "")
			stats(c)
			for _, name := range []string{"percentiles", "window_time"} {
				c.get("/config/e2e_processing_latency_" + name)
			}
			n := c.consume("", "ch", 5, "")
			for range 3 {
				n.send("PUB "+c.topic+"\n", body("x")).readBoth().send("FIN " + n.id + "\n")
			}
			n.sync()
			c.post("/channel/create?topic="+c.topic+"&channel=other", "")
			c.get("/stats?include_mem=false&topic=" + c.topic)
			c.get("/stats?format=json&include_mem=false&include_clients=false&topic=" + c.topic)
			c.get("/stats?format=json&include_mem=false&include_clients=false&channel=other&topic=" + c.topic)
		}}, []string{"--e2e-processing-latency-percentile=0.5,0.99", "--e2e-processing-latency-percentile=1.0", "--e2e-processing-latency-window-time=20s"}},
		{conversation{"unix sockets", func(c *client) {
			c.get("/info")
			c.get("/config/broadcast_tcp_port")
			n := c.consume("", "ch", 1, `{"feature_negotiation":true,"client_id":"me","hostname":"here","user_agent":"test/1"}`)
			n.send("PUB "+c.topic+"\n", body("x")).readBoth().send("FIN " + n.id + "\n")
			c.settle("ch", 0, 0, 0)
			c.get("/stats?format=json&include_mem=false")
			c.get("/stats?include_mem=false")
			n.hangUp().read()
		}}, []string{unixSockets}},
		{conversation{"log level changed", func(c *client) {
			for _, level := range []string{"debug", "info", "Warn", "error", "fatal", "info"} {
				c.request("PUT", "/config/log_level", level)
				c.get("/config/log_level")
			}
		}}, nil},
		{conversation{"lookup services changed", func(c *client) {
			for _, list := range []string{`["127.0.0.1:1"]`, `[]`, `["127.0.0.1:1","127.0.0.1:2"]`, `127.0.0.1:1`, `"127.0.0.1:1"`, `{}`, `[1]`, ``, `["127.0.0.1:1"] x`} {
				c.request("PUT", "/config/nsqlookupd_tcp_addresses", list)
				c.get("/config/nsqlookupd_tcp_addresses")
			}
		}}, []string{"--lookupd-tcp-address=127.0.0.1:3"}},
		{conversation{"consumers of a channel", func(c *client) {
			first := c.consume("first", "ch", 1, "")
			c.connect("second").send("SUB " + c.topic + " ch\n").read()
			c.consume("other channel", "other", 1, "")
			third := c.connect("third").send("SUB " + c.topic + " ch\n").read()
			third.end()
			first.disconnect()
			c.awaitConsumers("ch", 1)
			c.connect("fourth").send("SUB " + c.topic + " ch\n").read()
		}}, []string{"--max-channel-consumers=2"}},
		{conversation{"defaults above the most", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true}`)).end()
			c.connect("").send("IDENTIFY\n", body(`{"msg_timeout":10001}`)).end()
		}}, above},
		{conversation{"empty node", stats}, nil},
		{conversation{"node with two topics", func(c *client) {
			c.connect("").send("IDENTIFY\n", body(`{"client_id":"p","hostname":"producer","user_agent":"pub/1"}`)).read().
				send("PUB b-second\n", body("x")).read().send("PUB b-second\n", body("y")).read()
			c.post("/topic/create?topic=a-first", "")
			c.post("/channel/create?topic=a-first&channel=ch", "")
			c.post("/channel/create?topic=a-first&channel=aa", "")
			c.topic = "a-first"
			n := c.consume("", "ch", 5, `{"client_id":"c","hostname":"consumer","user_agent":"sub/1"}`)
			n.send("TOUCH 0123456789abcdef\n").read() // RDY has been processed
			stats(c)
			c.get("/stats?format=json&include_mem=false&topic=b-second")
			c.get("/stats?format=json&include_mem=false&topic=a-first")
		}}, nil},
		{conversation{"limits by flags", func(c *client) {
			c.get("/info")
			for _, text := range []string{`{"feature_negotiation":true}`, `{"msg_timeout":4001}`, `{"heartbeat_interval":5001}`, `{"output_buffer_size":8193}`,
				`{"output_buffer_timeout":99}`, `{"output_buffer_timeout":3001}`} {
				c.connect("").send("IDENTIFY\n", body(text)).end()
			}
			for _, command := range []string{"PUB t\n" + length(101), "DPUB t 2001\n" + body("x"), "MPUB t\n" + length(201), "MPUB t\n" + length(200) + length(40),
				"MPUB t\n" + length(200) + length(1) + length(101)} {
				c.connect("").send(command).end()
			}
			c.consume("", "ch", 0, "").send("RDY 6\n").end()
			for _, size := range []int{100, 101} {
				c.post("/pub?topic=t", strings.Repeat("m", size))
			}
			c.post("/pub?topic=t&defer=2001", "x")
			c.post("/mpub?topic=t", strings.Repeat("m", 100)+"\n"+strings.Repeat("m", 100))
			c.post("/mpub?topic=t", strings.Repeat("m", 99)+"\n"+strings.Repeat("m", 100))
			for i := range 2 {
				c.post("/mpub?topic=t&binary=true", length(2)+body(strings.Repeat("m", 94))+body(strings.Repeat(fmt.Sprint(i), 94+i)))
			}
		}}, limits},
	}
}
