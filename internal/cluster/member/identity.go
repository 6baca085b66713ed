package member

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/catalog"
)

// Member is one node of a cluster as it was when the cluster was formed.
type Member struct {
	ID            catalog.NodeID
	Name          string
	GossipAddress string // IP:port
	PeerAddress   string // host:port
}

// Identity says which node of which cluster this is. It never changes once it is formed.
type Identity struct {
	ClusterID uint64 // random, not 0
	Self      catalog.NodeID
	Members   []Member // by id, this node among them
}

// Life is one run of a node's process.
type Life struct {
	Number uint32 // counts the starts, durably
	Nonce  uint64 // random; tells two processes apart that count alike
}

// state is how far a node is with belonging to a cluster.
type state uint8

const (
	stateNone     state = 0
	statePromised state = 1 // to this identity; none other will be taken
	stateFormed   state = 2
)

// content is what the file holds.
type content struct {
	state    state
	clean    bool     // the last process recorded its end
	life     uint32   // of the last process
	bootID   [16]byte // of the machine when the last process started; zero: not known
	list     uint64   // digest of the join list of the identity
	identity Identity // if state is not none
	lives    map[catalog.NodeID]Life
	nonces   []uint64 // of this node's own lives, the last one last
}

const (
	fileMagic      = "WEIRNODE"
	fileVersion    = 1
	maxFileBytes   = 1 << 20
	maxMembers     = 256
	maxNonces      = 1024
	maxTextBytes   = 255
	fileFixedBytes = 8 + 1 + 1 + 1 + 1 + 4 + 16 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errMalformed means that bytes are not what this version writes.
var errMalformed = errors.New("malformed")

func (c *content) encode() []byte {
	b := make([]byte, 0, 256)
	b = append(b, fileMagic...)
	b = append(b, fileVersion, byte(c.state), flag(c.clean), 0)
	b = binary.BigEndian.AppendUint32(b, c.life)
	b = append(b, c.bootID[:]...)
	b = binary.BigEndian.AppendUint64(b, c.list)
	b = c.identity.append(b)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.lives)))
	for _, node := range slices.Sorted(maps.Keys(c.lives)) {
		b = binary.BigEndian.AppendUint64(b, uint64(node))
		b = binary.BigEndian.AppendUint32(b, c.lives[node].Number)
		b = binary.BigEndian.AppendUint64(b, c.lives[node].Nonce)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.nonces)))
	for _, nonce := range c.nonces {
		b = binary.BigEndian.AppendUint64(b, nonce)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

func decode(b []byte) (*content, error) {
	if len(b) < fileFixedBytes+4 || string(b[:8]) != fileMagic {
		return nil, fmt.Errorf("not the identity of a node: %w", errMalformed)
	}
	end := len(b) - 4
	if binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return nil, fmt.Errorf("checksum does not match: %w", errMalformed)
	}
	if b[8] != fileVersion {
		return nil, fmt.Errorf("version %d, this weir knows %d", b[8], fileVersion)
	}
	c := &content{state: state(b[9]), clean: b[10] == 1, life: binary.BigEndian.Uint32(b[12:]),
		list: binary.BigEndian.Uint64(b[32:])}
	copy(c.bootID[:], b[16:])
	d := decoder{rest: b[fileFixedBytes:end]}
	c.identity = d.identity()
	if n := int(d.uint(2)); n > 0 {
		c.lives = make(map[catalog.NodeID]Life)
		for range n {
			node := catalog.NodeID(d.uint(8))
			c.lives[node] = Life{Number: uint32(d.uint(4)), Nonce: d.uint(8)}
		}
	}
	for n := d.uint(2); n > 0 && !d.short; n-- {
		c.nonces = append(c.nonces, d.uint(8))
	}
	switch {
	case d.short || len(d.rest) > 0:
		return nil, fmt.Errorf("length does not match: %w", errMalformed)
	case c.state > stateFormed:
		return nil, fmt.Errorf("state %d: %w", c.state, errMalformed)
	case c.state != stateNone:
		if err := c.identity.validate(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// append appends the identity: cluster id, own id, members.
func (v *Identity) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.ClusterID)
	b = binary.BigEndian.AppendUint64(b, uint64(v.Self))
	b = binary.BigEndian.AppendUint16(b, uint16(len(v.Members)))
	for _, m := range v.Members {
		b = binary.BigEndian.AppendUint64(b, uint64(m.ID))
		for _, text := range []string{m.Name, m.GossipAddress, m.PeerAddress} {
			b = append(b, byte(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

// validate refuses what forming never makes.
func (v *Identity) validate() error {
	if v.ClusterID == 0 {
		return fmt.Errorf("no cluster id: %w", errMalformed)
	}
	if len(v.Members) > maxMembers {
		return fmt.Errorf("%d members, at most %d can be: %w", len(v.Members), maxMembers, errMalformed)
	}
	self := false
	for i, m := range v.Members {
		if m.ID == 0 || i > 0 && m.ID <= v.Members[i-1].ID {
			return fmt.Errorf("members out of order: %w", errMalformed)
		}
		if max(len(m.Name), len(m.GossipAddress), len(m.PeerAddress)) > maxTextBytes || m.Name == "" {
			return fmt.Errorf("name or address of node %d: %w", m.ID, errMalformed)
		}
		self = self || m.ID == v.Self
	}
	if !self {
		return fmt.Errorf("node %d is not among its members: %w", v.Self, errMalformed)
	}
	return nil
}

// decoder takes fields off a slice; short tells that there was too little.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if d.short || len(d.rest) < n {
		d.short = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint(width int) (v uint64) {
	for _, b := range d.bytes(width) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (d *decoder) text() string { return string(d.bytes(int(d.uint(1)))) }

func (d *decoder) identity() (v Identity) {
	v.ClusterID, v.Self = d.uint(8), catalog.NodeID(d.uint(8))
	for n := d.uint(2); n > 0 && !d.short; n-- {
		v.Members = append(v.Members, Member{catalog.NodeID(d.uint(8)), d.text(), d.text(), d.text()})
	}
	return v
}
