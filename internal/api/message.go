package api

import (
	"bytes"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// maxBodyShown bounds the part of a body that a list shows, in bytes.
const maxBodyShown = 1 << 20

// message is a message as JSON. Bodies and keys are base64.
type message struct {
	Partition uint16        `json:"partition"`
	Offset    record.Offset `json:"offset"`
	ID        string        `json:"id"`
	Time      int64         `json:"time_ms"`
	Due       int64         `json:"due_ms,omitempty"`
	Key       []byte        `json:"key,omitempty"`
	Headers   []header      `json:"headers,omitempty"`
	Size      int           `json:"size"`
	Body      []byte        `json:"body"`
	Truncated bool          `json:"truncated"`
}

type header struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// newMessage copies what is shown of a message, at most maxBody bytes of its body.
func newMessage(b *broker.Browsed, maxBody int) message {
	r := b.Record
	m := message{
		Partition: b.Partition, Offset: b.Offset, ID: string(b.ID[:]), Time: b.Time / 1e6, Size: len(r.Value), Key: bytes.Clone(r.Key),
		Body: slices.Clone(r.Value[:min(len(r.Value), maxBody)]), Truncated: len(r.Value) > maxBody,
	}
	if m.Body == nil {
		m.Body = []byte{}
	}
	if due, ok := r.Due(); ok {
		m.Due = due
	}
	for it := r.Headers.Iter(); it.Next(); {
		if string(it.Key()) != record.DueHeader {
			m.Headers = append(m.Headers, header{string(it.Key()), slices.Clone(it.Value())})
		}
	}
	return m
}
