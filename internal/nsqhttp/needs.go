package nsqhttp

import (
	"net/http"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/httpdoor"
)

// needs says what a request must show, if a guard stands before the API. What is not listed is for operators: settings, profiles,
// deleting, emptying, pausing.
func needs(r *http.Request) auth.Need {
	params, err := httpdoor.Query(r)
	if err != nil {
		return auth.Operator()
	}
	topic, channel := params.Get("topic"), params.Get("channel")
	switch r.URL.Path {
	case "/ping":
		return auth.Nothing()
	case "/info", "/stats", "/metrics":
		return auth.Client()
	case "/pub", "/mpub", "/topic/create":
		return auth.Publish(topic)
	case "/channel/create":
		return auth.Subscribe(topic, channel)
	}
	return auth.Operator()
}
