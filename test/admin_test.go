//go:build process

package test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// TestTopicsAndChannelsSurviveKills creates, deletes, pauses and empties topics and channels and publishes to them, at random, while the
// node is killed now and then in the middle of an operation. What was answered is there after the restart, depths included; what
// was not answered is there or not, but never by halves.
func TestTopicsAndChannelsSurviveKills(t *testing.T) {
	chance, _ := seeded(t)
	b := startBroker(t)
	want := installation{}
	kills, answered := 0, 0
	for step := range env.Number(t, "WEIR_ADMIN_STEPS", 1500) {
		op := want.choose(chance)
		after := want.after(op)
		if chance.IntN(25) != 0 {
			if err := op.send(b); err != nil {
				t.Fatalf("step %d, %v: %v", step, op, err)
			}
			want = after
			answered++
			continue
		}
		kills++
		answer := make(chan error, 1)
		go func() { answer <- op.send(b) }()
		time.Sleep(time.Duration(chance.IntN(2000)) * time.Microsecond)
		must(t, b.Kill())
		known := <-answer == nil
		if known {
			answered++
		}
		start(t, b)
		got := readInstallation(t, b)
		switch {
		case reflect.DeepEqual(got, after):
			want = after
		case !known && reflect.DeepEqual(got, want):
		default:
			t.Fatalf("step %d, kill %d during %v (answered: %v): the node has\n%v\nwant\n%v\nor, if it was not answered,\n%v",
				step, kills, op, known, got, after, want)
		}
	}
	stop(t, b)
	start(t, b)
	if got := readInstallation(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("after a clean stop the node has\n%v\nwant\n%v", got, want)
	}
	faultreport.Write(t, faultreport.Row{Fault: "kill -9 while topics and channels change", Injected: kills, Acknowledged: answered,
		Note: "acknowledged: changes and messages"})
}

// installation is what a node has: a slow, obvious model of topics and channels.
type installation map[string]topicModel

type topicModel struct {
	Paused   bool
	Depth    int // published, and not yet dispatched to channels
	Channels map[string]channelModel
}

type channelModel struct {
	Paused bool
	Depth  int
}

// operation is one request to the HTTP API.
type operation struct{ path, topic, channel, body string }

func (o operation) String() string {
	if o.channel == "" {
		return o.path + " " + o.topic
	}
	return o.path + " " + o.topic + " " + o.channel
}

func (o operation) send(b *proc.Broker) error {
	url := "http://" + b.HTTP() + o.path + "?topic=" + o.topic
	if o.channel != "" {
		url += "&channel=" + o.channel
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url, "", strings.NewReader(o.body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %q", resp.Status, text)
	}
	return nil
}

// choose picks an operation that is possible in this state.
func (in installation) choose(chance *rand.Rand) operation {
	topic := fmt.Sprint("t", chance.IntN(4))
	channel := fmt.Sprint("c", chance.IntN(3))
	t, exists := in[topic]
	if !exists {
		return operation{path: "/topic/create", topic: topic}
	}
	_, has := t.Channels[channel]
	switch lot := chance.IntN(20); {
	case lot == 0:
		return operation{path: "/topic/delete", topic: topic}
	case lot == 1:
		return operation{path: "/topic/pause", topic: topic}
	case lot <= 3:
		return operation{path: "/topic/unpause", topic: topic}
	case lot == 4:
		return operation{path: "/topic/empty", topic: topic}
	case lot <= 10:
		return operation{path: "/mpub", topic: topic, body: strings.Repeat("line\n", 1+chance.IntN(5))}
	case !has:
		return operation{path: "/channel/create", topic: topic, channel: channel}
	case lot == 11:
		return operation{path: "/channel/delete", topic: topic, channel: channel}
	case lot == 12 && t.Depth == 0:
		return operation{path: "/channel/empty", topic: topic, channel: channel}
	case lot <= 14:
		return operation{path: "/channel/pause", topic: topic, channel: channel}
	default:
		return operation{path: "/channel/unpause", topic: topic, channel: channel}
	}
}

// after returns the state that an operation leads to.
func (in installation) after(o operation) installation {
	next := installation{}
	for name, t := range in {
		t.Channels = maps.Clone(t.Channels)
		next[name] = t
	}
	t, c := next[o.topic], next[o.topic].Channels[o.channel]
	switch o.path {
	case "/topic/create":
		t.Channels = map[string]channelModel{}
	case "/topic/delete":
		delete(next, o.topic)
		return next
	case "/topic/pause", "/topic/unpause":
		t.Paused = o.path == "/topic/pause"
	case "/topic/empty":
		t.Depth = 0
	case "/mpub":
		t.Depth += strings.Count(o.body, "\n")
	case "/channel/create":
		t.Channels[o.channel] = channelModel{}
	case "/channel/delete":
		delete(t.Channels, o.channel)
	case "/channel/empty":
		c.Depth = 0
		t.Channels[o.channel] = c
	case "/channel/pause", "/channel/unpause":
		c.Paused = o.path == "/channel/pause"
		t.Channels[o.channel] = c
	}
	if !t.Paused && len(t.Channels) > 0 { // dispatch
		for name, c := range t.Channels {
			c.Depth += t.Depth
			t.Channels[name] = c
		}
		t.Depth = 0
	}
	next[o.topic] = t
	return next
}

func readInstallation(t *testing.T, b *proc.Broker) installation {
	t.Helper()
	resp, err := http.Get("http://" + b.HTTP() + "/stats?format=json")
	must(t, err)
	defer resp.Body.Close()
	var all struct {
		Topics []struct {
			Name     string `json:"topic_name"`
			Paused   bool
			Depth    int
			Channels []struct {
				Name   string `json:"channel_name"`
				Paused bool
				Depth  int
			}
		}
	}
	must(t, json.NewDecoder(resp.Body).Decode(&all))
	in := installation{}
	for _, topic := range all.Topics {
		m := topicModel{Paused: topic.Paused, Depth: topic.Depth, Channels: map[string]channelModel{}}
		for _, c := range topic.Channels {
			m.Channels[c.Name] = channelModel{c.Paused, c.Depth}
		}
		in[topic.Name] = m
	}
	return in
}
