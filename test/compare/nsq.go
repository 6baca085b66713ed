package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nsqio/go-nsq"
)

// nsqServer is a broker that speaks NSQ's protocol, or the server that does nothing: it has no HTTP address and stores nothing.
// arguments returns its command line.
func nsqServer(name, weir, binary, install string, arguments func(dir, tcp, http string) []string) server {
	return server{
		name: name, missing: wants(binary, install),
		start: func(dir string) (running, error) {
			addresses, err := freeAddresses(2)
			if err != nil {
				return nil, err
			}
			s := &nsqBroker{weir: weir, tcp: addresses[0], http: addresses[1], null: name == null}
			data := filepath.Join(dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				return nil, err
			}
			s.process, err = startProcess(dir, s.tcp, nil, binary, arguments(data, s.tcp, s.http)...)
			return s, err
		},
	}
}

// nsqBroker is one that runs.
type nsqBroker struct {
	*process
	weir, tcp, http string
	null            bool
}

func (s *nsqBroker) stop() error { return s.end() }

// can leaves out what the server that does nothing has not: deliveries, and HTTP. It is no limit for go-nsq either: that writes
// each command by itself, and answers that come at once wake it up for each, where those of a slower server come together.
func (s *nsqBroker) can(l load) bool {
	return !s.null || l.kind == pub && !strings.HasPrefix(l.name, "http") && l.name != goNSQLoad
}

// goNSQLoad is the load that the client go-nsq makes.
const goNSQLoad = "gonsq_pub_16g"

// measure runs `weir bench`, or the client go-nsq where the load is of it.
func (s *nsqBroker) measure(l load, d time.Duration) (m measurement, err error) {
	before := s.syncs()
	if l.name == goNSQLoad {
		m, err = s.goNSQ(d)
	} else {
		m, err = s.bench(l, d)
	}
	m.Syncs = s.syncs() - before
	return m, err
}

// bench runs `weir bench run`.
func (s *nsqBroker) bench(l load, d time.Duration) (m measurement, err error) {
	if l.kind == sub {
		d = max(d, subTime)
	}
	web := s.http
	if s.null {
		web = ""
	}
	bench := exec.Command(s.weir, "bench", "run", l.name, "--json", "--duration="+d.String(), "--nsqd-tcp-address="+s.tcp, "--nsqd-http-address="+web)
	var out, complaints bytes.Buffer
	bench.Stdout, bench.Stderr = &out, &complaints
	if err := bench.Run(); err != nil && out.Len() == 0 {
		return m, fmt.Errorf("weir bench: %w: %s", err, complaints.String())
	}
	type quantiles struct{ P50, P99 float64 }
	var r struct {
		Published           int64
		PublishRate         float64 `json:"publish_rate"`
		DeliveryRate        float64 `json:"delivery_rate"`
		Answers, Deliveries quantiles
		Errors              []string
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return m, fmt.Errorf("weir bench: %w", err)
	}
	m.Messages, m.Rate, m.P50, m.P99 = r.Published, r.PublishRate, r.Answers.P50, r.Answers.P99
	if l.kind != pub {
		m.Rate, m.P50, m.P99 = r.DeliveryRate, r.Deliveries.P50, r.Deliveries.P99
	}
	if len(r.Errors) > 0 {
		err = errors.New(strings.Join(r.Errors, "; "))
	}
	return m, err
}

// goNSQ publishes one by one from 16 goroutines that share a Producer with its defaults.
func (s *nsqBroker) goNSQ(d time.Duration) (m measurement, err error) {
	producer, err := nsq.NewProducer(s.tcp, nsq.NewConfig())
	if err != nil {
		return m, err
	}
	producer.SetLoggerLevel(nsq.LogLevelMax)
	defer producer.Stop()
	if err := producer.Ping(); err != nil {
		return m, err
	}
	const goroutines, topic = 16, "compare_gonsq"
	var group sync.WaitGroup
	var count atomic.Int64
	errs, times := make([]error, goroutines), make([][]time.Duration, goroutines)
	began := time.Now()
	for i := range goroutines {
		group.Go(func() {
			body := make([]byte, bodyBytes)
			for begun := time.Now(); begun.Sub(began) < d && errs[i] == nil; {
				errs[i] = producer.Publish(topic, body)
				now := time.Now()
				times[i], begun = append(times[i], now.Sub(begun)), now
				count.Add(1)
			}
		})
	}
	group.Wait()
	m.Messages = count.Load()
	m.Rate = float64(m.Messages) / time.Since(began).Seconds()
	for _, t := range times[1:] {
		times[0] = append(times[0], t...)
	}
	m.P50, m.P99 = quantiles(times[0])
	response, err := http.Post("http://"+s.http+"/topic/delete?topic="+topic, "", nil)
	if err == nil {
		response.Body.Close()
	}
	return m, errors.Join(append(errs, err)...)
}

// syncs asks how many rounds of syncs there were; 0 where that is not counted.
func (s *nsqBroker) syncs() int64 {
	if s.null {
		return 0
	}
	response, err := http.Get("http://" + s.http + "/metrics")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	for line := range strings.Lines(string(text)) {
		var n float64
		if _, err := fmt.Sscanf(line, "weir_disk_syncs_total %g", &n); err == nil {
			return int64(n)
		}
	}
	return 0
}
