package nsqhttp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"time"
)

// writeStatsText writes /stats for people, in the columns of nsqd, which scripts read as well.
func (s *Server) writeStatsText(to io.Writer, all *nodeStats) {
	w := bufio.NewWriter(to)
	defer w.Flush()
	now := time.Now()
	fmt.Fprintf(w, "nsqd v%s (built w/%s)\n", all.Version, runtime.Version())
	fmt.Fprintf(w, "start_time %s\n", s.options.Started.Format(time.RFC3339))
	fmt.Fprintf(w, "uptime %s\n", now.Sub(s.options.Started))
	fmt.Fprintf(w, "\nHealth: %s\n", all.Health)
	if m := all.Memory; m != nil {
		fmt.Fprint(w, "\nMemory:\n")
		for _, line := range []struct {
			name  string
			value uint64
		}{
			{"heap_objects", m.HeapObjects}, {"heap_idle_bytes", m.HeapIdleBytes}, {"heap_in_use_bytes", m.HeapInUseBytes},
			{"heap_released_bytes", m.HeapReleasedBytes}, {"gc_pause_usec_100", m.GCPauseUsec100},
			{"gc_pause_usec_99", m.GCPauseUsec99}, {"gc_pause_usec_95", m.GCPauseUsec95},
			{"next_gc_bytes", m.NextGCBytes}, {"gc_total_runs", uint64(m.GCTotalRuns)},
		} {
			fmt.Fprintf(w, "   %-25s\t%d\n", line.name, line.value)
		}
	}
	writeTopicsText(w, all.Topics, now)
	if len(all.Producers) == 0 {
		fmt.Fprint(w, "\nProducers: None\n")
		return
	}
	fmt.Fprint(w, "\nProducers:\n")
	for i := range all.Producers {
		fmt.Fprintf(w, "   %s\n", clientText(&all.Producers[i], now))
	}
}

func writeTopicsText(w io.Writer, topics []topicStats, now time.Time) {
	if len(topics) == 0 {
		fmt.Fprint(w, "\nTopics: None\n")
		return
	}
	fmt.Fprint(w, "\nTopics:")
	for i := range topics {
		t := &topics[i]
		fmt.Fprintf(w, "\n%s[%-15s] depth: %-5d be-depth: %-5d msgs: %-8d e2e%%: %s\n",
			pausedText("   ", t.Paused), t.TopicName, t.Depth, t.BackendDepth, t.MessageCount, t.Latency.text())
		for j := range t.Channels {
			c := &t.Channels[j]
			fmt.Fprintf(w, "%s[%-25s] depth: %-5d be-depth: %-5d inflt: %-4d def: %-4d re-q: %-5d timeout: %-5d msgs: %-8d e2e%%: %s\n",
				pausedText("      ", c.Paused), c.ChannelName, c.Depth, c.BackendDepth, c.InFlightCount, c.DeferredCount,
				c.RequeueCount, c.TimeoutCount, c.MessageCount, c.Latency.text())
			for k := range c.Clients {
				fmt.Fprintf(w, "        %s\n", clientText(&c.Clients[k], now))
			}
		}
	}
}

// text is the percentiles, each with the largest unit that leaves more than 1.
func (l *latencyStats) text() string {
	var all []string
	for _, p := range l.Percentiles {
		value, unit := float64(p.Value), "ns"
		for _, larger := range []string{"us", "ms", "s"} {
			if value <= 1000 {
				break
			}
			value, unit = value/1000, larger
		}
		all = append(all, fmt.Sprintf("%0.1f%s", value, unit))
	}
	return strings.Join(all, ", ")
}

// pausedText is the indentation, which marks what is paused.
func pausedText(indent string, paused bool) string {
	if paused {
		return indent[:len(indent)-3] + "*P "
	}
	return indent
}

// clientText describes a session by host, port and user agent: a publisher by what it published, any other as a consumer.
func clientText(c *clientStats, now time.Time) string {
	_, port, _ := net.SplitHostPort(c.RemoteAddress)
	name := fmt.Sprintf("[%s %-21s]", c.Version, fmt.Sprintf("%s:%s %s", c.Hostname, port, c.UserAgent))
	connected := now.Sub(time.Unix(c.ConnectTime, 0)).Truncate(time.Second)
	if len(c.PubCounts) == 0 {
		return fmt.Sprintf("%s state: %d inflt: %-4d rdy: %-4d fin: %-8d re-q: %-8d msgs: %-8d connected: %s",
			name, c.State, c.InFlightCount, c.ReadyCount, c.FinishCount, c.RequeueCount, c.MessageCount, connected)
	}
	var published uint64
	topics := make([]string, 0, len(c.PubCounts))
	for _, p := range c.PubCounts {
		published += p.Count
		topics = append(topics, fmt.Sprintf("%s=%d", p.Topic, p.Count))
	}
	return fmt.Sprintf("%s msgs: %-8d topics: %s connected: %s", name, published, strings.Join(topics, ","), connected)
}
