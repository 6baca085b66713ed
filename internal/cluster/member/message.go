package member

import (
	"encoding/binary"
	"fmt"
)

// What nodes say to each other while forming, by Gossip.Send. A message is
//
//	version (1) │ kind (1) │ cluster id (8) │ list digest (8) │ offer: identity as in the file │ refuse: text
//
// An offer's identity is that of the node it is sent to.

type messageKind byte

const (
	messageVersion = 1

	kindOffer   messageKind = 1 // promise me this
	kindPromise messageKind = 2 // it is promised, durably
	kindRefuse  messageKind = 3 // it is not; the text says why
)

// message is one of them.
type message struct {
	kind      messageKind
	clusterID uint64
	list      uint64
	identity  Identity // of an offer
	text      string   // of a refusal
}

func (m *message) encode() []byte {
	b := []byte{messageVersion, byte(m.kind)}
	b = binary.BigEndian.AppendUint64(b, m.clusterID)
	b = binary.BigEndian.AppendUint64(b, m.list)
	if m.kind == kindOffer {
		return m.identity.append(b)
	}
	return append(b, m.text...)
}

func decodeMessage(b []byte) (*message, error) {
	if len(b) < 18 {
		return nil, fmt.Errorf("message of %d bytes: %w", len(b), errMalformed)
	}
	if b[0] != messageVersion {
		return nil, fmt.Errorf("it speaks version %d of forming, this weir %d: use one version of weir to form a cluster", b[0], messageVersion)
	}
	m := &message{kind: messageKind(b[1]), clusterID: binary.BigEndian.Uint64(b[2:]), list: binary.BigEndian.Uint64(b[10:])}
	switch m.kind {
	case kindOffer:
		d := decoder{rest: b[18:]}
		m.identity = d.identity()
		if d.short || len(d.rest) > 0 || m.identity.ClusterID != m.clusterID {
			return nil, fmt.Errorf("offer: %w", errMalformed)
		}
		return m, m.identity.validate()
	case kindPromise, kindRefuse:
		m.text = string(b[18:min(len(b), 18+maxTextBytes)])
		return m, nil
	}
	return nil, fmt.Errorf("message of kind %d: %w", b[1], errMalformed)
}
