package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// cell is what the rounds of one load on one server have shown.
type cell struct {
	values   []float64 // rates, or of latencies the medians in µs; sorted
	p50, p99 []float64
	rss, cpu []float64
	perSync  []float64
	errors   int
}

// cellOf collects them; ok is false if there is no measurement.
func (c *comparison) cellOf(server string, l load) (found cell, ok bool) {
	for _, m := range c.results {
		if m.Server != server || m.Load != l.name {
			continue
		}
		if ok = true; m.Error != "" {
			found.errors++
			continue
		}
		value := m.Rate
		if l.kind == lat {
			value = m.P50
		}
		found.values = append(found.values, value)
		found.p50, found.p99 = append(found.p50, m.P50), append(found.p99, m.P99)
		found.rss, found.cpu = append(found.rss, float64(m.RSSBytes)/(1<<20)), append(found.cpu, m.CPUSeconds/float64(max(m.Messages, 1))*1e6)
		if m.Syncs > 0 {
			found.perSync = append(found.perSync, float64(m.Messages)/float64(m.Syncs))
		}
	}
	slices.Sort(found.values)
	return found, ok
}

// median returns the middle of values, the lower one of two; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// report writes an overview, and a table for each load.
func (c *comparison) report(w io.Writer) error {
	c.servers = slices.DeleteFunc(c.servers, func(s server) bool {
		return !slices.ContainsFunc(c.results, func(m measurement) bool { return m.Server == s.name })
	})
	var b strings.Builder
	c.overview(&b)
	for _, l := range c.loads {
		c.details(&b, l)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// overview writes a line for each load, with the median of each server and its ratio to the baseline.
func (c *comparison) overview(b *strings.Builder) {
	rounds := 0
	for _, l := range c.loads {
		for _, s := range c.servers {
			found, _ := c.cellOf(s.name, l)
			rounds = max(rounds, len(found.values))
		}
	}
	fmt.Fprintf(b, "Medians, rounds: %d; in brackets the ratio to %s. Messages/s, of sub and e2e deliveries/s; of lat the median time until delivery (less is better).\n\n| load |", rounds, baseline)
	for _, s := range c.servers {
		fmt.Fprintf(b, " %s |", s.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(c.servers)) + "\n")
	for _, l := range c.loads {
		fmt.Fprintf(b, "| %s |", l.name)
		base, _ := c.cellOf(baseline, l)
		for _, s := range c.servers {
			found, ok := c.cellOf(s.name, l)
			switch {
			case !ok:
				b.WriteString(" – |")
			case len(found.values) == 0:
				b.WriteString(" failed |")
			default:
				fmt.Fprintf(b, " %s%s |", l.text(median(found.values)), ratio(" (%s)", median(found.values), median(base.values)))
			}
		}
		b.WriteString("\n")
	}
}

// details writes a line for each server.
func (c *comparison) details(b *strings.Builder, l load) {
	base, _ := c.cellOf(baseline, l)
	most, _ := c.cellOf(null, l)
	fmt.Fprintf(b, "\n**%s**: %s\n\n| server | median (least – most) | to %s | to %s | p50 | p99 | server MiB | CPU µs a message | messages a sync |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", l.name, l.what, baseline, null)
	for _, s := range c.servers {
		found, ok := c.cellOf(s.name, l)
		if !ok {
			continue
		}
		if len(found.values) == 0 {
			fmt.Fprintf(b, "| %s | failed |\n", s.name)
			continue
		}
		value := median(found.values)
		fmt.Fprintf(b, "| %s | %s (%s – %s)%s | %s | %s | %s | %s | %s | %s | %s |\n", s.name,
			l.text(value), l.text(found.values[0]), l.text(found.values[len(found.values)-1]), failures(found.errors),
			ratio("%s", value, median(base.values)), ratio("%s", value, median(most.values)),
			milliseconds(median(found.p50)), milliseconds(median(found.p99)),
			number("%.0f", median(found.rss)), number("%.2f", median(found.cpu)), number("%.1f", median(found.perSync)))
	}
}

// text writes a value of the load.
func (l *load) text(value float64) string {
	switch {
	case l.kind == lat:
		return milliseconds(value)
	case value >= 1e6:
		return fmt.Sprintf("%.2f M", value/1e6)
	case value >= 1e5:
		return fmt.Sprintf("%.0f k", value/1e3)
	case value >= 1e4:
		return fmt.Sprintf("%.1f k", value/1e3)
	default:
		return fmt.Sprintf("%.2f k", value/1e3)
	}
}

// nothing stands where there is no value.
const nothing = "–"

func milliseconds(us float64) string {
	if us == 0 {
		return nothing
	}
	return fmt.Sprintf("%.2f ms", us/1e3)
}

func number(format string, value float64) string {
	if value == 0 {
		return nothing
	}
	return fmt.Sprintf(format, value)
}

// ratio writes value to base into format; of nothing, nothing.
func ratio(format string, value, base float64) string {
	if base == 0 || value == 0 {
		if format == "%s" {
			return nothing
		}
		return ""
	}
	digits := 2
	if value/base >= 10 {
		digits = 0
	}
	return fmt.Sprintf(format, fmt.Sprintf("%.*f", digits, value/base))
}

func failures(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d failed", n)
}
