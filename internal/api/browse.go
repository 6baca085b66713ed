package api

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Limits of lists.
const (
	defaultLimit = 50
	maxLimit     = 500
	defaultBody  = 4096
	// maxListBytes bounds the bodies that one answer shows.
	maxListBytes = 16 << 20
)

// page is what a request wants to see of a list.
type page struct {
	limit, maxBody int
	shown          int // bytes of bodies so far
}

func (p *params) page() page {
	return page{limit: int(p.number("limit", defaultLimit, 1, maxLimit)), maxBody: int(p.number("max_body", defaultBody, 0, maxBodyShown))}
}

// take shows a message and reports whether there is room for more.
func (g *page) take(list []message, m *broker.Browsed) ([]message, bool) {
	list = append(list, newMessage(m, g.maxBody))
	g.shown += len(list[len(list)-1].Body)
	return list, len(list) < g.limit && g.shown < maxListBytes
}

// bounds are the offsets that a partition holds.
func bounds(t *broker.Topic, partition uint16) (start, end record.Offset, err error) {
	for _, p := range t.Partitions() {
		if p.Number == partition {
			return p.Start, p.End, nil
		}
	}
	return 0, 0, broker.ErrNoPartition
}

// messages is the answer to browsing.
type messages struct {
	Topic     string        `json:"topic"`
	Partition uint16        `json:"partition"`
	Start     record.Offset `json:"start"`
	End       record.Offset `json:"end"`
	Next      record.Offset `json:"next"`
	Messages  []message     `json:"messages"`
}

// browse is GET /v1/topics/{topic}/messages.
func (s *Server) browse(r *http.Request) (any, error) {
	t, err := s.topicOf(r)
	if err != nil {
		return nil, err
	}
	p := query(r)
	partition := uint16(p.number("partition", 0, 0, 65535))
	g := p.page()
	if p.values.Has("id") {
		at, offset, ok := t.Locate(p.values.Get("id"))
		if !ok {
			return nil, badRequest("INVALID_ID", "the topic has given out no such message id")
		}
		partition = at
		p.values.Set("offset", fmt.Sprint(offset))
	}
	if p.err != nil {
		return nil, p.err
	}
	start, end, err := bounds(t, partition)
	if err != nil {
		return nil, err
	}
	from, err := s.from(t, partition, p, start, max(start, end-record.Offset(g.limit)))
	if err != nil {
		return nil, err
	}
	answer := messages{Topic: t.Name(), Partition: partition, Start: start, End: end, Messages: []message{}}
	answer.Next, err = t.Browse(partition, from, func(m *broker.Browsed) (more bool) {
		answer.Messages, more = g.take(answer.Messages, m)
		return more && r.Context().Err() == nil
	})
	answer.End = max(answer.End, answer.Next)
	return answer, err
}

// from is the offset that a request begins at: offset, time_ms, from=oldest or newest.
func (s *Server) from(t *broker.Topic, partition uint16, p *params, oldest, newest record.Offset) (record.Offset, error) {
	offset, at := record.Offset(p.number("offset", -1, 0, 1<<48)), p.number("time_ms", -1, 0, 1<<43)
	switch from := p.values.Get("from"); {
	case p.err != nil:
		return 0, p.err
	case offset >= 0:
		return offset, nil
	case at >= 0:
		return t.OffsetAt(partition, at*1e6)
	case from == "oldest":
		return oldest, nil
	case from == "" || from == "newest":
		return newest, nil
	}
	return 0, badRequest("INVALID_FROM", "from is oldest or newest")
}

// one is GET /v1/topics/{topic}/messages/{partition}/{offset}.
func (s *Server) one(r *http.Request) (any, error) {
	p := query(r)
	maxBody := int(p.number("max_body", defaultBody, 0, maxBodyShown))
	if p.err != nil {
		return nil, p.err
	}
	var found message
	err := s.readOne(r, func(m *broker.Browsed) { found = newMessage(m, maxBody) })
	return found, err
}

// body is GET /v1/topics/{topic}/messages/{partition}/{offset}/body: as an attachment, so that no browser takes it for a page.
func (s *Server) body(w http.ResponseWriter, r *http.Request) {
	var whole []byte
	if err := s.readOne(r, func(m *broker.Browsed) { whole = bytes.Clone(m.Record.Value) }); err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
	w.Write(whole)
}

// readOne reads the message that a path names.
func (s *Server) readOne(r *http.Request, visit func(*broker.Browsed)) error {
	t, err := s.topicOf(r)
	if err != nil {
		return err
	}
	partition, offset, err := address(r)
	if err != nil {
		return err
	}
	return t.ReadAt(partition, offset, visit)
}
