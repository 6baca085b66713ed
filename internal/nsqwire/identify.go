package nsqwire

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// maxWordSize bounds the free texts of an IDENTIFY, which a session keeps as long as it lives, in bytes. Longer ones are
// cut.
const maxWordSize = 1 << 10

// Identify is what a client tells about itself and asks for, as decoded from the body of IDENTIFY. Unknown keys are
// ignored. Zero means that the client leaves the value to the server.
type Identify struct {
	ClientID            string `json:"client_id"`
	Hostname            string `json:"hostname"`
	UserAgent           string `json:"user_agent"`
	FeatureNegotiation  bool   `json:"feature_negotiation"`
	HeartbeatInterval   int    `json:"heartbeat_interval"`    // ms; -1 = none
	OutputBufferSize    int    `json:"output_buffer_size"`    // bytes; -1 = unbuffered
	OutputBufferTimeout int    `json:"output_buffer_timeout"` // ms; -1 = no flush by time
	TLSv1               bool   `json:"tls_v1"`
	Deflate             bool   `json:"deflate"`
	DeflateLevel        int    `json:"deflate_level"`
	Snappy              bool   `json:"snappy"`
	SampleRate          int32  `json:"sample_rate"` // percent
	MsgTimeout          int    `json:"msg_timeout"` // ms
	TopologyRegion      string `json:"topology_region"`
	TopologyZone        string `json:"topology_zone"`
}

// DecodeIdentify decodes the body of IDENTIFY. The error is of CodeBadBody. The ranges of the values are the
// matter of Terms.Apply.
func DecodeIdentify(body []byte) (*Identify, *Error) {
	id := new(Identify)
	if err := json.Unmarshal(body, id); err != nil {
		return nil, Errorf(CodeBadBody, "IDENTIFY failed to decode JSON body")
	}
	for _, word := range []*string{&id.ClientID, &id.Hostname, &id.UserAgent, &id.TopologyRegion, &id.TopologyZone} {
		if len(*word) > maxWordSize {
			*word = strings.Clone(strings.ToValidUTF8((*word)[:maxWordSize], ""))
		}
	}
	return id, nil
}

// IdentifyLimits bound what a client may ask for.
type IdentifyLimits struct {
	MaxHeartbeatInterval   time.Duration
	MaxOutputBufferSize    int // bytes
	MinOutputBufferTimeout time.Duration
	MaxOutputBufferTimeout time.Duration
	MaxMsgTimeout          time.Duration
}

const (
	minHeartbeatInterval = time.Second
	minOutputBufferSize  = 64
	minMsgTimeout        = time.Second
	maxSampleRate        = 99
)

// Terms are the values that hold for a session.
type Terms struct {
	HeartbeatInterval   time.Duration // 0 = no heartbeats
	OutputBufferSize    int           // bytes; 1 = unbuffered
	OutputBufferTimeout time.Duration // 0 = no flush by time
	SampleRate          int           // percent of messages to deliver; 0 = all
	MsgTimeout          time.Duration
}

// Apply returns the terms after a client's wishes, or an error of CodeBadBody that names the first value out of range.
func (t Terms) Apply(id *Identify, lim *IdentifyLimits) (Terms, *Error) {
	var ok bool
	if t.HeartbeatInterval, ok = wish(id.HeartbeatInterval, t.HeartbeatInterval, minHeartbeatInterval, lim.MaxHeartbeatInterval); !ok {
		return t, refused("heartbeat interval", id.HeartbeatInterval)
	}
	if t.OutputBufferTimeout, ok = wish(id.OutputBufferTimeout, t.OutputBufferTimeout, lim.MinOutputBufferTimeout, lim.MaxOutputBufferTimeout); !ok {
		return t, refused("output buffer timeout", id.OutputBufferTimeout)
	}
	switch size := id.OutputBufferSize; {
	case size == -1:
		t.OutputBufferSize, t.OutputBufferTimeout = 1, 0
	case size == 0:
	case size < minOutputBufferSize || size > lim.MaxOutputBufferSize:
		return t, refused("output buffer size", size)
	default:
		t.OutputBufferSize = size
	}
	if id.SampleRate < 0 || id.SampleRate > maxSampleRate {
		return t, refused("sample rate", int(id.SampleRate))
	}
	t.SampleRate = int(id.SampleRate)
	if id.MsgTimeout < 0 { // unlike the others, -1 has no meaning here
		return t, refused("msg timeout", id.MsgTimeout)
	}
	if t.MsgTimeout, ok = wish(id.MsgTimeout, t.MsgTimeout, minMsgTimeout, lim.MaxMsgTimeout); !ok {
		return t, refused("msg timeout", id.MsgTimeout)
	}
	return t, nil
}

// wish returns the duration that a client asks for in ms: 0 keeps the current one, -1 switches off; false if it is out of
// range.
func wish(ms int, current, least, most time.Duration) (time.Duration, bool) {
	switch {
	case ms == 0:
		return current, true
	case ms == -1:
		return 0, true
	case int64(ms) < least.Milliseconds() || int64(ms) > most.Milliseconds():
		return current, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

func refused(what string, value int) *Error {
	return Errorf(CodeBadBody, "IDENTIFY %s (%d) is invalid", what, value)
}

// Negotiated is the reply to an IDENTIFY with feature_negotiation. Its keys keep nsqd's order.
type Negotiated struct {
	MaxRdyCount         int    `json:"max_rdy_count"`
	Version             string `json:"version"`
	MaxMsgTimeout       int64  `json:"max_msg_timeout"` // ms
	MsgTimeout          int64  `json:"msg_timeout"`     // ms
	TLSv1               bool   `json:"tls_v1"`
	Deflate             bool   `json:"deflate"`
	DeflateLevel        int    `json:"deflate_level"`
	MaxDeflateLevel     int    `json:"max_deflate_level"`
	Snappy              bool   `json:"snappy"`
	SampleRate          int    `json:"sample_rate"`
	AuthRequired        bool   `json:"auth_required"`
	OutputBufferSize    int    `json:"output_buffer_size"`
	OutputBufferTimeout int64  `json:"output_buffer_timeout"` // ms
	TopologyRegion      string `json:"topology_region"`
	TopologyZone        string `json:"topology_zone"`
}

// JSON returns the data of the reply's response frame.
func (n *Negotiated) JSON() []byte {
	data, err := json.Marshal(n)
	if err != nil {
		panic(fmt.Sprintf("encode IDENTIFY reply: %v", err)) // only strings, ints and bools: cannot fail
	}
	return data
}
