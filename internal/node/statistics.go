package node

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqtcp"
	"github.com/weirmq/weir/internal/statsd"
)

// statsdPrefix returns what stands before each name: Statsd.Prefix with the node's advertised HTTP address.
func (o *Options) statsdPrefix(http net.Listener) (string, error) {
	host, _, err := o.names()
	if err != nil {
		return "", err
	}
	httpPort := cmp.Or(o.BroadcastHTTPPort, max(port(http), 0))
	return statsd.Prefix(o.Statsd.Prefix, net.JoinHostPort(host, strconv.Itoa(httpPort))), nil
}

// pushStatistics pushes to statsd until the doors are closed, if that is wanted.
func (n *Node) pushStatistics() error {
	o := n.options.Statsd
	if o.Address == "" {
		return nil
	}
	var err error
	if o.Prefix, err = n.options.statsdPrefix(n.httpLn); err != nil {
		return err
	}
	o.Logger = n.options.Logger
	ctx, stop := context.WithCancel(context.Background())
	n.stopPushing = stop
	pusher := statsd.New(o, func() []broker.TopicStats { return n.broker.Stats("", "", false) })
	n.serving.Go(func() { pusher.Run(ctx) })
	return nil
}

// registerDisk shows on /metrics what making writes durable takes, and what went for want of space.
func registerDisk(registry *prometheus.Registry, syncs *api.Syncs, yielded func() int64) error {
	return errors.Join(
		registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_disk_yielded_bytes_total", Help: "Finished messages that were deleted before --retain, because the disk's space ran low.",
		}, func() float64 { return float64(yielded()) })),
		registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_disk_syncs_total", Help: "Rounds that made writes durable.",
		}, func() float64 {
			count, _ := syncs.Total()
			return float64(count)
		})),
		registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_disk_sync_seconds_total", Help: "Time that these rounds took.",
		}, func() float64 {
			_, took := syncs.Total()
			return took.Seconds()
		})),
	)
}

// registerDoor shows what the TCP door holds on /metrics.
func registerDoor(registry *prometheus.Registry, tcp *nsqtcp.Server) error {
	return errors.Join(
		registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_tcp_connections", Help: "TCP connections; beyond --max-connections further ones are closed at once.",
		}, func() float64 { return float64(tcp.Connections()) })),
		registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_tcp_input_bytes", Help: "Bytes of large bodies that are arriving by TCP; at 256 MiB publishes with further ones fail.",
		}, func() float64 { return float64(tcp.InputBytes()) })),
	)
}
