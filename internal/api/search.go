package api

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// maxPattern bounds what is searched for, in bytes.
const maxPattern = 1024

// found is the answer to a search.
type found struct {
	Topic     string        `json:"topic"`
	Partition uint16        `json:"partition"`
	Start     record.Offset `json:"start"`
	End       record.Offset `json:"end"`
	Next      record.Offset `json:"next"`
	Done      bool          `json:"done"`
	Scanned   int           `json:"scanned_messages"`
	Bytes     int64         `json:"scanned_bytes"`
	Messages  []message     `json:"messages"`
}

// search is GET /v1/topics/{topic}/search: bounded in bytes and time, and to be gone on with at the answer's next.
func (s *Server) search(r *http.Request) (any, error) {
	t, err := s.topicOf(r)
	if err != nil {
		return nil, err
	}
	p := query(r)
	partition := uint16(p.number("partition", 0, 0, 65535))
	g := p.page()
	matches, err := matcher(p)
	if err != nil {
		return nil, err
	}
	start, end, err := bounds(t, partition)
	if err != nil {
		return nil, err
	}
	from, err := s.from(t, partition, p, start, start)
	if err != nil {
		return nil, err
	}
	answer := found{Topic: t.Name(), Partition: partition, Start: start, End: end, Messages: []message{}}
	until := time.Now().Add(s.options.SearchTime)
	answer.Next, err = t.Browse(partition, from, func(m *broker.Browsed) bool {
		more := true
		answer.Scanned++
		answer.Bytes += int64(len(m.Record.Value))
		if matches(m.Record.Value) {
			answer.Messages, more = g.take(answer.Messages, m)
		}
		if answer.Scanned%64 == 0 && time.Now().After(until) || answer.Bytes >= s.options.SearchBytes || r.Context().Err() != nil {
			return false
		}
		return more
	})
	answer.End = max(answer.End, answer.Next)
	answer.Done = answer.Next >= answer.End
	return answer, err
}

// matcher returns how to tell what is searched for.
func matcher(p *params) (func([]byte) bool, error) {
	pattern := []byte(p.values.Get("contains"))
	if p.values.Has("contains_base64") {
		var err error
		if pattern, err = base64.StdEncoding.DecodeString(p.values.Get("contains_base64")); err != nil {
			return nil, badRequest("INVALID_CONTAINS_BASE64", "contains_base64 is not base64")
		}
	}
	if len(pattern) == 0 || len(pattern) > maxPattern {
		return nil, badRequest("INVALID_CONTAINS", "contains or contains_base64 is 1 to 1024 bytes")
	}
	switch p.values.Get("ignore_case") {
	case "", "false":
		return func(body []byte) bool { return bytes.Contains(body, pattern) }, p.err
	case "true":
		pattern = lower(nil, pattern)
		var buffer []byte
		return func(body []byte) bool {
			buffer = lower(buffer[:0], body)
			return bytes.Contains(buffer, pattern)
		}, p.err
	}
	return nil, badRequest("INVALID_IGNORE_CASE", "ignore_case is true or false")
}

// lower appends b with its ASCII letters in lower case. Bodies need not be text, so nothing else is touched.
func lower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
