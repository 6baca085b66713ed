package nsqhttp

import (
	"io"
	"net/http"
	"time"
)

// ping is GET /ping: OK, or 500 and why the node should not be trusted with more messages, both as text.
func (s *Server) ping(w http.ResponseWriter, _ *http.Request) {
	health := s.health()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if health != "OK" {
		w.WriteHeader(http.StatusInternalServerError)
	}
	io.WriteString(w, health)
}

// health is OK, or "NOK - " and the reason.
func (s *Server) health() string {
	if err := s.broker.Healthy(); err != nil {
		return "NOK - " + err.Error()
	}
	return "OK"
}

// nodeInfo is the answer of /info; durations are in nanoseconds.
type nodeInfo struct {
	Version                string        `json:"version"`
	BroadcastAddress       string        `json:"broadcast_address"`
	Hostname               string        `json:"hostname"`
	HTTPPort               int           `json:"http_port"`
	TCPPort                int           `json:"tcp_port"`
	StartTime              int64         `json:"start_time"`
	MaxHeartbeatInterval   time.Duration `json:"max_heartbeat_interval"`
	MaxOutputBufferSize    int           `json:"max_output_buffer_size"`
	MaxOutputBufferTimeout time.Duration `json:"max_output_buffer_timeout"`
	MaxDeflateLevel        int           `json:"max_deflate_level"`
	TopologyZone           string        `json:"topology_zone"`
	TopologyRegion         string        `json:"topology_region"`
}

// info is GET /info.
func (s *Server) info(*http.Request) (any, error) {
	o := &s.options
	return nodeInfo{
		Version: o.Version, BroadcastAddress: o.BroadcastAddress, Hostname: o.Hostname,
		HTTPPort: o.HTTPPort, TCPPort: o.TCPPort, StartTime: o.Started.Unix(),
		MaxHeartbeatInterval: o.MaxHeartbeatInterval, MaxOutputBufferSize: o.MaxOutputBufferSize,
		MaxOutputBufferTimeout: o.MaxOutputBufferTimeout, MaxDeflateLevel: o.MaxDeflateLevel,
		TopologyZone: o.TopologyZone, TopologyRegion: o.TopologyRegion,
	}, nil
}
