package admin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/nsqwire"
)

// maxCopies bounds how often one request publishes a message.
const maxCopies = 1000

// publishAsk is the body of POST /api/v1/publish.
type publishAsk struct {
	Topic string  `json:"topic"`
	Node  string  `json:"node"`
	Body  []byte  `json:"body"`
	Text  *string `json:"text"`
	Defer int64   `json:"defer_ms"`
	Count int     `json:"count"`
}

// publish is POST /api/v1/publish. It takes nsqd's way into the node, so that it works with stock ones.
func (s *Server) publish(r *http.Request) (any, error) {
	ask := publishAsk{Count: 1}
	if err := decode(r, &ask, true); err != nil {
		return nil, &ownError{http.StatusBadRequest, "INVALID_BODY", err.Error()}
	}
	if ask.Text != nil {
		ask.Body = []byte(*ask.Text)
	}
	switch {
	case !nsqwire.ValidName(ask.Topic):
		return nil, &ownError{http.StatusBadRequest, "INVALID_TOPIC", "a topic's name has 1 to 64 of . a-z A-Z 0-9 _ -"}
	case len(ask.Body) == 0:
		return nil, &ownError{http.StatusBadRequest, "MSG_EMPTY", "a message has at least one byte"}
	case ask.Count < 1 || ask.Count > maxCopies:
		return nil, &ownError{http.StatusBadRequest, "INVALID_COUNT", fmt.Sprintf("count is 1 to %d", maxCopies)}
	case ask.Defer < 0 || ask.Defer > 0 && ask.Count > 1:
		return nil, &ownError{http.StatusBadRequest, "INVALID_DEFER", "defer_ms is 0 or more, and for one message only"}
	}
	node, err := s.publisher(r.Context(), &ask)
	if err != nil {
		return nil, err
	}
	path, body := ask.request()
	err = s.client.Post(r.Context(), node.Address, path, body)
	var failures upstream.Failures
	if err != nil {
		failures.Errors = []error{err}
	}
	s.done(r, notice{Action: "publish", Topic: ask.Topic, Node: node.Name()}, failures)
	var refused *upstream.AnswerError
	switch {
	case errors.As(err, &refused) && refused.Word != "":
		return nil, &ownError{refused.Status, refused.Word, err.Error()}
	case err != nil:
		return nil, &ownError{http.StatusBadGateway, "UPSTREAM_ERROR", err.Error()}
	}
	return struct {
		Node  string `json:"node"`
		Count int    `json:"count"`
	}{node.Name(), ask.Count}, nil
}

// publisher is the node that was asked for, or else one that has the topic, or else any that is up.
func (s *Server) publisher(ctx context.Context, ask *publishAsk) (*upstream.Node, error) {
	if ask.Node != "" {
		return s.findNode(ctx, ask.Node)
	}
	if nodes, _, _ := s.client.Producers(ctx, s.places(), ask.Topic); len(nodes) > 0 {
		return nodes[0], nil
	}
	nodes, failures := s.client.Nodes(ctx, s.places(), false)
	if nodes = up(nodes); len(nodes) > 0 {
		return nodes[0], nil
	}
	return nil, &ownError{http.StatusBadGateway, "UPSTREAM_ERROR", "no node is known. " + failures.Text()}
}

// findNode finds a node by the name that /api/v1/nodes gives it: nobody else is asked anything.
func (s *Server) findNode(ctx context.Context, name string) (*upstream.Node, error) {
	nodes, failures := s.client.Nodes(ctx, s.places(), false)
	at := slices.IndexFunc(nodes, func(n *upstream.Node) bool { return n.Name() == name })
	switch {
	case at >= 0:
		return nodes[at], nil
	case len(failures.Errors) > 0:
		return nil, &ownError{http.StatusBadGateway, "UPSTREAM_ERROR", "the node is not known. " + failures.Text()}
	}
	return nil, errNoNode
}

// request is the way into nsqd: /pub, or for several messages /mpub in its binary form.
func (a *publishAsk) request() (path string, body []byte) {
	topic := "topic=" + url.QueryEscape(a.Topic)
	if a.Count == 1 {
		if a.Defer > 0 {
			return fmt.Sprintf("/pub?%s&defer=%d", topic, a.Defer), a.Body
		}
		return "/pub?" + topic, a.Body
	}
	var all bytes.Buffer
	all.Write(binary.BigEndian.AppendUint32(nil, uint32(a.Count)))
	for range a.Count {
		all.Write(binary.BigEndian.AppendUint32(nil, uint32(len(a.Body))))
		all.Write(a.Body)
	}
	return "/mpub?binary=true&" + topic, all.Bytes()
}
