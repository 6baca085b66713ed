package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"

	"github.com/weirmq/weir/internal/catalog"
)

// Meta is what a node announces of itself.
type Meta struct {
	ClusterID   uint64         // 0: it belongs to none yet
	Node        catalog.NodeID // 0: as long as ClusterID is
	List        uint64         // digest of its join list, for forming
	Life        uint32         // which start of the node this is
	Withdrawn   bool           // lookups are not to list it
	Unhealthy   bool           // it says itself that it cannot serve
	PeerAddress string         // host:port of each
	TCPAddress  string
	HTTPAddress string
	// LookupAddress is where brokers register with the node's lookup service, "" if it has none.
	LookupAddress string
	Version       string // of its program

	leaving bool // it is about to stop: memberlist does not tell its users a goodbye from a death
}

// A Meta is
//
//	version (1) │ flags (1) │ cluster id (8) │ node (8) │ list (8) │ life (4) │ peer, tcp, http, lookup address, version: length (1), text
//
// big-endian. What a later version adds stands behind it and is ignored.
const (
	metaVersion   = 1
	metaFixed     = 30
	flagWithdrawn = 1
	flagUnhealthy = 2
	flagLeaving   = 4
)

var errMeta = errors.New("what the node announces of itself cannot be read: it may be of a newer version")

func (m *Meta) encode() []byte {
	var flags byte
	if m.Withdrawn {
		flags |= flagWithdrawn
	}
	if m.Unhealthy {
		flags |= flagUnhealthy
	}
	if m.leaving {
		flags |= flagLeaving
	}
	b := []byte{metaVersion, flags}
	b = binary.BigEndian.AppendUint64(b, m.ClusterID)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Node))
	b = binary.BigEndian.AppendUint64(b, m.List)
	b = binary.BigEndian.AppendUint32(b, m.Life)
	for _, text := range []string{m.PeerAddress, m.TCPAddress, m.HTTPAddress, m.LookupAddress, m.Version} {
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	return b
}

// validate refuses what has no room.
func (m *Meta) validate() error {
	for _, text := range []string{m.PeerAddress, m.TCPAddress, m.HTTPAddress, m.LookupAddress, m.Version} {
		if len(text) > 255 {
			return fmt.Errorf("Meta: address %.40s… is too long", text)
		}
	}
	if n := len(m.encode()); n > memberlist.MetaMaxSize {
		return fmt.Errorf("Meta: addresses and version take %d bytes together, %d are room", n, memberlist.MetaMaxSize)
	}
	return nil
}

func decodeMeta(b []byte) (Meta, error) {
	if len(b) < metaFixed || b[0] == 0 {
		return Meta{}, errMeta
	}
	m := Meta{
		Withdrawn: b[1]&flagWithdrawn != 0,
		Unhealthy: b[1]&flagUnhealthy != 0,
		leaving:   b[1]&flagLeaving != 0,
		ClusterID: binary.BigEndian.Uint64(b[2:]),
		Node:      catalog.NodeID(binary.BigEndian.Uint64(b[10:])),
		List:      binary.BigEndian.Uint64(b[18:]),
		Life:      binary.BigEndian.Uint32(b[26:]),
	}
	rest := b[metaFixed:]
	for _, text := range []*string{&m.PeerAddress, &m.TCPAddress, &m.HTTPAddress, &m.LookupAddress, &m.Version} {
		if len(rest) == 0 {
			return Meta{}, errMeta
		}
		end := 1 + int(rest[0]) // of 256 values, as a byte it would wrap around
		if len(rest) < end {
			return Meta{}, errMeta
		}
		*text, rest = string(rest[1:end]), rest[end:]
	}
	return m, nil
}
