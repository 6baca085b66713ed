package nsqtcp

import (
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdIDENTIFY takes what a client tells about itself, and negotiates. Without feature_negotiation the answer is OK, and
// heartbeats, timeouts and sampling still follow the client's wishes. A second IDENTIFY before SUB is legal, as with nsqd.
//
// Errors, all fatal: E_BAD_BODY; E_IDENTIFY_FAILED if snappy and deflate are wished together, or TLS fails. Deviation from nsqd:
// a connection is upgraded once; a further IDENTIFY is E_INVALID then.
func (s *session) cmdIDENTIFY(cmd *nsqwire.Command) *nsqwire.Error {
	var id *nsqwire.Identify
	var err *nsqwire.Error
	apart(func() { id, err = nsqwire.DecodeIdentify(cmd.Body) })
	if err != nil {
		return err
	}
	terms, err := s.terms.Apply(id, &s.server.identifyLimits)
	if err != nil {
		return err
	}
	s.terms = terms
	s.stats.identity.Store(&identity{
		clientID: id.ClientID, hostname: id.Hostname, userAgent: id.UserAgent,
		sampleRate: terms.SampleRate, region: id.TopologyRegion, zone: id.TopologyZone,
	})
	if !id.FeatureNegotiation {
		s.answer(answer{frame: nsqwire.AppendResponse(nil, nsqwire.OK), terms: &terms})
		return nil
	}
	granted, err := s.grant(id)
	if err != nil {
		return err
	}
	reply := answer{frame: nsqwire.AppendResponse(nil, s.negotiated(granted)), terms: &terms}
	if granted.any() {
		s.upgrade = &upgrade{upgrades: granted, reply: reply, doneC: make(chan struct{})}
		return nil
	}
	s.answer(reply)
	return nil
}

// negotiated is the reply to a client that negotiates.
func (s *session) negotiated(granted upgrades) []byte {
	o := &s.server.options
	reply := nsqwire.Negotiated{
		MaxRdyCount:         o.MaxRdyCount,
		Version:             o.Version,
		MaxMsgTimeout:       o.MaxMsgTimeout.Milliseconds(),
		MsgTimeout:          s.terms.MsgTimeout.Milliseconds(),
		TLSv1:               granted.tls,
		Deflate:             granted.deflate,
		DeflateLevel:        granted.deflateLevel,
		MaxDeflateLevel:     o.MaxDeflateLevel,
		Snappy:              granted.snappy,
		SampleRate:          s.terms.SampleRate,
		AuthRequired:        o.Authority != nil,
		OutputBufferSize:    s.terms.OutputBufferSize,
		OutputBufferTimeout: int64(s.terms.OutputBufferTimeout / time.Millisecond),
		TopologyRegion:      o.TopologyRegion,
		TopologyZone:        o.TopologyZone,
	}
	var data []byte
	apart(func() { data = reply.JSON() })
	return data
}

// apart runs do on a stack of its own. JSON takes a deep one, and a session's would stay that large as long as it lives.
func apart(do func()) {
	doneC := make(chan struct{})
	go func() {
		defer close(doneC)
		do()
	}()
	<-doneC
}
