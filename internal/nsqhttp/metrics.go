package nsqhttp

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirmq/weir/internal/broker"
)

// metrics is GET /metrics.
func (s *Server) metrics() http.HandlerFunc {
	return promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	}).ServeHTTP
}

// collector reads the broker's stats when Prometheus asks: nothing is counted twice, and nothing is kept for topics that are
// gone.
type collector struct {
	broker  *broker.Broker
	healthy *prometheus.Desc
	topic   []topicMetric
	channel []channelMetric
}

type topicMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*broker.TopicStats) float64
}

type channelMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*broker.ChannelStats) float64
}

// newCollector defines all metrics of the broker. Counters restart at 0 with the node.
func newCollector(b *broker.Broker) *collector {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	ofTopic := func(kind prometheus.ValueType, name, help string, value func(*broker.TopicStats) float64) topicMetric {
		return topicMetric{prometheus.NewDesc("weir_topic_"+name, help, []string{"topic"}, nil), kind, value}
	}
	ofChannel := func(kind prometheus.ValueType, name, help string, value func(*broker.ChannelStats) float64) channelMetric {
		return channelMetric{prometheus.NewDesc("weir_channel_"+name, help, []string{"topic", "channel"}, nil), kind, value}
	}
	return &collector{
		broker:  b,
		healthy: prometheus.NewDesc("weir_node_healthy", "1 if /ping answers OK, else 0.", nil, nil),
		topic: []topicMetric{
			ofTopic(counter, "messages_total", "Messages published to the topic.",
				func(t *broker.TopicStats) float64 { return float64(t.MessageCount) }),
			ofTopic(counter, "message_bytes_total", "Bytes of the bodies published to the topic.",
				func(t *broker.TopicStats) float64 { return float64(t.MessageBytes) }),
			ofTopic(gauge, "depth_messages", "Messages that no channel has yet.",
				func(t *broker.TopicStats) float64 { return float64(t.Depth) }),
			ofTopic(gauge, "paused", "1 if the topic is paused, else 0.",
				func(t *broker.TopicStats) float64 { return number(t.Paused) }),
		},
		channel: []channelMetric{
			ofChannel(counter, "messages_total", "Messages that came into the channel.",
				func(c *broker.ChannelStats) float64 { return float64(c.MessageCount) }),
			ofChannel(counter, "requeues_total", "Messages that consumers requeued.",
				func(c *broker.ChannelStats) float64 { return float64(c.RequeueCount) }),
			ofChannel(counter, "timeouts_total", "Messages that were not finished in time, or whose consumer disconnected.",
				func(c *broker.ChannelStats) float64 { return float64(c.TimeoutCount) }),
			ofChannel(counter, "dropped_messages_total", "Messages that an ephemeral channel dropped because it was full.",
				func(c *broker.ChannelStats) float64 { return float64(c.DroppedCount) }),
			ofChannel(counter, "lost_messages_total", "Messages given up by a repair of a damaged log, which the channel passed over.",
				func(c *broker.ChannelStats) float64 { return float64(c.LostCount) }),
			ofChannel(gauge, "depth_messages", "Messages that wait, without those in flight and deferred.",
				func(c *broker.ChannelStats) float64 { return float64(c.Depth) }),
			ofChannel(gauge, "in_flight_messages", "Messages at consumers, not yet finished.",
				func(c *broker.ChannelStats) float64 { return float64(c.InFlight) }),
			ofChannel(gauge, "deferred_messages", "Messages that wait for their due time.",
				func(c *broker.ChannelStats) float64 { return float64(c.Deferred) }),
			ofChannel(gauge, "clients", "Consumers that are subscribed.",
				func(c *broker.ChannelStats) float64 { return float64(c.ClientCount) }),
			ofChannel(gauge, "full", "1 if so much is unfinished that the channel reads no further, else 0.",
				func(c *broker.ChannelStats) float64 { return number(c.Full) }),
			ofChannel(gauge, "paused", "1 if the channel is paused, else 0.",
				func(c *broker.ChannelStats) float64 { return number(c.Paused) }),
		},
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.healthy
	for _, m := range c.topic {
		to <- m.desc
	}
	for _, m := range c.channel {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(c.healthy, prometheus.GaugeValue, number(c.broker.Healthy() == nil))
	topics := c.broker.Stats("", "", false)
	for i := range topics {
		t := &topics[i]
		for _, m := range c.topic {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(t), t.Name)
		}
		for j := range t.Channels {
			ch := &t.Channels[j]
			for _, m := range c.channel {
				to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(ch), t.Name, ch.Name)
			}
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
