package nsqwire

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var testIdentifyLimits = IdentifyLimits{
	MaxHeartbeatInterval: time.Minute, MaxOutputBufferSize: 64 << 10,
	MinOutputBufferTimeout: 25 * time.Millisecond, MaxOutputBufferTimeout: 30 * time.Second, MaxMsgTimeout: 15 * time.Minute,
}

var defaultTerms = Terms{
	HeartbeatInterval: 30 * time.Second, OutputBufferSize: 16 << 10, OutputBufferTimeout: 250 * time.Millisecond,
	MsgTimeout: time.Minute,
}

// negotiate decodes and applies.
func negotiate(body string) (Terms, *Error) {
	id, err := DecodeIdentify([]byte(body))
	if err != nil {
		return defaultTerms, err
	}
	return defaultTerms.Apply(id, &testIdentifyLimits)
}

func TestIdentifyRefusesValuesOutOfRange(t *testing.T) {
	for _, tc := range []struct{ key, reason, values string }{
		{"heartbeat_interval", "heartbeat interval", "-2 1 999 60001"},
		{"output_buffer_size", "output buffer size", "-2 1 63 65537"},
		{"output_buffer_timeout", "output buffer timeout", "-2 1 24 30001"},
		{"sample_rate", "sample rate", "-1 100"},
		{"msg_timeout", "msg timeout", "-2 -1 1 999 900001"},
	} {
		for _, value := range strings.Fields(tc.values) {
			_, err := negotiate(`{"` + tc.key + `":` + value + `}`)
			want := fmt.Sprintf("E_BAD_BODY IDENTIFY %s (%s) is invalid", tc.reason, value)
			if err == nil || err.Error() != want {
				t.Errorf("%s %s: got %v, want %s", tc.key, value, err, want)
			}
		}
	}
}

func TestIdentifyTakesValuesInRange(t *testing.T) {
	with := func(change func(*Terms)) Terms {
		terms := defaultTerms
		change(&terms)
		return terms
	}
	for body, want := range map[string]Terms{
		`{}`:                              defaultTerms,
		`null`:                            defaultTerms,
		`{"unknown":[1,{"a":2}]}`:         defaultTerms,
		`{"heartbeat_interval":0}`:        defaultTerms,
		`{"heartbeat_interval":-1}`:       with(func(t *Terms) { t.HeartbeatInterval = 0 }),
		`{"heartbeat_interval":1000}`:     with(func(t *Terms) { t.HeartbeatInterval = time.Second }),
		`{"heartbeat_interval":60000}`:    with(func(t *Terms) { t.HeartbeatInterval = time.Minute }),
		`{"output_buffer_size":64}`:       with(func(t *Terms) { t.OutputBufferSize = 64 }),
		`{"output_buffer_size":65536}`:    with(func(t *Terms) { t.OutputBufferSize = 65536 }),
		`{"output_buffer_size":-1}`:       with(func(t *Terms) { t.OutputBufferSize, t.OutputBufferTimeout = 1, 0 }),
		`{"output_buffer_timeout":-1}`:    with(func(t *Terms) { t.OutputBufferTimeout = 0 }),
		`{"output_buffer_timeout":25}`:    with(func(t *Terms) { t.OutputBufferTimeout = 25 * time.Millisecond }),
		`{"output_buffer_timeout":30000}`: with(func(t *Terms) { t.OutputBufferTimeout = 30 * time.Second }),
		`{"sample_rate":99}`:              with(func(t *Terms) { t.SampleRate = 99 }),
		`{"msg_timeout":1000}`:            with(func(t *Terms) { t.MsgTimeout = time.Second }),
		`{"msg_timeout":900000}`:          with(func(t *Terms) { t.MsgTimeout = 15 * time.Minute }),
	} {
		got, err := negotiate(body)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", body, got, err, want)
		}
	}
}

func TestIdentifyRefusesWhatIsNotItsJSON(t *testing.T) {
	for _, body := range []string{"", "{", "[]", "1", `{"client_id":1}`, `{"msg_timeout":"5"}`, `{"sample_rate":4294967296}`, `{"msg_timeout":1.5}`} {
		if _, err := negotiate(body); err == nil || err.Error() != "E_BAD_BODY IDENTIFY failed to decode JSON body" {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestIdentifyCutsLongTexts(t *testing.T) {
	id, err := DecodeIdentify([]byte(`{"user_agent":"` + strings.Repeat("é", 3000) + `"}`))
	if err != nil || len(id.UserAgent) > maxWordSize || len(id.UserAgent) < maxWordSize-2 || !utf8.ValidString(id.UserAgent) {
		t.Fatalf("%d bytes, %v", len(id.UserAgent), err)
	}
}

func TestNegotiatedReplyKeepsTheOrderOfKeys(t *testing.T) {
	reply := Negotiated{
		MaxRdyCount: 2500, Version: "1.3.0+weir.1", MaxMsgTimeout: 900000, MsgTimeout: 60000, DeflateLevel: 6, MaxDeflateLevel: 6,
		OutputBufferSize: 16384, OutputBufferTimeout: 250,
	}
	want := `{"max_rdy_count":2500,"version":"1.3.0+weir.1","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,` +
		`"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"auth_required":false,` +
		`"output_buffer_size":16384,"output_buffer_timeout":250,"topology_region":"","topology_zone":""}`
	if got := string(reply.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add([]byte(`{"client_id":"c","hostname":"h","heartbeat_interval":-1,"output_buffer_size":64,"msg_timeout":1000}`))
	f.Add([]byte(`{"feature_negotiation":true,"sample_rate":50,"output_buffer_timeout":25,"snappy":true}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		terms, err := negotiate(string(body))
		if err != nil {
			if err.Code != CodeBadBody {
				t.Fatalf("error %v", err)
			}
			return
		}
		lim := &testIdentifyLimits
		if terms.HeartbeatInterval > lim.MaxHeartbeatInterval || terms.OutputBufferSize > lim.MaxOutputBufferSize ||
			terms.OutputBufferSize < 1 || terms.OutputBufferTimeout > lim.MaxOutputBufferTimeout || terms.SampleRate > 99 ||
			terms.SampleRate < 0 || terms.MsgTimeout > lim.MaxMsgTimeout || terms.MsgTimeout < time.Second {
			t.Fatalf("terms %+v", terms)
		}
	})
}
