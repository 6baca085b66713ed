package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// Target is what an action is about: a topic, or one of its channels.
type Target struct{ Topic, Channel string }

func (t Target) query() string {
	query := "?topic=" + url.QueryEscape(t.Topic)
	if t.Channel != "" {
		query += "&channel=" + url.QueryEscape(t.Channel)
	}
	return query
}

// path returns the path of an action on the target: /topic/pause, /channel/pause.
func (t Target) path(action string) string {
	if t.Channel != "" {
		return "/channel/" + action + t.query()
	}
	return "/topic/" + action + t.query()
}

// ErrNoSuchTopic means that neither a lookup service nor a node knows a topic.
var ErrNoSuchTopic = errors.New("no node has the topic, and no lookup service knows it")

// Create makes a topic, and a channel of it if the target names one, known to the lookup services; the channel also at the nodes
// that have the topic. Where only nodes are named, those get both.
func (c *Client) Create(ctx context.Context, places Places, target Target) Failures {
	topic := Target{Topic: target.Topic}
	failures := c.postAll(ctx, places.Lookupds, topic.path("create"))
	at := places.Nodes
	if len(places.Lookupds) == 0 {
		failures.Add(c.postAll(ctx, at, topic.path("create")))
	}
	if target.Channel == "" {
		return failures
	}
	failures.Add(c.postAll(ctx, places.Lookupds, target.path("create")))
	if len(places.Lookupds) > 0 {
		nodes, _, other := c.Producers(ctx, places, target.Topic)
		failures.Add(other)
		at = addresses(nodes)
	}
	failures.Add(c.postAll(ctx, at, target.path("create")))
	return failures
}

// Act pauses, unpauses or empties the target at all nodes that have its topic. Error: ErrNoSuchTopic.
func (c *Client) Act(ctx context.Context, places Places, target Target, action string) (Failures, error) {
	nodes, known, failures := c.Producers(ctx, places, target.Topic)
	if !known && len(failures.Errors) == 0 {
		return failures, ErrNoSuchTopic
	}
	failures.Add(c.postAll(ctx, addresses(nodes), target.path(action)))
	return failures, nil
}

// Delete deletes the target: from the lookup services first, so that nobody is sent to it any more, then from the nodes.
func (c *Client) Delete(ctx context.Context, places Places, target Target) Failures {
	nodes, _, failures := c.Producers(ctx, places, target.Topic)
	deleted := c.postAll(ctx, places.Lookupds, target.path("delete"))
	deleted.Errors = slices.DeleteFunc(deleted.Errors, NotFound) // it is gone: what was wanted
	failures.Add(deleted)
	deleted = c.postAll(ctx, addresses(nodes), target.path("delete"))
	deleted.Errors = slices.DeleteFunc(deleted.Errors, NotFound)
	failures.Add(deleted)
	return failures
}

// Tombstone hides a topic of one node from consumers, at all lookup services, then deletes it there. The node is named as Node.Name
// names it.
func (c *Client) Tombstone(ctx context.Context, places Places, node, topic string) Failures {
	target := Target{Topic: topic}
	failures := c.postAll(ctx, places.Lookupds, "/topic/tombstone"+target.query()+"&node="+url.QueryEscape(node))
	nodes, found := c.Nodes(ctx, places, false)
	failures.Add(found)
	at := slices.IndexFunc(nodes, func(n *Node) bool { return n.Name() == node })
	if at < 0 {
		failures.Add(Failures{Errors: []error{fmt.Errorf("%s: no such node", node)}, asked: 1})
		return failures
	}
	deleted := c.postAll(ctx, []string{nodes[at].Address}, target.path("delete"))
	deleted.Errors = slices.DeleteFunc(deleted.Errors, NotFound)
	failures.Add(deleted)
	return failures
}

// NotFound reports whether an error is an answer 404.
func NotFound(err error) bool {
	var refused *AnswerError
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

func (c *Client) postAll(ctx context.Context, addresses []string, path string) Failures {
	return each(ctx, c, addresses, func(ctx context.Context, _ int, address string) error {
		return c.Post(ctx, address, path, nil)
	})
}

func addresses(nodes []*Node) []string {
	list := make([]string, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, n.Address)
	}
	return list
}
