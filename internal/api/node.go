package api

import (
	"net/http"
	"runtime/metrics"
	"time"

	"github.com/weirmq/weir/internal/version"
)

// nodeAnswer is the answer of /v1/node.
type nodeAnswer struct {
	Version          string      `json:"version"`
	NSQVersion       string      `json:"nsq_version"`
	Hostname         string      `json:"hostname"`
	BroadcastAddress string      `json:"broadcast_address"`
	TCPPort          int         `json:"tcp_port"`
	HTTPPort         int         `json:"http_port"`
	Started          int64       `json:"started_ms"`
	Time             int64       `json:"time_ms"`
	Healthy          bool        `json:"healthy"`
	Health           string      `json:"health"`
	Sync             string      `json:"sync"`
	Disk             disk        `json:"disk"`
	SyncLatency      syncLatency `json:"sync_latency"`
	HeapBytes        int64       `json:"heap_bytes"`
	Totals           totals      `json:"totals"`
	Rates            rates       `json:"rates"`
}

type disk struct {
	Path   string `json:"path"`
	Total  int64  `json:"total_bytes"`
	Free   int64  `json:"free_bytes"`
	Used   int64  `json:"used_bytes"`
	FullIn *int64 `json:"full_in_s"`
}

// totals are a node's.
type totals struct {
	Topics   int   `json:"topics"`
	Channels int   `json:"channels"`
	Clients  int   `json:"clients"`
	Depth    int64 `json:"depth"`
	InFlight int64 `json:"in_flight"`
	Deferred int64 `json:"deferred"`
	Messages int64 `json:"messages"`
}

// node is GET /v1/node.
func (s *Server) node(*http.Request) (any, error) {
	o, now := &s.options, time.Now()
	answer := nodeAnswer{
		Version: version.Weir, NSQVersion: version.NSQ, Hostname: o.Hostname, BroadcastAddress: o.BroadcastAddress, TCPPort: o.TCPPort,
		HTTPPort: o.HTTPPort, Started: o.Started.UnixMilli(), Time: now.UnixMilli(), Healthy: true, Health: "OK", Sync: o.Sync,
		SyncLatency: s.syncs.latency(now, time.Minute), HeapBytes: heapBytes(), Totals: s.totals(), Rates: s.history.rates(),
	}
	if err := s.broker.Healthy(); err != nil {
		answer.Healthy, answer.Health = false, err.Error()
	}
	answer.Disk = disk{Path: o.DataPath, FullIn: s.history.fullIn()}
	var err error
	if answer.Disk.Total, answer.Disk.Free, err = o.Space(); err != nil {
		return nil, err
	}
	for _, t := range s.broker.Topics() {
		for _, p := range t.Partitions() {
			answer.Disk.Used += p.Bytes
		}
	}
	return answer, nil
}

func (s *Server) totals() totals {
	var sum totals
	for _, t := range s.broker.Stats("", "", false) {
		sum.Topics++
		sum.Messages += int64(t.MessageCount)
		sum.Depth += t.Depth
		for i := range t.Channels {
			c := &t.Channels[i]
			sum.Channels++
			sum.Clients += c.ClientCount
			sum.Depth += c.Depth
			sum.InFlight += c.InFlight
			sum.Deferred += c.Deferred
		}
	}
	return sum
}

// heapBytes is the live heap, read without stopping the world.
func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
