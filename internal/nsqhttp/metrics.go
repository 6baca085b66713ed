package nsqhttp

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/latency"
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
	broker         *broker.Broker
	healthy        *prometheus.Desc
	topics         *prometheus.Desc
	channels       *prometheus.Desc
	topic          []topicMetric
	channel        []channelMetric
	topicLatency   *prometheus.Desc
	channelLatency *prometheus.Desc
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
		broker:   b,
		healthy:  prometheus.NewDesc("weir_node_healthy", "1 if /ping answers OK, else 0.", nil, nil),
		topics:   prometheus.NewDesc("weir_node_topics", "Topics of the node: each has some series of its own.", nil, nil),
		channels: prometheus.NewDesc("weir_node_channels", "Channels of all topics: each has some series of its own.", nil, nil),
		topicLatency: prometheus.NewDesc("weir_topic_e2e_latency_seconds",
			"Time from publish to finish in the window, all channels together. Only with --e2e-processing-latency-percentile.",
			[]string{"topic", "quantile"}, nil),
		channelLatency: prometheus.NewDesc("weir_channel_e2e_latency_seconds",
			"Time from publish to finish in the window. Only with --e2e-processing-latency-percentile.",
			[]string{"topic", "channel", "quantile"}, nil),
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
	for _, desc := range []*prometheus.Desc{c.healthy, c.topics, c.channels, c.topicLatency, c.channelLatency} {
		to <- desc
	}
	for _, m := range c.topic {
		to <- m.desc
	}
	for _, m := range c.channel {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- &series{desc: desc, kind: prometheus.GaugeValue, value: value}
	}
	topics, channels := c.broker.Stats("", "", false), 0
	for i := range topics {
		t := &topics[i]
		channels += len(t.Channels)
		ofTopic := labels("topic", t.Name)
		for _, m := range c.topic {
			to <- &series{m.desc, m.kind, m.value(t), ofTopic}
		}
		c.latencies(to, c.topicLatency, t.Latency, t.Name, "")
		for j := range t.Channels {
			ch := &t.Channels[j]
			ofChannel := labels("channel", ch.Name, "topic", t.Name)
			for _, m := range c.channel {
				to <- &series{m.desc, m.kind, m.value(ch), ofChannel}
			}
			c.latencies(to, c.channelLatency, ch.Latency, t.Name, ch.Name)
		}
	}
	gauge(c.healthy, number(c.broker.Healthy() == nil))
	gauge(c.topics, float64(len(topics)))
	gauge(c.channels, float64(channels))
}

// latencies gives one series for each quantile of a topic, or of a channel if there is one. They are gauges, no summary: that would promise a
// sum, and counts since the start.
func (c *collector) latencies(to chan<- prometheus.Metric, desc *prometheus.Desc, measured *latency.Summary, topic, channel string) {
	if measured == nil || measured.Count == 0 {
		return
	}
	for _, v := range measured.Values {
		pairs := []string{"quantile", strconv.FormatFloat(v.Quantile, 'g', -1, 64), "topic", topic}
		if channel != "" {
			pairs = append([]string{"channel", channel}, pairs...)
		}
		to <- &series{desc, prometheus.GaugeValue, v.Took.Seconds(), labels(pairs...)}
	}
}

// bodiesGauge shows how much of Options.BodyBytes is taken.
func bodiesGauge(b *bodies) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_http_body_bytes", Help: "Bytes of request bodies that are held; beyond the bound requests are answered 503 OVERLOADED.",
	}, func() float64 { return float64(b.used.Load()) })
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
