package lookupwire

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

func length(n int32) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

func sized(body string) string { return length(int32(len(body))) + body }

func TestParseCompleteCommands(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Command
	}{
		{"PING\n", Command{Verb: PING}},
		{"  PING  \r\n", Command{Verb: PING}},
		{"PING me\n", Command{Verb: PING}},
		{"REGISTER t\n", Command{Verb: REGISTER, Topic: "t"}},
		{"REGISTER t c more\r\n", Command{Verb: REGISTER, Topic: "t", Channel: "c"}},
		{"REGISTER t  c\n", Command{Verb: REGISTER, Topic: "t"}},
		{"UNREGISTER t#ephemeral c#ephemeral\n", Command{Verb: UNREGISTER, Topic: "t#ephemeral", Channel: "c#ephemeral"}},
		{"IDENTIFY\n" + sized("{}"), Command{Verb: IDENTIFY, Body: []byte("{}")}},
		{"IDENTIFY\n" + sized(""), Command{Verb: IDENTIFY, Body: []byte{}}},
	} {
		for cut := range len(tc.in) {
			var cmd Command
			if n, need, err := Parse([]byte(tc.in[:cut]), &cmd); n != 0 || need <= cut || err != nil {
				t.Errorf("%q cut at %d: n %d, need %d, %v", tc.in, cut, n, need, err)
			}
		}
		var cmd Command
		n, need, err := Parse([]byte(tc.in+"PING\n"), &cmd)
		if n != len(tc.in) || need != 0 || err != nil || !reflect.DeepEqual(cmd, tc.want) {
			t.Errorf("%q: %+v, n %d, need %d, %v", tc.in, cmd, n, need, err)
		}
	}
}

func TestParseRefusesInNsqlookupdsWords(t *testing.T) {
	long := strings.Repeat("n", 300)
	for in, want := range map[string]string{
		"\n":                            "E_INVALID invalid command ",
		"ping\n":                        "E_INVALID invalid command ping",
		"REGISTER\n":                    "E_INVALID REGISTER insufficient number of params",
		"UNREGISTER \n":                 "E_INVALID UNREGISTER insufficient number of params",
		"REGISTER a$\n":                 "E_BAD_TOPIC REGISTER topic name 'a$' is not valid",
		"REGISTER  t\n":                 "E_BAD_TOPIC REGISTER topic name '' is not valid",
		"UNREGISTER t c%\n":             "E_BAD_CHANNEL UNREGISTER channel name 'c%' is not valid",
		"REGISTER " + long + "\n":       "E_BAD_TOPIC REGISTER topic name '" + long[:128] + "' is not valid",
		"IDENTIFY\n" + length(-1):       "E_BAD_BODY IDENTIFY invalid body size -1",
		"IDENTIFY\n" + length(8193):     "E_BAD_BODY IDENTIFY invalid body size 8193",
		strings.Repeat("x", 4096):       "E_INVALID command line longer than 4096 bytes",
		"GET / HTTP/1.1\r\nHost: x\r\n": "E_INVALID invalid command GET",
	} {
		var cmd Command
		if n, need, err := Parse([]byte(in), &cmd); n != 0 || need != 0 || err == nil || err.Error() != want {
			t.Errorf("%.40q: n %d, need %d, got %v, want %s", in, n, need, err, want)
		}
	}
}

func TestPeerNeedsItsFourFields(t *testing.T) {
	if p, err := DecodePeer([]byte(`{"broadcast_address":"b","tcp_port":1,"http_port":2,"version":"v","unknown":[]}`)); err != nil || p.TCPPort != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	for body, want := range map[string]string{
		`{"tcp_port":1,"http_port":2,"version":"v"}`:            "E_BAD_BODY IDENTIFY missing fields",
		`{"broadcast_address":"b","http_port":2,"version":"v"}`: "E_BAD_BODY IDENTIFY missing fields",
		`{"broadcast_address":"b","tcp_port":1,"version":"v"}`:  "E_BAD_BODY IDENTIFY missing fields",
		`{"broadcast_address":"b","tcp_port":1,"http_port":2}`:  "E_BAD_BODY IDENTIFY missing fields",
		`null`: "E_BAD_BODY IDENTIFY missing fields",
		``:     "E_BAD_BODY IDENTIFY failed to decode JSON body",
		`[]`:   "E_BAD_BODY IDENTIFY failed to decode JSON body",
	} {
		if _, err := DecodePeer([]byte(body)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	peer := Peer{Hostname: "h", BroadcastAddress: "b", TCPPort: 1, HTTPPort: 2, Version: "v"}
	buf := AppendPing(AppendUnregister(AppendRegister(AppendIdentify(nil, peer), "t", "c"), "u", ""))
	var got []Command
	for len(buf) > 0 {
		var cmd Command
		n, _, err := Parse(buf, &cmd)
		if err != nil || n == 0 {
			t.Fatalf("%q: n %d, %v", buf, n, err)
		}
		got, buf = append(got, cmd), buf[n:]
	}
	if decoded, err := DecodePeer(got[0].Body); err != nil || decoded != peer {
		t.Errorf("peer became %+v, %v", decoded, err)
	}
	want := []Command{{Verb: REGISTER, Topic: "t", Channel: "c"}, {Verb: UNREGISTER, Topic: "u"}, {Verb: PING}}
	if !reflect.DeepEqual(got[1:], want) {
		t.Errorf("got %+v", got[1:])
	}
	service := Service{BroadcastAddress: "l", HTTPPort: 4161}
	data, n, _, err := ParseAnswer(AppendAnswer(nil, service.JSON()))
	if decoded, decodeErr := DecodeService(data); err != nil || n == 0 || decodeErr != nil || decoded != service {
		t.Errorf("service became %+v: n %d, %v, %v", decoded, n, err, decodeErr)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for _, in := range []string{"HTTP/1.1 400 Bad Request", length(-1), length(MaxAnswerSize + 1)} {
		if data, n, need, err := ParseAnswer([]byte(in)); data != nil || n != 0 || need != 0 || err == nil {
			t.Errorf("%q: %q, n %d, need %d, %v", in, data, n, need, err)
		}
	}
	if err := Refused([]byte("E_INVALID x")); err == nil {
		t.Error("an error is taken for an answer")
	}
	if err := Refused([]byte("OK")); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"PING\n", "REGISTER t c\n", "UNREGISTER t\r\n", "IDENTIFY\n" + sized("{}"), "IDENTIFY\n" + length(-1), "\n", " \t\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var cmd Command
		bounded.Memory(t, len(in), func() { Parse(in, &cmd); DecodePeer(in) })
		n, need, err := Parse(in, &cmd)
		said := 0
		for _, holds := range []bool{n > 0, need > 0, err != nil} {
			if holds {
				said++
			}
		}
		if said != 1 || n > len(in) || need > 0 && need <= len(in) || need > MaxLineSize+4+MaxBodySize {
			t.Fatalf("n %d, need %d, %v of %d bytes", n, need, err, len(in))
		}
		if n > 0 && cmd.Verb == IDENTIFY {
			_, _ = DecodePeer(cmd.Body) // must not panic
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{sized("OK"), sized("E_INVALID x"), sized(`{"http_port":1}`), "HTTP/1.1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		data, n, need, err := ParseAnswer(in)
		if (n > 0) == (need > 0 || err != nil) || n > len(in) || need > 4+MaxAnswerSize || n > 0 && n != 4+len(data) {
			t.Fatalf("n %d, need %d, %v", n, need, err)
		}
		_, _ = DecodeService(data) // must not panic
		_ = Refused(data)
	})
}
