package nsqhttp

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// series is one value at one scrape. A thousand topics have many thousands of them, so that it shares its labels with the others of the same
// topic or channel, where prometheus.MustNewConstMetric would make them anew for each.
type series struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType // counter or gauge
	value  float64
	labels []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *series) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.kind == prometheus.CounterValue {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// labels makes pairs of names and values; the names must be in alphabetical order, as Prometheus wants them.
func labels(namesAndValues ...string) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		pairs = append(pairs, &dto.LabelPair{Name: &namesAndValues[i], Value: &namesAndValues[i+1]})
	}
	return pairs
}
