//go:build process

package conformance

import (
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"
)

// deliberate is a difference that we want.
type deliberate struct {
	reason string
	in     []string     // the conversations; a name that ends with * means all that begin so
	lines  []difference // nothing where a side has no line
}

// table lists every deliberate difference between stock nsqd 1.3.0 and weir nsqd. docs/nsq-compatibility.md tells users.
var table = []deliberate{
	{"the version tells that it is Weir, in a form that semver reads as 1.3.0",
		[]string{"*"},
		[]difference{
			{`    version = "1.3.0"`, `    version = "1.3.0+weir.X"`},
			{`    "nsqd v1.3.0 (built w/GO)\n"`, `    "nsqd v1.3.0+weir.X (built w/GO)\n"`},
		}},
	{"keys of the nsqd after 1.3.0, empty without its experiment",
		[]string{"identify: *", "tls: *", "auth: *", "subscribe: CLS", "inflight: *", "http-stats: *", "http: GET /info", "alone: *"},
		[]difference{
			{nothing, `    topology_region = ""`},
			{nothing, `    topology_zone = ""`},
			{nothing, `    topics[0].channels[0].clients[0].topology_zone = ""`},
			{nothing, `    topics[0].channels[0].clients[0].topology_region = ""`},
			{nothing, `    topics[0].channels[1].clients[0].topology_zone = ""`},
			{nothing, `    topics[0].channels[1].clients[0].topology_region = ""`},
			{nothing, `    producers[0].topology_zone = ""`},
			{nothing, `    producers[0].topology_region = ""`},
		}},
	{"what is waiting is on disk, so backend_depth is depth, not 0",
		[]string{"subscribe: *", "alone: node with two topics"},
		[]difference{
			{`    topics[0].backend_depth = 0`, `    topics[0].backend_depth = 1`},
			{`    topics[0].backend_depth = 0`, `    topics[0].backend_depth = 2`},
			{`    topics[1].backend_depth = 0`, `    topics[1].backend_depth = 2`},
			{`    topics[0].channels[0].backend_depth = 0`, `    topics[0].channels[0].backend_depth = 1`},
			{`    topics[0].channels[0].backend_depth = 0`, `    topics[0].channels[0].backend_depth = 2`},
			{`    "   [b-second       ] depth: 2     be-depth: 0     msgs: 2        e2e%: \n"`,
				`    "   [b-second       ] depth: 2     be-depth: 2     msgs: 2        e2e%: \n"`},
		}},

	// TCP
	{"a line that is too long gets an error before the connection closes",
		[]string{"framing: line of 16385 bytes", "framing: line without end"},
		[]difference{
			{nothing, `< error E_INVALID command line longer than 16384 bytes`},
			{`< closed`, `< error E_INVALID command line longer than 16384 bytes`},
		}},
	{"an error repeats at most 128 bytes of the client's words", []string{`framing: line ` + quoted(strings.Repeat("z", 200))},
		[]difference{{`< error E_INVALID invalid command ` + strings.Repeat("z", 200), `< error E_INVALID invalid command ` + strings.Repeat("z", 128)}}},
	longName("publish: PUB to ", "E_BAD_TOPIC PUB topic"),
	longName("publish: MPUB to ", "E_BAD_TOPIC E_BAD_TOPIC MPUB topic"),
	longName("publish: DPUB to ", "E_BAD_TOPIC DPUB topic"),
	longName("subscribe: SUB to topic ", "E_BAD_TOPIC SUB topic"),
	longName("subscribe: SUB to channel ", "E_BAD_CHANNEL SUB channel"),
	{"a number too large stays at the largest instead of becoming another one",
		[]string{`publish: DPUB by "99999999999999999999"`, `subscribe: RDY "99999999999999999999"`},
		[]difference{
			{`< error E_INVALID DPUB timeout 7766279631452241919 out of range 0-3600000`, `< error E_INVALID DPUB timeout 9223372036854775807 out of range 0-3600000`},
			{`< error E_INVALID RDY count 7766279631452241919 out of range 0-2500`, `< error E_INVALID RDY count 9223372036854775807 out of range 0-2500`},
		}},
	{"a bad command gets its error in every state; nsqd does not look at RDY after CLS",
		[]string{"subscribe: bad RDY after CLS", "subscribe: RDY of a word after CLS"},
		[]difference{
			{`  stays open`, `< error E_INVALID RDY count 99999 out of range 0-2500`},
			{`  stays open`, `< error E_INVALID RDY could not parse count x`},
			{nothing, `< closed`},
		}},
	{"an ephemeral channel pins nothing: what was published stays in the topic for the first durable channel",
		[]string{"subscribe: ephemeral channel goes with its consumer"},
		[]difference{{`    topics[0].depth = 0`, `    topics[0].depth = 1`}}},
	{"a disconnect requeues at once instead of after the message timeout",
		[]string{"inflight: disconnect", "inflight: disconnect, then the timeout", "inflight: FIN, then disconnect"},
		[]difference{
			{`other < nothing for a while`, `other < message #1 attempts 2 published just now, 1 bytes "x"`},
			{`other < error E_FIN_FAILED FIN #1 failed client does not own message`, `other < error E_FIN_FAILED FIN #1 failed ID not in flight`},
			{`channel ch: depth 0, in flight 1, deferred 0; waiting in the topic 0`, `channel ch: depth 1, in flight 0, deferred 0; waiting in the topic 0`},
		}},
	{"the FINs of a burst are handed over together, so that the error of one may follow the answer to a PUB behind it; it names its message",
		[]string{"inflight: FIN that fails, PUB in the same packet"},
		[]difference{
			{`< error E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight`, nothing},
			{nothing, `< error E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight`},
		}},
	{"heartbeats follow the second IDENTIFY too; nsqd waits for answers within twice the new interval, and asks for them in the old one",
		[]string{"heartbeat: a second IDENTIFY"},
		[]difference{{`< closed`, `< response "_heartbeat_"`}}},
	{"the default stays within what --max-output-buffer-size allows", []string{"alone: limits by flags"},
		[]difference{{`    output_buffer_size = 16384`, `    output_buffer_size = 8192`}}},

	// HTTP
	{"Weir's own: Prometheus metrics, more profiles", []string{"http: GET /metrics", "http: GET /debug/pprof/mutex"},
		[]difference{
			{`  404 Not Found`, `  200 OK`},
			{`  Content-Type: application/json; charset=utf-8`, `  Content-Type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores`},
			{`  Content-Type: application/json; charset=utf-8`, `  Content-Type: application/octet-stream`},
			{`  X-Nsq-Content-Type: nsq; version=1.0`, `    something: true`},
			{`     {`, nothing},
			{`    message = "NOT_FOUND"`, nothing},
		}},
	{"what was done is answered 200; nsqd does it and answers 500", []string{"http: PUT /debug/setblockrate?rate=0", "http: POST /debug/freememory"},
		[]difference{
			{`  500 Internal Server Error`, `  200 OK`},
			{`  Content-Type: application/json; charset=utf-8`, nothing},
			{`  X-Nsq-Content-Type: nsq; version=1.0`, nothing},
			{`     {`, nothing},
			{`    message = "INTERNAL_ERROR"`, nothing},
		}},
	{"paths are taken as they are: no redirects for other case and double slashes", []string{"http: GET /PING", "http: GET //ping"},
		[]difference{
			{`  301 Moved Permanently`, `  404 Not Found`},
			{`  Content-Type: text/html; charset=utf-8`, `  Content-Type: application/json; charset=utf-8`},
			{`  Location: /ping`, `  X-Nsq-Content-Type: nsq; version=1.0`},
			{`    "<a href=\"/ping\">Moved Permanently</a>.\n"`, `     {`},
			{`    "\n"`, `    message = "NOT_FOUND"`},
		}},
}

// longName is the difference in the error for a name of 300 bytes.
func longName(command, text string) deliberate {
	line := func(n int) string { return `< error ` + text + ` name "` + strings.Repeat("n", n) + `" is not valid` }
	return deliberate{"an error repeats at most 128 bytes of the client's words", []string{command + quoted(strings.Repeat("n", 300))},
		[]difference{{line(300), line(128)}}}
}

func (d *deliberate) isAbout(conversation string) bool {
	return slices.ContainsFunc(d.in, func(in string) bool { return matches(in, conversation) })
}

func matches(in, conversation string) bool {
	if prefix, ok := strings.CutSuffix(in, "*"); ok {
		return strings.HasPrefix(conversation, prefix)
	}
	return in == conversation
}

// sightings notes which parts of the table were needed, by conversations that were held.
type sightings struct {
	table []deliberate

	mu   sync.Mutex
	seen []sighting
}

// sighting is one difference that the table explained.
type sighting struct {
	entry        int // in the table
	conversation string
	difference   difference
}

// deliberate returns the reason for a difference, empty if it is not in the table.
func (s *sightings) deliberate(conversation string, d difference) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, entry := range s.table {
		if slices.Contains(entry.lines, d) && entry.isAbout(conversation) {
			s.seen = append(s.seen, sighting{i, conversation, d})
			return entry.reason
		}
	}
	return ""
}

// checkTable reports every line and every conversation of the table that was not needed. It does not judge when -run leaves
// conversations out.
func (s *sightings) checkTable(t *testing.T) {
	if run := flag.Lookup("test.run").Value.String(); run != "" {
		t.Logf("the table is not judged with -run %s", run)
		return
	}
	for i, entry := range s.table {
		if entry.reason == "" || len(entry.in) == 0 || len(entry.lines) == 0 {
			t.Errorf("entry %d of the table is not complete", i)
		}
		seen := slices.DeleteFunc(slices.Clone(s.seen), func(s sighting) bool { return s.entry != i })
		for _, d := range entry.lines {
			if !slices.ContainsFunc(seen, func(s sighting) bool { return s.difference == d }) {
				t.Errorf("no longer needed (%s):\n  stock %s\n  weir  %s", entry.reason, d.stock, d.weir)
			}
		}
		for _, in := range entry.in {
			if !slices.ContainsFunc(seen, func(s sighting) bool { return matches(in, s.conversation) }) {
				t.Errorf("no longer needed in %q: %s", in, entry.reason)
			}
		}
	}
}
