//go:build process

package test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// weirBinary is the weir under test, set by TestMain.
var weirBinary string

// roleVariable makes a second run of the test binary play a part in a test instead of running tests.
const roleVariable = "WEIR_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(proc.Main(m, proc.Weir(&weirBinary)))
}

// play runs a part, in a process of its own, and returns the exit code.
func play(role string) int {
	parts := map[string]func() error{"consumer": playConsumer}
	part, ok := parts[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "no part called %q\n", role)
		return 2
	}
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startPart runs this test binary again in a role.
func startPart(t *testing.T, role string, args ...string) *proc.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(proc.Spec{Path: self, Args: args, Env: []string{roleVariable + "=" + role}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

// newBroker prepares a node that is ended with the test; its log is shown if the test fails.
func newBroker(t *testing.T, args ...string) *proc.Broker {
	t.Helper()
	b, err := proc.NewBroker(weirBinary, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("log of the node:\n%s", b.Log())
		}
	})
	return b
}

// startBroker starts a node and waits until it is ready.
func startBroker(t *testing.T, args ...string) *proc.Broker {
	t.Helper()
	b := newBroker(t, args...)
	start(t, b)
	return b
}

func start(t *testing.T, b *proc.Broker) time.Duration {
	t.Helper()
	took, err := b.Start()
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func stop(t *testing.T, b *proc.Broker) {
	t.Helper()
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// post sends a POST to the HTTP API and fails the test unless the answer is 200.
func post(t *testing.T, b *proc.Broker, path string, body io.Reader) {
	t.Helper()
	resp, err := http.Post("http://"+b.HTTP()+path, "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s %q", path, resp.Status, text)
	}
}

// channelStats are the counters of one channel that tests look at.
type channelStats struct {
	Depth    int `json:"depth"`
	InFlight int `json:"in_flight_count"`
	Deferred int `json:"deferred_count"`
	Clients  []struct {
		ReadyCount int   `json:"ready_count"`
		ConnectTS  int64 `json:"connect_ts"`
	} `json:"clients"`
}

// stats reads the counters of a channel; ok is false when the node does not list it.
func stats(t *testing.T, b *proc.Broker, topic, channel string) (s channelStats, ok bool) {
	t.Helper()
	resp, err := http.Get("http://" + b.HTTP() + "/stats?format=json&topic=" + topic + "&channel=" + channel)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct {
		Topics []struct {
			Channels []channelStats `json:"channels"`
		} `json:"topics"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	if len(all.Topics) != 1 || len(all.Topics[0].Channels) != 1 {
		return channelStats{}, false
	}
	return all.Topics[0].Channels[0], true
}

// topics returns the names of the node's topics.
func topics(t *testing.T, b *proc.Broker) []string {
	t.Helper()
	resp, err := http.Get("http://" + b.HTTP() + "/stats?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct {
		Topics []struct {
			Name string `json:"topic_name"`
		} `json:"topics"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, topic := range all.Topics {
		names = append(names, topic.Name)
	}
	return names
}

// eventually fails the test unless the condition holds within patience.
func eventually(t *testing.T, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// seeded returns a source of chance for the test, from WEIR_SEED or else a new seed, which is logged.
func seeded(t *testing.T) (*rand.Rand, uint64) {
	t.Helper()
	seed := uint64(env.Number(t, "WEIR_SEED", int(rand.Uint32())))
	t.Logf("WEIR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)), seed
}
