package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Grants are what an AUTH server allows a client. They are never changed.
type Grants struct {
	Identity, IdentityURL string // who the client is; for people
	Expires               time.Time

	rules []rule
}

// rule allows something for the topics and channels that match. The expressions are not anchored, as in nsqd.
type rule struct {
	topic              *regexp.Regexp
	channels           []*regexp.Regexp
	publish, subscribe bool
}

// decodeGrants reads an AUTH server's answer.
func decodeGrants(body []byte, now time.Time) (*Grants, error) {
	var answer struct {
		TTL            int    `json:"ttl"` // seconds
		Identity       string `json:"identity"`
		IdentityURL    string `json:"identity_url"`
		Authorizations []struct {
			Topic       string   `json:"topic"`
			Channels    []string `json:"channels"`
			Permissions []string `json:"permissions"`
		} `json:"authorizations"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, errors.New("the answer is not the JSON of an AUTH server") // the JSON error repeats what may be secret
	}
	if answer.TTL <= 0 {
		return nil, fmt.Errorf("ttl %d: must be above 0", answer.TTL)
	}
	g := &Grants{
		Identity: answer.Identity, IdentityURL: answer.IdentityURL,
		Expires: now.Add(time.Duration(min(answer.TTL, maxTTL)) * time.Second),
	}
	for _, a := range answer.Authorizations {
		r := rule{}
		var err error
		if r.topic, err = regexp.Compile(a.Topic); err != nil {
			return nil, fmt.Errorf("topic: %w", err)
		}
		for _, channel := range a.Channels {
			c, err := regexp.Compile(channel)
			if err != nil {
				return nil, fmt.Errorf("channel: %w", err)
			}
			r.channels = append(r.channels, c)
		}
		for _, permission := range a.Permissions {
			switch permission {
			case "publish":
				r.publish = true
			case "subscribe":
				r.subscribe = true
			default:
				return nil, fmt.Errorf("permission %q: must be publish or subscribe", permission)
			}
		}
		g.rules = append(g.rules, r)
	}
	return g, nil
}

// maxTTL bounds how long an answer holds, in seconds.
const maxTTL = 365 * 24 * 3600

// Count returns how many authorizations there are. With none a client is not let in at all.
func (g *Grants) Count() int { return len(g.rules) }

// MayPublish reports whether the client may publish to a topic. As with nsqd, one of the authorization's channels must match the
// empty name for that.
func (g *Grants) MayPublish(topic string) bool {
	return slices.ContainsFunc(g.rules, func(r rule) bool { return r.publish && r.matches(topic, "") })
}

// MaySubscribe reports whether the client may consume a channel of a topic.
func (g *Grants) MaySubscribe(topic, channel string) bool {
	return slices.ContainsFunc(g.rules, func(r rule) bool { return r.subscribe && r.matches(topic, channel) })
}

func (r *rule) matches(topic, channel string) bool {
	return r.topic.MatchString(topic) &&
		slices.ContainsFunc(r.channels, func(c *regexp.Regexp) bool { return c.MatchString(channel) })
}
