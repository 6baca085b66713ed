package upstream

import (
	"cmp"
	"maps"
	"slices"
)

// Latency is the time from a message's publishing to its finish, over one or several nodes, as nsqadmin tells it: for each quantile
// its value, and min, max, average and count over the nodes.
type Latency struct {
	Count       int                  `json:"count"`
	Percentiles []map[string]float64 `json:"percentiles"`
	Topic       string               `json:"topic"`
	Channel     string               `json:"channel"`
	Host        string               `json:"host"`
}

// newLatency takes over what one node measured; l may be nil.
func newLatency(l *NodeLatency, topic, channel, host string) *Latency {
	out := &Latency{Topic: topic, Channel: channel, Host: host}
	if l == nil {
		return out
	}
	out.Count = l.Count
	for _, p := range l.Percentiles {
		value := p["value"]
		out.Percentiles = append(out.Percentiles, map[string]float64{
			"quantile": p["quantile"], "value": value, "min": value, "max": value, "average": value, "count": float64(l.Count),
		})
	}
	return out
}

// add merges another node's: the averages are weighted by the number of messages.
func (l *Latency) add(other *Latency) {
	l.Count += other.Count
	for _, p := range other.Percentiles {
		at := slices.IndexFunc(l.Percentiles, func(mine map[string]float64) bool { return mine["quantile"] == p["quantile"] })
		if at < 0 {
			l.Percentiles = append(l.Percentiles, maps.Clone(p))
			delete(l.Percentiles[len(l.Percentiles)-1], "value")
			continue
		}
		mine := l.Percentiles[at]
		mine["min"] = min(mine["min"], p["min"])
		mine["max"] = max(mine["max"], p["max"])
		if count := mine["count"] + p["count"]; count > 0 {
			mine["average"] = (mine["average"]*mine["count"] + p["average"]*p["count"]) / count
			mine["count"] = count
		}
	}
	slices.SortFunc(l.Percentiles, func(a, b map[string]float64) int { return cmp.Compare(b["quantile"], a["quantile"]) })
}
