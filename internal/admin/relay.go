package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/admin/upstream"
)

// maxRelayBytes bounds what a node may answer: the largest message, in base64, with what is around it.
const maxRelayBytes = 64 << 20

// relay is GET and POST /api/v1/nodes/{node}/{path}: /v1/{path} of a node. Messages are for those who may see bodies, what changes
// something for administrators.
func (s *Server) relay(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.PathValue("path"), "/")
	if err := mayRelay(who(r), r.Method, parts); err != nil {
		s.fail(w, err)
		return
	}
	node, err := s.findNode(r.Context(), r.PathValue("node"))
	if err != nil {
		s.fail(w, err)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.fail(w, &ownError{http.StatusRequestEntityTooLarge, "BODY_TOO_BIG", err.Error()})
		return
	}
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	path := "/v1/" + strings.Join(parts, "/")
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.patience())
	defer cancel()
	answer, err := s.client.Open(ctx, r.Method, node.Address, path, "application/json", body)
	if r.Method == http.MethodPost {
		s.doneAtNode(r, node, parts, answer, err)
	}
	if err != nil {
		s.fail(w, &ownError{http.StatusBadGateway, "UPSTREAM_ERROR", err.Error()})
		return
	}
	defer answer.Body.Close()
	s.pass(w, answer)
}

// mayRelay judges a path of the node API.
func mayRelay(asking access.Who, method string, parts []string) error {
	switch {
	case !asking.LoggedIn():
		return errLogin
	case !plain(parts):
		return errNoPath
	case method == http.MethodPost && asking.Role != access.Admin:
		return errForbidden
	case method == http.MethodPost:
		return nil
	case len(parts) > 2 && parts[0] == "topics" && (slices.Contains(parts[2:], "messages") || slices.Contains(parts[2:], "search")) && !asking.Bodies:
		return errNoBodies
	}
	return nil
}

// plain reports whether a path is one of the node API for those, too, who resolve dots. Topics and channels may be named . and .. , which leads
// nowhere but upwards in /v1/topics/T/channels/C.
func plain(parts []string) bool {
	for i, part := range parts {
		name := i == 1 && parts[0] == "topics" || i == 3 && parts[0] == "topics" && parts[2] == "channels"
		if part == "" || !name && (part == "." || part == "..") {
			return false
		}
	}
	return true
}

var errNoPath = &ownError{http.StatusNotFound, "NOT_FOUND", "the node API has no such path"}

// pass copies an answer of the node API. A node is not trusted: what it says is data, whatever it says that it is.
func (s *Server) pass(w http.ResponseWriter, answer *http.Response) {
	given := answer.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(given, "application/json"):
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	case answer.StatusCode == http.StatusOK && given == "application/octet-stream":
		w.Header().Set("Content-Type", given)
		w.Header().Set("Content-Disposition", "attachment")
	default:
		s.fail(w, &ownError{http.StatusBadGateway, "UPSTREAM_ERROR", "the node has no node API: it answered " + answer.Status})
		return
	}
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, io.LimitReader(answer.Body, maxRelayBytes))
}

// doneAtNode writes an action on a message into the log.
func (s *Server) doneAtNode(r *http.Request, node *upstream.Node, parts []string, answer *http.Response, err error) {
	n := notice{Action: parts[len(parts)-1] + "_message", Node: node.Name()}
	if len(parts) > 1 {
		n.Topic = parts[1]
	}
	if len(parts) > 3 && parts[2] == "channels" {
		n.Channel = parts[3]
	}
	if n.Action == "messages_message" {
		n.Action = "publish"
	}
	var failures upstream.Failures
	switch {
	case err != nil:
		failures.Errors = []error{err}
	case answer.StatusCode != http.StatusOK:
		failures.Errors = []error{&upstream.AnswerError{Status: answer.StatusCode}}
	}
	s.done(r, n, failures)
}
