package nsqhttp

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
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
		p := &all.Producers[i]
		var published uint64
		for _, c := range p.PubCounts {
			published += c.Count
		}
		fmt.Fprintf(w, "   [%s %s] msgs: %-8d connected: %s\n", p.Version, clientText(p), published, ageText(p, now))
	}
}

func writeTopicsText(w io.Writer, topics []topicStats, now time.Time) {
	if len(topics) == 0 {
		fmt.Fprint(w, "\nTopics: None\n")
		return
	}
	fmt.Fprint(w, "\nTopics:\n")
	for i := range topics {
		t := &topics[i]
		fmt.Fprintf(w, "%s[%-15s] depth: %-5d be-depth: %-5d msgs: %-8d e2e%%: \n",
			pausedText("   ", t.Paused), t.TopicName, t.Depth, t.BackendDepth, t.MessageCount)
		for j := range t.Channels {
			c := &t.Channels[j]
			fmt.Fprintf(w, "%s[%-25s] depth: %-5d be-depth: %-5d inflt: %-4d def: %-4d re-q: %-5d timeout: %-5d msgs: %-8d e2e%%: \n",
				pausedText("      ", c.Paused), c.ChannelName, c.Depth, c.BackendDepth, c.InFlightCount, c.DeferredCount,
				c.RequeueCount, c.TimeoutCount, c.MessageCount)
			for k := range c.Clients {
				client := &c.Clients[k]
				fmt.Fprintf(w, "        [%s %s] state: %d inflt: %-4d rdy: %-4d fin: %-8d re-q: %-8d msgs: %-8d connected: %s\n",
					client.Version, clientText(client), client.State, client.InFlightCount, client.ReadyCount,
					client.FinishCount, client.RequeueCount, client.MessageCount, ageText(client, now))
			}
		}
	}
}

// pausedText is the indentation, which marks what is paused.
func pausedText(indent string, paused bool) string {
	if paused {
		return indent[:len(indent)-3] + "*P "
	}
	return indent
}

// clientText names a session by host, port and user agent.
func clientText(c *clientStats) string {
	port := c.RemoteAddress
	for i := len(port) - 1; i >= 0; i-- {
		if port[i] == ':' {
			port = port[i+1:]
			break
		}
	}
	return fmt.Sprintf("%s:%s %s", c.ClientID, port, c.UserAgent)
}

func ageText(c *clientStats, now time.Time) time.Duration {
	return now.Sub(time.Unix(c.ConnectTime, 0)).Truncate(time.Second)
}
