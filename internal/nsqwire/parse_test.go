package nsqwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

var testLimits = Limits{MaxMsgSize: 100, MaxBodySize: 300, MaxRdyCount: 2500, MaxReqTimeout: time.Hour}

// sized returns body after its length.
func sized(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// length returns n as a signed length.
func length(n int32) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// mpubBody returns the body of an MPUB of these messages, without its own length.
func mpubBody(messages ...string) string {
	var body strings.Builder
	body.WriteString(length(int32(len(messages))))
	for _, m := range messages {
		body.WriteString(sized(m))
	}
	return body.String()
}

const testID = "0123456789abcdef"

func TestParseCompleteCommands(t *testing.T) {
	id := MessageID([]byte(testID))
	for _, tc := range []struct {
		in   string
		want Command
	}{
		{"NOP\n", Command{Verb: NOP}},
		{"NOP\r\n", Command{Verb: NOP}},
		{"NOP ignored  words\n", Command{Verb: NOP}},
		{"CLS\n", Command{Verb: CLS}},
		{"SUB t c\n", Command{Verb: SUB, Topic: []byte("t"), Channel: []byte("c")}},
		{"SUB t#ephemeral c#ephemeral more\n", Command{Verb: SUB, Topic: []byte("t#ephemeral"), Channel: []byte("c#ephemeral")}},
		{"RDY 2500\n", Command{Verb: RDY, Count: 2500}},
		{"RDY 0\n", Command{Verb: RDY}},
		{"RDY\n", Command{Verb: RDY, Count: 1}},
		{"RDY \n", Command{Verb: RDY}},
		{"FIN " + testID + "\n", Command{Verb: FIN, ID: id}},
		{"TOUCH " + testID + "\r\n", Command{Verb: TOUCH, ID: id}},
		{"REQ " + testID + " 1500\n", Command{Verb: REQ, ID: id, Delay: 1500 * time.Millisecond}},
		{"REQ " + testID + " 99999999999999999999999\n", Command{Verb: REQ, ID: id, Delay: time.Hour}},
		{"PUB t\n" + sized("hello"), Command{Verb: PUB, Topic: []byte("t"), Body: []byte("hello")}},
		{"PUB t\n" + sized("\n"), Command{Verb: PUB, Topic: []byte("t"), Body: []byte("\n")}},
		{"DPUB t 3600000\n" + sized("x"), Command{Verb: DPUB, Topic: []byte("t"), Delay: time.Hour, Body: []byte("x")}},
		{"MPUB t\n" + sized(mpubBody("a", "bc")), Command{Verb: MPUB, Topic: []byte("t"), Count: 2, Body: []byte(mpubBody("a", "bc"))}},
		{"MPUB t\n" + length(1) + mpubBody("a", "bc"), Command{Verb: MPUB, Topic: []byte("t"), Count: 2, Body: []byte(mpubBody("a", "bc"))}},
		{"IDENTIFY\n" + sized("{}"), Command{Verb: IDENTIFY, Body: []byte("{}")}},
		{"AUTH\n" + sized("secret"), Command{Verb: AUTH, Body: []byte("secret")}},
	} {
		var cmd Command
		in := []byte(tc.in + "following")
		n, need, err := Parse(in, &testLimits, &cmd)
		if n != len(tc.in) || need != 0 || err != nil {
			t.Errorf("%q: n = %d, need = %d, err = %v", tc.in, n, need, err)
			continue
		}
		if fmt.Sprintf("%+v", cmd) != fmt.Sprintf("%+v", tc.want) {
			t.Errorf("%q: got %+v, want %+v", tc.in, cmd, tc.want)
		}
	}
}

func TestParseAsksForWhatIsMissing(t *testing.T) {
	for _, in := range []string{
		"PUB t\n" + sized("hello"),
		"DPUB t 10\n" + sized("hello"),
		"MPUB t\n" + sized(mpubBody("hello", "world", "!")),
		"IDENTIFY\n" + sized("{}"),
		"FIN " + testID + "\n",
	} {
		for i := range len(in) {
			var cmd Command
			n, need, err := Parse([]byte(in[:i]), &testLimits, &cmd)
			if n != 0 || err != nil || need <= i || need > len(in) {
				t.Errorf("%q: n = %d, need = %d, err = %v", in[:i], n, need, err)
			}
			if hasLine := strings.Contains(in[:i], "\n"); (cmd.Verb != 0) != hasLine {
				t.Errorf("%q: verb is %v", in[:i], cmd.Verb)
			}
		}
	}
}

func TestParseRefusals(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, tc := range []struct{ in, want string }{
		{"\n", "E_INVALID invalid command "},
		{"nop\n", "E_INVALID invalid command nop"},
		{" NOP\n", "E_INVALID invalid command "},
		{"GET / HTTP/1.1\r\n", "E_INVALID invalid command GET"},
		{strings.Repeat("x", 1000) + "\n", "E_INVALID invalid command " + strings.Repeat("x", 128)},
		{strings.Repeat("x", MaxLineSize), "E_INVALID command line longer than 16384 bytes"},
		{"PUB\n", "E_INVALID PUB insufficient number of parameters"},
		{"MPUB\n", "E_INVALID MPUB insufficient number of parameters"},
		{"DPUB t\n", "E_INVALID DPUB insufficient number of parameters"},
		{"PUB \n", `E_BAD_TOPIC PUB topic name "" is not valid`},
		{"PUB " + long + "\n", `E_BAD_TOPIC PUB topic name "` + long + `" is not valid`},
		{"DPUB a/b 1\n", `E_BAD_TOPIC DPUB topic name "a/b" is not valid`},
		{"MPUB \x00\n", `E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "\x00" is not valid`},
		{"DPUB t -1\n", "E_INVALID DPUB could not parse timeout -1"},
		{"DPUB t 3600001\n", "E_INVALID DPUB timeout 3600001 out of range 0-3600000"},
		{"PUB t\n" + length(0), "E_BAD_MESSAGE PUB invalid message body size 0"},
		{"PUB t\n" + length(-1), "E_BAD_MESSAGE PUB invalid message body size -1"},
		{"PUB t\n" + length(101), "E_BAD_MESSAGE PUB message too big 101 > 100"},
		{"PUB t\n" + length(1<<30), "E_BAD_MESSAGE PUB message too big 1073741824 > 100"},
		{"DPUB t 0\n" + length(101), "E_BAD_MESSAGE DPUB message too big 101 > 100"},
		{"MPUB t\n" + length(0), "E_BAD_BODY MPUB invalid body size 0"},
		{"MPUB t\n" + length(1<<30), "E_BAD_BODY MPUB body too big 1073741824 > 300"},
		{"MPUB t\n" + length(300) + length(0), "E_BAD_BODY MPUB invalid message count 0"},
		{"MPUB t\n" + length(300) + length(60), "E_BAD_BODY MPUB invalid message count 60"},
		{"MPUB t\n" + length(300) + length(-5), "E_BAD_BODY MPUB invalid message count -5"},
		{"MPUB t\n" + length(30) + length(2) + sized("a") + length(0), "E_BAD_MESSAGE MPUB invalid message(1) body size 0"},
		{"MPUB t\n" + length(30) + length(2) + sized("a") + length(101), "E_BAD_MESSAGE MPUB message too big 101 > 100"},
		{"MPUB t\n" + length(30) + length(59) + length(7), "E_BAD_BODY MPUB body too big 305 > 300"},
		{"IDENTIFY\n" + length(0), "E_BAD_BODY IDENTIFY invalid body size 0"},
		{"IDENTIFY\n" + length(301), "E_BAD_BODY IDENTIFY body too big 301 > 300"},
		{"AUTH x\n", "E_INVALID AUTH invalid number of parameters"},
		{"AUTH\n" + length(math.MaxInt32), "E_BAD_BODY AUTH body too big 2147483647 > 300"},
		{"SUB t\n", "E_INVALID SUB insufficient number of parameters"},
		{"SUB  c\n", `E_BAD_TOPIC SUB topic name "" is not valid`},
		{"SUB t \n", `E_BAD_CHANNEL SUB channel name "" is not valid`},
		{"SUB t c#ephemera\n", `E_BAD_CHANNEL SUB channel name "c#ephemera" is not valid`},
		{"RDY x\n", "E_INVALID RDY could not parse count x"},
		{"RDY -1\n", "E_INVALID RDY could not parse count -1"},
		{"RDY 2501\n", "E_INVALID RDY count 2501 out of range 0-2500"},
		{"RDY 18446744073709551617\n", "E_INVALID RDY count 9223372036854775807 out of range 0-2500"},
		{"FIN\n", "E_INVALID FIN insufficient number of params"},
		{"FIN 0123\n", "E_INVALID invalid message ID"},
		{"FIN " + testID + "0\n", "E_INVALID invalid message ID"},
		{"TOUCH\n", "E_INVALID TOUCH insufficient number of params"},
		{"REQ " + testID + "\n", "E_INVALID REQ insufficient number of params"},
		{"REQ " + testID + " -1\n", "E_INVALID REQ could not parse timeout -1"},
	} {
		var cmd Command
		n, need, err := Parse([]byte(tc.in), &testLimits, &cmd)
		if n != 0 || need != 0 || err == nil || err.Error() != tc.want {
			t.Errorf("%.40q: n = %d, need = %d\n got %v\nwant %s", tc.in, n, need, err, tc.want)
		}
	}
}

func TestOnlyThreeCodesLeaveTheConnectionOpen(t *testing.T) {
	for _, c := range []Code{CodeFinFailed, CodeReqFailed, CodeTouchFailed} {
		if c.Fatal() {
			t.Errorf("%s is fatal", c)
		}
	}
	for _, c := range []Code{
		CodeBadProtocol, CodeInvalid, CodeBadBody, CodeBadMessage, CodeBadTopic, CodeBadChannel, CodeIdentifyFailed,
		CodeAuthDisabled, CodeAuthFailed, CodeAuthFirst, CodeUnauthorized, CodeSubFailed, CodePubFailed, CodeMPubFailed, CodeDPubFailed,
	} {
		if !c.Fatal() {
			t.Errorf("%s is not fatal", c)
		}
	}
}

func TestTruncatedCommands(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"PUB t", ""},
		{"PUB t\n\x00", "E_BAD_MESSAGE PUB failed to read message body size"},
		{"DPUB t 1\n" + length(5) + "hell", "E_BAD_MESSAGE DPUB failed to read message body"},
		{"IDENTIFY\n", "E_BAD_BODY IDENTIFY failed to read body size"},
		{"IDENTIFY\n" + length(2) + "{", "E_BAD_BODY IDENTIFY failed to read body"},
		{"MPUB t\n", "E_BAD_BODY MPUB failed to read body size"},
		{"MPUB t\n" + length(20), "E_BAD_BODY MPUB failed to read message count"},
		{"MPUB t\n" + length(20) + length(2) + sized("a"), "E_BAD_MESSAGE MPUB failed to read message(1) body size"},
		{"MPUB t\n" + length(20) + length(2) + sized("a") + length(3), "E_BAD_MESSAGE MPUB failed to read message body"},
	} {
		var cmd Command
		if _, need, err := Parse([]byte(tc.in), &testLimits, &cmd); need == 0 {
			t.Fatalf("%q is not incomplete: %v", tc.in, err)
		}
		got := ""
		if err := Truncated([]byte(tc.in), &cmd, &testLimits); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	in := []byte("PUB t\n" + sized("hello") + "FIN " + testID + "\nREQ " + testID + " 5\nRDY 7\nNOP\nDPUB t 5\n" + sized("x") +
		"MPUB t\n" + sized(mpubBody("a", "b")) + "SUB t c\nTOUCH " + testID + "\n")
	var cmd Command
	commands := 0
	allocs := testing.AllocsPerRun(100, func() {
		commands = 0
		for rest := in; len(rest) > 0; commands++ {
			n, _, err := Parse(rest, &testLimits, &cmd)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	})
	if allocs != 0 || commands != 9 {
		t.Fatalf("%v allocations for %d commands", allocs, commands)
	}
}

func TestMPUBMessages(t *testing.T) {
	messages, err := ParseMPUB([]byte(mpubBody("one", "2", "three")+"ignored"), &testLimits)
	if err != nil || messages.Len() != 3 {
		t.Fatalf("%d messages, %v", messages.Len(), err)
	}
	var got []string
	for m, ok := messages.Next(); ok; m, ok = messages.Next() {
		got = append(got, string(m))
	}
	if strings.Join(got, " ") != "one 2 three" {
		t.Fatalf("got %q", got)
	}
}

// Trickling bytes must not make the server walk the same megabytes for each of them.
func TestTricklingMPUBTakesFewWalks(t *testing.T) {
	lim := Limits{MaxMsgSize: 1 << 20, MaxBodySize: 5 << 20}
	messages := make([]string, 40_000)
	for i := range messages {
		messages[i] = strings.Repeat("m", 1+i%200)
	}
	in := []byte("MPUB t\n" + sized(mpubBody(messages...)))
	walks := 0
	for have := 0; ; walks++ {
		var cmd Command
		n, need, err := Parse(in[:have], &lim, &cmd)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			break
		}
		have = need
	}
	if walks > 300 {
		t.Fatalf("%d walks for %d bytes", walks, len(in))
	}
	t.Logf("%d walks for %d bytes", walks, len(in))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"NOP\n", "PUB t\n" + sized("hello") + "NOP\n", "DPUB t 10\n" + sized("x"), "RDY 10\n", "REQ " + testID + " 5\n",
		"SUB t c\nRDY 1\nFIN " + testID + "\n", "MPUB t\n" + sized(mpubBody("a", "bc")), "IDENTIFY\n" + sized("{}"), "AUTH\n",
		"CLS\r\n", "TOUCH " + testID + "\n", "PUB t\n\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var whole, part Command
		bounded.Memory(t, len(in), func() { Parse(in, &testLimits, &part) })
		part = Command{}
		n, need, err := Parse(in, &testLimits, &whole)
		if kinds := btoi(n > 0) + btoi(need > 0) + btoi(err != nil); kinds != 1 || n > len(in) || (need > 0 && need <= len(in)) {
			t.Fatalf("n = %d, need = %d, err = %v of %d bytes", n, need, err, len(in))
		}
		if need > MaxLineSize+4+4+testLimits.MaxBodySize {
			t.Fatalf("asks for %d bytes", need)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || len(err.Error()) > 1000) {
			t.Fatalf("error %T %v", err, err)
		}
		if need > 0 {
			_ = Truncated(in, &whole, &testLimits)
		}
		if n == 0 {
			return
		}
		if whole.Verb == MPUB {
			messages := whole.Messages()
			for m, ok := messages.Next(); ok; m, ok = messages.Next() {
				if len(m) == 0 || len(m) > testLimits.MaxMsgSize {
					t.Fatalf("message of %d bytes", len(m))
				}
			}
		}
		// The same command decodes the same whatever follows, and any prefix of it is incomplete.
		if m, _, err := Parse(in[:n], &testLimits, &part); m != n || err != nil || !bytes.Equal(part.Body, whole.Body) {
			t.Fatalf("alone: n = %d, want %d, %v", m, n, err)
		}
		cut = int(uint(cut) % uint(n))
		if m, need, err := Parse(in[:cut], &testLimits, &part); m != 0 || err != nil || need <= cut || need > n {
			t.Fatalf("prefix of %d of %d: n = %d, need = %d, %v", cut, n, m, need, err)
		}
	})
}

func FuzzMPUB(f *testing.F) {
	f.Add([]byte(mpubBody("a", "bc")))
	f.Add([]byte(mpubBody("a") + "rest"))
	f.Add([]byte(length(2) + sized("a")))
	f.Fuzz(func(t *testing.T, body []byte) {
		bounded.Memory(t, len(body), func() { ParseMPUB(body, &testLimits) })
		messages, err := ParseMPUB(body, &testLimits)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || (e.Code != CodeBadBody && e.Code != CodeBadMessage) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again := binary.BigEndian.AppendUint32(nil, uint32(messages.Len()))
		for m, ok := messages.Next(); ok; m, ok = messages.Next() {
			again = binary.BigEndian.AppendUint32(again, uint32(len(m)))
			again = append(again, m...)
		}
		if !bytes.HasPrefix(body, again) || len(again) > testLimits.MaxBodySize {
			t.Fatalf("%x decodes to %x", body, again)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func BenchmarkParsePub(b *testing.B) {
	benchmarkParse(b, "PUB a_topic\n"+sized(strings.Repeat("x", 100)))
}

func BenchmarkParseFin(b *testing.B) { benchmarkParse(b, "FIN "+testID+"\n") }

// BenchmarkParseMpub is one MPUB of 200 messages of 200 bytes a command.
func BenchmarkParseMpub(b *testing.B) {
	messages := strings.Repeat(sized(strings.Repeat("x", 200)), 200)
	benchmarkParse(b, "MPUB a_topic\n"+sized("\x00\x00\x00\xc8"+messages))
}

// benchmarkParse parses a hundred of one command.
func benchmarkParse(b *testing.B, command string) {
	in := bytes.Repeat([]byte(command), 100)
	limits := testLimits
	limits.MaxMsgSize, limits.MaxBodySize = 1<<20, 5<<20
	var cmd Command
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			n, need, err := Parse(rest, &limits, &cmd)
			if err != nil || need > 0 {
				b.Fatalf("needs %d, error %v", need, err)
			}
			rest = rest[n:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/command")
}
