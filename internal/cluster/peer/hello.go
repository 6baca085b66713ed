package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/weirmq/weir/internal/catalog"
)

// Protocol is the version of the protocol between nodes that this program speaks.
const Protocol = 1

const (
	helloMagic      = "WEIRPEER"
	helloFixed      = 12 // magic, protocol, length of the body
	helloBody       = 50 // the body's fields before version and refusal
	maxHelloBody    = 1024
	maxVersionBytes = 64
	maxRefusalBytes = 512

	// confirmed is what the dialler sends when it has accepted the listener's hello.
	confirmed = "\x01"
)

// hello is the first thing on a connection, in both directions (docs/format/peer.md). A later protocol keeps the first twelve
// bytes and may add to the end of the body.
type hello struct {
	protocol  uint16
	clusterID uint64
	from, to  catalog.NodeID
	life      Life
	lane      Lane
	answer    bool   // of the listener
	seen      Life   // the highest that the sender has seen of the receiver; zero: none
	version   string // of the program, for people
	refusal   string // of the listener; "": welcome
}

func (h *hello) encode() []byte {
	b := make([]byte, 0, helloFixed+helloBody+len(h.version)+len(h.refusal)+8)
	b = append(b, helloMagic...)
	b = binary.BigEndian.AppendUint16(b, h.protocol)
	b = binary.BigEndian.AppendUint16(b, uint16(helloBody+1+len(h.version)+2+len(h.refusal)))
	b = binary.BigEndian.AppendUint64(b, h.clusterID)
	b = binary.BigEndian.AppendUint64(b, uint64(h.from))
	b = binary.BigEndian.AppendUint64(b, uint64(h.to))
	b = binary.BigEndian.AppendUint32(b, h.life.Number)
	b = binary.BigEndian.AppendUint64(b, h.life.Nonce)
	var answer byte
	if h.answer {
		answer = 1
	}
	b = append(b, byte(h.lane), answer)
	b = binary.BigEndian.AppendUint32(b, h.seen.Number)
	b = binary.BigEndian.AppendUint64(b, h.seen.Nonce)
	b = append(b, byte(len(h.version)))
	b = append(b, h.version...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.refusal)))
	b = append(b, h.refusal...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// errNotPeer means that the other side does not speak this protocol at all.
var errNotPeer = errors.New("what came is not the hello of a Weir node")

// readHello reads no byte more than the hello has.
func readHello(r io.Reader) (*hello, error) {
	b := make([]byte, helloFixed, helloFixed+maxHelloBody+4)
	n, err := io.ReadFull(r, b)
	if n >= 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 { // an alert is shorter than a hello
		return nil, fmt.Errorf("%w but TLS: was it started with --cluster-key and this node without?", errNotPeer)
	}
	if err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	if string(b[:8]) != helloMagic {
		return nil, fmt.Errorf("%w: it began with %q", errNotPeer, b[:8])
	}
	length := int(binary.BigEndian.Uint16(b[10:]))
	if length < helloBody+3 || length > maxHelloBody {
		return nil, fmt.Errorf("hello with a body of %d bytes: %w", length, errMalformed)
	}
	b = b[:helloFixed+length+4]
	if _, err := io.ReadFull(r, b[helloFixed:]); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	return decodeHello(b)
}

// decodeHello decodes what readHello has framed.
func decodeHello(b []byte) (*hello, error) {
	end := len(b) - 4
	if binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return nil, fmt.Errorf("hello whose checksum does not match: %w", errMalformed)
	}
	p := b[helloFixed:end]
	h := &hello{
		protocol:  binary.BigEndian.Uint16(b[8:]),
		clusterID: binary.BigEndian.Uint64(p),
		from:      catalog.NodeID(binary.BigEndian.Uint64(p[8:])),
		to:        catalog.NodeID(binary.BigEndian.Uint64(p[16:])),
		life:      Life{Number: binary.BigEndian.Uint32(p[24:]), Nonce: binary.BigEndian.Uint64(p[28:])},
		lane:      Lane(p[36]),
		answer:    p[37] == 1,
		seen:      Life{Number: binary.BigEndian.Uint32(p[38:]), Nonce: binary.BigEndian.Uint64(p[42:])},
	}
	p = p[helloBody:]
	n := int(p[0])
	if n > maxVersionBytes || len(p) < 1+n+2 {
		return nil, fmt.Errorf("hello with a version of %d bytes: %w", n, errMalformed)
	}
	h.version, p = string(p[1:1+n]), p[1+n:]
	n = int(binary.BigEndian.Uint16(p))
	if n > maxRefusalBytes || len(p) < 2+n {
		return nil, fmt.Errorf("hello with a refusal of %d bytes: %w", n, errMalformed)
	}
	h.refusal = string(p[2 : 2+n])
	return h, nil
}

// judge returns why a hello cannot be accepted, "" if it can. Of lives it looks at this node's own only.
func (t *Transport) judge(h *hello) string {
	o := &t.opts
	switch {
	case h.protocol != Protocol:
		return fmt.Sprintf("node %d (weir %s) speaks version %d of the protocol between nodes, node %d (weir %s) version %d: "+
			"upgrade the older one", h.from, h.version, h.protocol, o.Self, o.Version, Protocol)
	case h.clusterID != o.ClusterID:
		return fmt.Sprintf("node %d belongs to cluster %016x, node %d to cluster %016x: one of them has the other's address",
			h.from, h.clusterID, o.Self, o.ClusterID)
	case h.to != o.Self:
		return fmt.Sprintf("node %d looks for node %d, but this is node %d: has an address changed hands?", h.from, h.to, o.Self)
	case h.from == o.Self:
		return fmt.Sprintf("another process says that it is node %d, which this one is: is a copy of the data directory in use?", h.from)
	case !t.known(h.from):
		return fmt.Sprintf("node %d is not a member of this cluster as node %d knows it", h.from, o.Self)
	case !t.remembers(h.seen):
		return fmt.Sprintf("node %d has seen life %d of node %d, of which node %d knows nothing: "+olderCopy, h.from, h.seen.Number, o.Self, o.Self)
	}
	return ""
}

// remembers reports whether this node knows of a life that another one has seen of it. A copy of an older disk does not, also
// when it has been started more often since.
func (t *Transport) remembers(seen Life) bool {
	o := &t.opts
	switch {
	case seen == Life{} || seen == o.Life:
		return true
	case seen.Number >= o.Life.Number:
		return false
	}
	return o.Remembers == nil || o.Remembers(seen)
}
