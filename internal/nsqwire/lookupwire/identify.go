package lookupwire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Peer is a broker as it introduces itself with IDENTIFY, and as the lookup service tells consumers of it. The keys keep
// nsqlookupd's order.
type Peer struct {
	RemoteAddress    string `json:"remote_address"` // of its connection; the service fills it in
	Hostname         string `json:"hostname"`
	BroadcastAddress string `json:"broadcast_address"` // host that consumers reach it by
	TCPPort          int    `json:"tcp_port"`
	HTTPPort         int    `json:"http_port"`
	Version          string `json:"version"`
	TopologyZone     string `json:"topology_zone"`
	TopologyRegion   string `json:"topology_region"`
}

// DecodePeer decodes the body of IDENTIFY. Unknown keys are ignored. The error is of nsqwire.CodeBadBody.
func DecodePeer(body []byte) (Peer, error) {
	var p Peer
	if err := json.Unmarshal(body, &p); err != nil {
		return p, nsqwire.Errorf(nsqwire.CodeBadBody, "IDENTIFY failed to decode JSON body")
	}
	if p.BroadcastAddress == "" || p.TCPPort == 0 || p.HTTPPort == 0 || p.Version == "" {
		return p, nsqwire.Errorf(nsqwire.CodeBadBody, "IDENTIFY missing fields")
	}
	return p, nil
}

// AppendIdentify appends IDENTIFY with a peer.
func AppendIdentify(dst []byte, p Peer) []byte {
	body := encode(p)
	dst = append(dst, "IDENTIFY\n"...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// Service is a lookup service as it introduces itself in its answer to IDENTIFY. The keys keep nsqlookupd's order.
type Service struct {
	BroadcastAddress string `json:"broadcast_address"` // host that brokers reach its HTTP API by
	Hostname         string `json:"hostname"`
	HTTPPort         int    `json:"http_port"`
	TCPPort          int    `json:"tcp_port"`
	Version          string `json:"version"`
}

// JSON returns the data of the answer to IDENTIFY.
func (s Service) JSON() []byte { return encode(s) }

// DecodeService decodes the data of the answer to IDENTIFY.
func DecodeService(data []byte) (Service, error) {
	var s Service
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("answer to IDENTIFY is not JSON: %q", clip(string(data)))
	}
	return s, nil
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // only strings and ints: cannot fail
	}
	return data
}
