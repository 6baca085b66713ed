package tohttp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
	"github.com/weirmq/weir/internal/version"
)

// largestAnswer is how much of an answer is read, so that its connection can be used again.
const largestAnswer = 1 << 20

// Run makes requests until ctx ends, and waits for those under way. A first connection to a broker that fails is an error.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	s := newSender(&o)
	defer s.client.CloseIdleConnections()
	defer o.Meter.Start()()
	return o.Source.Consume(ctx, o.Publishers, func(string) nsq.HandlerFunc { return s.handle })
}

// sender makes the requests. Its methods are called from many goroutines.
type sender struct {
	o       *Options
	client  *http.Client
	header  http.Header
	pool    *pool.Pool
	latency *tools.Latency            // of all requests
	each    map[string]*tools.Latency // of each destination, if there are several
}

func newSender(o *Options) *sender {
	destinations := tools.Distinct(o.destinations())
	s := &sender{o: o, header: http.Header{}, pool: pool.New(o.Mode, destinations), each: map[string]*tools.Latency{}}
	s.latency = tools.NewLatency(o.Source.Logger, "all", o.StatusEvery)
	if len(destinations) > 1 {
		for _, d := range destinations {
			s.each[d] = tools.NewLatency(o.Source.Logger, d, o.StatusEvery)
		}
	}
	s.header.Set("User-Agent", "nsq_to_http v"+version.NSQTool)
	if len(o.Post) > 0 {
		s.header.Set("Content-Type", o.ContentType)
	}
	for _, h := range o.Headers {
		key, value, _ := splitHeader(h) // Validate has looked at it
		s.header.Set(key, value)
	}
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	s.client = &http.Client{
		Timeout: o.RequestTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
			ResponseHeaderTimeout: o.RequestTimeout, MaxIdleConnsPerHost: o.Publishers, IdleConnTimeout: time.Minute},
		CheckRedirect: keepMethod,
	}
	return s
}

// keepMethod follows redirects that repeat the request with its body, up to ten.
func keepMethod(next *http.Request, before []*http.Request) error {
	if next.Method != before[0].Method || len(before) >= 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

// handle passes one message on; go-nsq finishes it after nil, and requeues it after an error.
func (s *sender) handle(m *nsq.Message) error {
	if s.o.Sample < 1 && rand.Float64() >= s.o.Sample {
		s.o.Meter.Skipped.Add(1)
		return nil
	}
	choice := s.pool.Get()
	begun := time.Now()
	err := s.send(choice.Host, m.Body)
	choice.Mark(err)
	if err != nil {
		s.o.Meter.Failed.Add(1)
		s.o.Source.Logger.Warn("request failed, the message will be tried again", "to", choice.Host, "attempts", m.Attempts, "error", err)
		return err
	}
	s.o.Meter.Count(m.Body)
	s.latency.Took(begun)
	s.each[choice.Host].Took(begun)
	return nil
}

// send makes one request; nil means that it succeeded.
func (s *sender) send(destination string, body []byte) error {
	method, target, content := http.MethodPost, destination, io.Reader(bytes.NewReader(body))
	if len(s.o.Get) > 0 {
		method, content = http.MethodGet, nil
		target = strings.Replace(destination, "%s", url.QueryEscape(string(body)), 1)
	}
	request, err := http.NewRequest(method, target, content)
	if err != nil {
		return err
	}
	request.Header = s.header.Clone()
	if host := s.header.Get("Host"); host != "" {
		request.Host = host
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, largestAnswer)); err != nil {
		return err
	}
	if code := response.StatusCode; code == http.StatusOK || method == http.MethodPost && code/100 == 2 {
		return nil
	}
	return fmt.Errorf("answered %s", response.Status)
}
