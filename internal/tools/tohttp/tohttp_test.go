package tohttp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
)

// target is a destination that keeps what it accepted.
type target struct {
	*httptest.Server
	mu     sync.Mutex
	answer int               // status code
	got    map[string]int    // bodies answered 2xx
	last   *http.Request     // the newest request
	asked  int               // requests
	also   func(http.Header) // sets headers of the answer; may be nil
}

func startTarget(t *testing.T) *target {
	s := &target{answer: 200, got: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			body = []byte(r.URL.Query().Get("m"))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		s.last = r
		if s.answer/100 == 2 {
			s.got[string(body)]++
		}
		if s.also != nil {
			s.also(w.Header())
		}
		w.WriteHeader(s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// set changes the answers.
func (s *target) set(answer int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// count returns how many bodies it has accepted, and how many requests there were.
func (s *target) count() (bodies, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got), s.asked
}

// broker starts a node with n messages in topic t.
func broker(t *testing.T, n int) string {
	t.Helper()
	o := node.DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = t.TempDir(), "127.0.0.1:0", ""
	o.Logger = slog.New(slog.DiscardHandler)
	running, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { running.Stop() })
	p, err := nsq.NewProducer(running.TCPAddr(), nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLoggerLevel(nsq.LogLevelError)
	defer p.Stop()
	for i := range n {
		if err := p.Publish("t", fmt.Appendf(nil, "message & %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	return running.TCPAddr()
}

func testOptions(t *testing.T, address string) Options {
	t.Helper()
	o := DefaultOptions()
	o.Source.Topics, o.Source.NSQDs = []string{"t"}, []string{address}
	o.Source.Logger = slog.New(slog.DiscardHandler)
	o.Meter.Logger = o.Source.Logger
	var err error
	o.Source.Config, err = tools.NewConfig("nsq_to_http", []string{"default_requeue_delay,0s", "backoff_multiplier,5ms", "max_backoff_duration,20ms"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// background runs the tool; the function that is returned stops it and returns its error.
func background(o Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	doneC := make(chan error, 1)
	go func() { doneC <- Run(ctx, o) }()
	return func() error { cancel(); return <-doneC }
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func TestEachMessageIsPostedWithItsHeaders(t *testing.T) {
	to := startTarget(t)
	o := testOptions(t, broker(t, 50))
	o.Post, o.ContentType, o.Headers = []string{to.URL + "/in"}, "text/plain", []string{"x-key: some value"}
	stop := background(o)
	eventually(t, "all messages", func() bool { n, _ := to.count(); return n == 50 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	h := to.last.Header
	if to.last.URL.Path != "/in" || h.Get("Content-Type") != "text/plain" || h.Get("X-Key") != "some value" || h.Get("User-Agent") != "nsq_to_http v1.3.0" {
		t.Errorf("%s with %v", to.last.URL, h)
	}
	if o.Meter.Done.Load() != 50 || to.asked != 50 {
		t.Errorf("%d done, %d requests", o.Meter.Done.Load(), to.asked)
	}
}

func TestGetHasTheMessageInItsURL(t *testing.T) {
	to := startTarget(t)
	o := testOptions(t, broker(t, 10))
	o.Get = []string{to.URL + "/?m=%s"}
	stop := background(o)
	eventually(t, "all messages", func() bool { n, _ := to.count(); return n == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if to.got["message & 3"] != 1 {
		t.Errorf("got %v", to.got)
	}
}

func TestAFailedRequestIsRepeatedUntilItSucceeds(t *testing.T) {
	to := startTarget(t)
	to.set(500)
	o := testOptions(t, broker(t, 5))
	o.Post = []string{to.URL}
	stop := background(o)
	eventually(t, "more tries than go-nsq's five", func() bool { return o.Meter.Failed.Load() > 40 })
	to.set(204)
	eventually(t, "all messages", func() bool { n, _ := to.count(); return n == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestARedirectThatLosesTheMessageIsAFailure(t *testing.T) {
	to, login := startTarget(t), startTarget(t)
	to.set(302)
	to.also = func(h http.Header) { h.Set("Location", login.URL) }
	o := testOptions(t, broker(t, 1))
	o.Post = []string{to.URL}
	stop := background(o)
	eventually(t, "failures", func() bool { return o.Meter.Failed.Load() > 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, requests := login.count(); requests != 0 || o.Meter.Done.Load() != 0 {
		t.Errorf("the redirect was followed %d times, %d messages finished", requests, o.Meter.Done.Load())
	}
}

func TestMessagesGoToTheDestinationThatWorks(t *testing.T) {
	for _, mode := range []string{pool.RoundRobin, pool.HostPool, pool.EpsilonGreedy} {
		works, broken := startTarget(t), startTarget(t)
		broken.set(503)
		o := testOptions(t, broker(t, 100))
		o.Post, o.Mode = []string{broken.URL, works.URL}, mode
		stop := background(o)
		eventually(t, mode+": all messages", func() bool { n, _ := works.count(); return n == 100 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASampleIsPassedOnAndTheRestFinished(t *testing.T) {
	to := startTarget(t)
	o := testOptions(t, broker(t, 400))
	o.Post, o.Sample = []string{to.URL}, 0.25
	stop := background(o)
	eventually(t, "all messages", func() bool { return o.Meter.Done.Load()+o.Meter.Skipped.Load() == 400 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n, _ := to.count(); n < 50 || n > 150 {
		t.Errorf("%d of 400 were passed on", n)
	}
}
