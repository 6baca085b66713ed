package nsqtcp

import (
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdIDENTIFY takes what a client tells about itself, and negotiates. Without feature_negotiation the answer is OK, and
// heartbeats, timeouts and sampling still follow the client's wishes. A second IDENTIFY before SUB is legal, as with nsqd.
//
// Errors, all fatal: E_BAD_BODY.
func (s *session) cmdIDENTIFY(cmd *nsqwire.Command) *nsqwire.Error {
	id, err := nsqwire.DecodeIdentify(cmd.Body)
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
	reply := []byte(nsqwire.OK)
	if id.FeatureNegotiation {
		reply = s.negotiated(id)
	}
	s.answer(answer{frame: nsqwire.AppendResponse(nil, reply), terms: &terms})
	return nil
}

// negotiated is the reply to a client that negotiates.
func (s *session) negotiated(id *nsqwire.Identify) []byte {
	o, granted := &s.server.options, s.grant(id)
	reply := nsqwire.Negotiated{
		MaxRdyCount:         o.MaxRdyCount,
		Version:             o.Version,
		MaxMsgTimeout:       o.MaxMsgTimeout.Milliseconds(),
		MsgTimeout:          s.terms.MsgTimeout.Milliseconds(),
		TLSv1:               granted.tls,
		Deflate:             granted.deflate,
		DeflateLevel:        min(defaultDeflateLevel, o.MaxDeflateLevel),
		MaxDeflateLevel:     o.MaxDeflateLevel,
		Snappy:              granted.snappy,
		SampleRate:          s.terms.SampleRate,
		OutputBufferSize:    s.terms.OutputBufferSize,
		OutputBufferTimeout: int64(s.terms.OutputBufferTimeout / time.Millisecond),
		TopologyRegion:      o.TopologyRegion,
		TopologyZone:        o.TopologyZone,
	}
	return reply.JSON()
}

// defaultDeflateLevel is reported even if deflate was not asked for, as nsqd does.
const defaultDeflateLevel = 6
