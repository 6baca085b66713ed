package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ServerUse is what a load took of the server: of its process, where that is on this machine and known, else what the server
// itself tells by HTTP.
type ServerUse struct {
	RSSBytes   int64   `json:"rss_bytes,omitempty"`  // resident memory when the load was over
	PeakBytes  int64   `json:"peak_bytes,omitempty"` // the most of it, looked at ten times a second
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
	HeapBytes  int64   `json:"heap_bytes,omitempty"` // of a Go server whose process is not known: its heap in use
}

// processUse is what the operating system says of a process.
type processUse struct {
	rssBytes   int64
	cpuSeconds float64 // user and system, since it began
}

// watch looks at the server's process until ctx ends, then returns what the load took. Without a process, or a system that tells
// of it, nil.
func (t *Target) watch(ctx context.Context) (*ServerUse, error) {
	if t.PID == 0 {
		<-ctx.Done()
		return nil, nil
	}
	before, err := useOf(t.PID)
	if errors.Is(err, errors.ErrUnsupported) {
		<-ctx.Done()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("server's process %d: %w", t.PID, err)
	}
	use := &ServerUse{PeakBytes: before.rssBytes}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		now, err := useOf(t.PID)
		if err != nil {
			return nil, fmt.Errorf("server's process %d: %w", t.PID, err)
		}
		use.RSSBytes, use.CPUSeconds = now.rssBytes, now.cpuSeconds-before.cpuSeconds
		use.PeakBytes = max(use.PeakBytes, now.rssBytes)
	}
	return use, nil
}

// heap asks the server for its heap in use, as nsqd's /stats tells it; nil if it does not.
func (t *Target) heap() *ServerUse {
	if t.HTTP == "" {
		return nil
	}
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get("http://" + t.HTTP + "/stats?format=json&include_clients=false")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var stats struct {
		Memory struct {
			HeapInUseBytes int64 `json:"heap_in_use_bytes"`
		} `json:"memory"`
	}
	if json.NewDecoder(io.LimitReader(response.Body, 64<<20)).Decode(&stats) != nil || stats.Memory.HeapInUseBytes == 0 {
		return nil
	}
	return &ServerUse{HeapBytes: stats.Memory.HeapInUseBytes}
}
