//go:build process

package conformance

import "strings"

// lookupTable lists every deliberate difference between stock nsqlookupd 1.3.0 and weir nsqlookupd. docs/nsq-compatibility.md tells users.
var lookupTable = []deliberate{
	{"the version tells that it is Weir, in a form that semver reads as 1.3.0", []string{"*"},
		[]difference{
			{`    version = "1.3.0"`, `    version = "1.3.0+weir.X"`},
			{`one     version = "1.3.0"`, `one     version = "1.3.0+weir.X"`},
			{`two     version = "1.3.0"`, `two     version = "1.3.0+weir.X"`},
		}},
	{"keys of the nsqlookupd after 1.3.0, empty without its experiment", []string{"lookup-tcp: *", "lookup-http: *", "lookup-alone: *"},
		append(eachKey("producers[0]", "producers[]", "client::[]", "topic:t:[]", "topic:u:[]", "channel:t:c[]", "channel:t:d[]")(nothing, `topology_zone = ""`),
			eachKey("producers[0]", "producers[]", "client::[]", "topic:t:[]", "topic:u:[]", "channel:t:c[]", "channel:t:d[]")(nothing, `topology_region = ""`)...)},
	{"what was never tombstoned says so by 0, not by the year 1754", []string{"lookup-alone: *"},
		eachKey("client::[]", "topic:t:[]", "topic:u:[]", "channel:t:c[]", "channel:t:d[]")(`tombstoned_at = -6795364578871345152`, `tombstoned_at = whole number`)},
	{"likewise, where the lines are sorted around another broker's", []string{"lookup-alone: a tombstone and its end"},
		[]difference{
			{`    topic:t:[].tombstoned_at = -6795364578871345152`, nothing},
			{nothing, `    topic:t:[].tombstoned_at = whole number`},
		}},
	{"a star is a name like another, not all of them", []string{"lookup-alone: a star is no name"},
		[]difference{{`    channels[] = "c"`, nothing}, {nothing, `    topics[] = "t"`}}},
	{"an error repeats at most 128 bytes of the broker's words", []string{"lookup-tcp: *"},
		[]difference{
			clipped("E_INVALID invalid command ", "z", 200, ""),
			clipped("E_BAD_TOPIC REGISTER topic name '", "n", 300, "' is not valid"),
			clipped("E_BAD_TOPIC UNREGISTER topic name '", "n", 300, "' is not valid"),
			clipped("E_BAD_CHANNEL REGISTER channel name '", "n", 300, "' is not valid"),
			clipped("E_BAD_CHANNEL UNREGISTER channel name '", "n", 300, "' is not valid"),
		}},
	{"a line that is too long says so", []string{"lookup-tcp: before IDENTIFY " + quoted(strings.Repeat("z", 5000)), "lookup-tcp: after IDENTIFY " + quoted(strings.Repeat("z", 5000))},
		[]difference{{`< answer "E_INVALID invalid command ` + strings.Repeat("z", 5000) + `"`, `< answer "E_INVALID command line longer than 4096 bytes"`}}},
	{"a body is bounded; nsqlookupd allocates what is announced", []string{"lookup-tcp: IDENTIFY of 8193 bytes cut off"},
		[]difference{{`< answer "E_BAD_BODY IDENTIFY failed to read body"`, `< answer "E_BAD_BODY IDENTIFY invalid body size 8193"`}}},
	{"an ephemeral channel goes with its broker's connection too", []string{"lookup-tcp: ephemeral ones whose broker goes"},
		[]difference{{`    channels[0] = "a#ephemeral"`, nothing}}},
	{"paths are taken as they are: no redirects for other case", []string{"lookup-http: GET /PING"},
		[]difference{
			{`  301 Moved Permanently`, `  404 Not Found`},
			{`  Content-Type: text/html; charset=utf-8`, `  Content-Type: application/json; charset=utf-8`},
			{`  Location: /ping`, `  X-Nsq-Content-Type: nsq; version=1.0`},
			{`    "<a href=\"/ping\">Moved Permanently</a>.\n"`, `     {`},
			{`    "\n"`, `    message = "NOT_FOUND"`},
		}},
}

// eachKey makes a difference of one line for several keys of /debug or lists.
func eachKey(keys ...string) func(stock, weir string) []difference {
	return func(stock, weir string) []difference {
		var all []difference
		line := func(key, text string) string {
			if text == nothing {
				return nothing
			}
			return "    " + key + "." + text
		}
		for _, key := range keys {
			all = append(all, difference{line(key, stock), line(key, weir)})
		}
		return all
	}
}

// clipped is the difference in an error that repeats n letters.
func clipped(before, letter string, n int, after string) difference {
	line := func(n int) string { return `< answer "` + before + strings.Repeat(letter, n) + after + `"` }
	return difference{line(n), line(128)}
}
