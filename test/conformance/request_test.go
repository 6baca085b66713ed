//go:build process

package conformance

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var httpClient = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{DialContext: dialHTTP},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// socketHost ends the host names that stand for unix sockets: what is before it is the path, in hexadecimal digits.
const socketHost = ".socket:80"

// dialHTTP connects to host and port, or to a unix socket.
func dialHTTP(ctx context.Context, network, address string) (net.Conn, error) {
	if path, ok := strings.CutSuffix(address, socketHost); ok {
		plain, err := hex.DecodeString(path)
		if err != nil {
			return nil, err
		}
		network, address = "unix", string(plain)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// comparedHeaders are the headers that clients look at.
var comparedHeaders = []string{"Content-Type", "X-Nsq-Content-Type", "Allow", "Location", "Connection"}

// get notes the answer to a GET.
func (c *client) get(path string) { c.request("GET", path, "") }

// post notes the answer to a POST.
func (c *client) post(path, body string) { c.request("POST", path, body) }

// request notes the answer to a request: status, headers, body.
func (c *client) request(method, path, body string) {
	c.requestFrom(method, path, strings.NewReader(body), len(body))
}

// requestFrom is request with a body that may be of unknown size: chunked.
func (c *client) requestFrom(method, path string, body io.Reader, size int) {
	if c.err != nil {
		return
	}
	r, err := http.NewRequest(method, "http://"+c.server.http+path, body)
	if err != nil {
		c.fail("%s %s: %w", method, path, err)
		return
	}
	c.note("%s %s (%d bytes)", method, path, size)
	resp, err := httpClient.Do(r)
	if err != nil {
		c.fail("%s %s: %w", method, path, err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.fail("%s %s: %w", method, path, err)
		return
	}
	c.note("  %s", resp.Status)
	for _, name := range comparedHeaders {
		if values := resp.Header.Values(name); len(values) > 0 {
			c.note("  %s: %s", name, strings.Join(values, " | "))
		}
	}
	if strings.HasPrefix(path, "/config/") {
		answer = []byte(c.server.withoutPlace(string(answer)))
	}
	switch {
	case json.Valid(answer):
		for _, line := range jsonLines(answer) {
			if c.alone || c.server.lookup || !strings.HasPrefix(line, "producers") {
				c.note("    %s", line)
			}
		}
	case strings.HasPrefix(path, "/debug/pprof"), strings.HasPrefix(path, "/metrics"):
		c.note("    something: %v", len(answer) > 0)
	default:
		for line := range strings.Lines(string(answer)) {
			if !c.alone && strings.HasPrefix(line, "Producers:") {
				break // all connections of the node, also those of other conversations
			}
			c.note("    %s", steadyText(line))
		}
	}
}

// unsteadyText are the values in the text of /stats that differ between runs, and what they are replaced by.
var unsteadyText = []struct {
	form *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`built w/go[^)]+`), "built w/GO"},
	{regexp.MustCompile(`^start_time \d{4}-\d\d-\d\dT\S+`), "start_time TIME"},
	{regexp.MustCompile(`^uptime [0-9.hmµns]+`), "uptime DURATION"},
	{regexp.MustCompile(`\t\d+`), "\tNUMBER"},
	{regexp.MustCompile(`:\d{4,5} `), ":PORT "},
	{regexp.MustCompile(`connected: \d+s`), "connected: DURATION"},
	{regexp.MustCompile(`\d+\.\d(ns|us|ms|s)\b`), "LATENCY"},
}

func steadyText(line string) string {
	for _, u := range unsteadyText {
		line = u.form.ReplaceAllString(line, u.by)
	}
	return fmt.Sprintf("%q", withoutBuild(line))
}

// counts are the numbers of a channel that settle.
type counts struct{ topicDepth, depth, inFlight, deferred int64 }

// settle waits until the conversation's topic has nothing on its way to the channel and the channel's counts are as given: what was sent
// has arrived everywhere. It notes the counts; those that it waits for in vain are a difference, not a failure.
func (c *client) settle(channel string, depth, inFlight, deferred int64) {
	want := counts{0, depth, inFlight, deferred}
	got, _ := c.counts(channel)
	for end := time.Now().Add(readPatience); c.err == nil && got != want && time.Now().Before(end); got, _ = c.counts(channel) {
		time.Sleep(lookInterval)
	}
	c.noteCounts(channel, got)
}

// noteCounts notes the counts of a channel.
func (c *client) noteCounts(channel string, got counts) {
	c.note("channel %s: depth %d, in flight %d, deferred %d; waiting in the topic %d", channel, got.depth, got.inFlight, got.deferred, got.topicDepth)
}

// awaitConsumers waits until the server has noticed that the channel has n consumers, and what that means for their messages: it looks
// twice.
func (c *client) awaitConsumers(channel string, n int64) {
	end := time.Now().Add(readPatience)
	for looks := 0; looks < 2 && c.err == nil; time.Sleep(lookInterval) {
		_, consumers := c.counts(channel)
		switch {
		case consumers == n:
			looks++
		case time.Now().After(end):
			c.fail("channel %s has %d consumers, want %d", channel, consumers, n)
		}
	}
}

// lookInterval is how long to wait before /stats is asked again.
const lookInterval = 10 * time.Millisecond

// counts asks for the counts of a channel and how many consumers it has; -1 each if there is no such channel.
func (c *client) counts(channel string) (got counts, consumers int64) {
	resp, err := httpClient.Get("http://" + c.server.http + "/stats?format=json&topic=" + c.topic + "&channel=" + channel)
	if err != nil {
		c.fail("stats: %w", err)
		return counts{}, 0
	}
	defer resp.Body.Close()
	var all struct {
		Topics []struct {
			Depth    int64
			Channels []struct {
				Depth    int64
				InFlight int64 `json:"in_flight_count"`
				Deferred int64 `json:"deferred_count"`
				Clients  int64 `json:"client_count"`
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		c.fail("stats: %w", err)
	}
	if len(all.Topics) != 1 || len(all.Topics[0].Channels) != 1 {
		return counts{-1, -1, -1, -1}, -1
	}
	ch := all.Topics[0].Channels[0]
	return counts{all.Topics[0].Depth, ch.Depth, ch.InFlight, ch.Deferred}, ch.Clients
}
