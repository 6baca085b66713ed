package catalog

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decoder reads encoded bytes; after an error everything reads as zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	d.rest = nil
}

// end returns the first error, or one if bytes are left.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) != 0 {
		d.fail(fmt.Sprintf("%d bytes behind the end", len(d.rest)))
	}
	return d.err
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail("cut short")
		return make([]byte, min(max(n, 0), 8))
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("number cut short")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uint16() uint16 {
	v := d.uvarint()
	if v > math.MaxUint16 {
		d.fail("number too large")
		return 0
	}
	return uint16(v)
}

// count reads a number of elements, of at least a byte each.
func (d *decoder) count() uint64 {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail("count cut short")
		return 0
	}
	return n
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > maxNameBytes || n > uint64(len(d.rest)) {
		d.fail("name cut short or too long")
		return ""
	}
	return string(d.take(int(n)))
}

func (d *decoder) topic() Topic {
	t := Topic{ID: binary.BigEndian.Uint64(d.take(8)), Partitions: binary.BigEndian.Uint16(d.take(2)), Name: d.string()}
	if d.err == nil && (t.ID == 0 || t.Partitions == 0 || t.Name == "") {
		d.fail("topic without id, partition or name")
	}
	return t
}

// placed reads what command 4 has behind the topic.
func (d *decoder) placed(t *Topic) {
	flags := d.byte()
	if flags&^(flagLocal|flagPlaced) != 0 {
		d.fail("unknown flags of a topic")
	}
	t.Local = flags&flagLocal != 0
	if flags&flagPlaced == 0 {
		return
	}
	for i := 0; i < int(t.Partitions) && d.err == nil; i++ {
		t.Placement = append(t.Placement, d.partition())
	}
}

func (d *decoder) partition() Partition {
	p := Partition{Preferred: NodeID(d.uvarint()), LastReplica: d.uvarint()}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		if d.byte() != roleVoter {
			d.fail("unknown role of a replica")
		}
		r := Replica{ID: d.uvarint(), Node: NodeID(d.uvarint())}
		if _, twice := p.On(r.Node); d.err == nil && (r.ID == 0 || r.ID > p.LastReplica || r.Node == 0 || twice) {
			d.fail("replica without id or node, or there twice")
		}
		p.Replicas = append(p.Replicas, r)
	}
	return p
}

func (d *decoder) node() Node {
	n := Node{ID: NodeID(d.uvarint()), Name: d.string(), Host: d.string()}
	n.Ports = Ports{TCP: d.uint16(), HTTP: d.uint16(), Peer: d.uint16()}
	if d.err == nil && n.ID == 0 {
		d.fail("node without id")
	}
	return n
}

func (d *decoder) settings() Settings {
	return Settings{Replicas: d.uint16(), Partitions: d.uint16()}
}
