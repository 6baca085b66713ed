package api

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// Options configure a Server. The zero value of a field means its default.
type Options struct {
	// Logger takes what an operator should know, and every action. Default: discard.
	Logger *slog.Logger
	// Started is when the node was started. Default: now.
	Started time.Time
	// BroadcastAddress, Hostname, TCPPort and HTTPPort are what /v1/node says of where the node is.
	BroadcastAddress  string
	Hostname          string
	TCPPort, HTTPPort int
	// Sync is the node's policy, as --sync has it.
	Sync string
	// DataPath is the data directory, and Space says how much room its file system has, in bytes.
	DataPath string
	Space    func() (total, free int64, err error)
	// MaxMsgSize bounds one message, in bytes. Default 1 MiB.
	MaxMsgSize int
	// MaxDelay bounds delays. Default 1h.
	MaxDelay time.Duration
	// Cluster describes the cluster; nil on a node that is alone.
	Cluster func(ctx context.Context) Cluster
	// Readers bounds the requests that read logs at a time. Default 8.
	Readers int
	// Writers bounds the requests that bring a message at a time, each of which takes memory of six times the largest message. Default 16.
	Writers int
	// SearchBytes and SearchTime bound what one search reads. Defaults 64 MiB and 2s.
	SearchBytes int64
	SearchTime  time.Duration
	// NodeStep and Step are how far apart the points of the history are, of the node and of topics and channels. Defaults 5s and 30s.
	NodeStep time.Duration
	Step     time.Duration
	// MaxSeries bounds the topics and channels whose history is kept. Default 4,096, which take at most
	// 18 MiB; those on which nothing happens take none.
	MaxSeries int
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	if o.Space == nil {
		o.Space = func() (int64, int64, error) { return 0, 0, nil }
	}
	o.MaxMsgSize = cmp.Or(o.MaxMsgSize, 1<<20)
	o.MaxDelay = cmp.Or(o.MaxDelay, time.Hour)
	o.Readers = cmp.Or(o.Readers, 8)
	o.Writers = cmp.Or(o.Writers, 16)
	o.SearchBytes = cmp.Or(o.SearchBytes, 64<<20)
	o.SearchTime = cmp.Or(o.SearchTime, 2*time.Second)
	o.NodeStep = cmp.Or(o.NodeStep, 5*time.Second)
	o.Step = cmp.Or(o.Step, 30*time.Second)
	o.MaxSeries = cmp.Or(o.MaxSeries, 4096)
}
