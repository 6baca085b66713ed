package load

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// nothing stands in a table where there is no value.
const nothing = "–"

// columns are what a table can show of a result.
var columns = []struct {
	title string
	cell  func(r *Result) string
}{
	{"load", func(r *Result) string { return r.Name }},
	{"published", func(r *Result) string { return whole(r.Published) }},
	{"messages/s", func(r *Result) string { return Rate(r.PublishRate) }},
	{"delivered", func(r *Result) string { return whole(r.Delivered) }},
	{"deliveries/s", func(r *Result) string { return Rate(r.DeliveryRate) }},
	{"MB/s", func(r *Result) string {
		return fmt.Sprintf("%.1f", max(r.PublishRate, r.DeliveryRate)*float64(r.BodyBytes)/1e6)
	}},
	{"answer p50", func(r *Result) string { return milliseconds(r.Answers, func(q *Quantiles) float64 { return q.P50 }) }},
	{"p99", func(r *Result) string { return milliseconds(r.Answers, func(q *Quantiles) float64 { return q.P99 }) }},
	{"delivery p50", func(r *Result) string { return milliseconds(r.Deliveries, func(q *Quantiles) float64 { return q.P50 }) }},
	{"p99", func(r *Result) string { return milliseconds(r.Deliveries, func(q *Quantiles) float64 { return q.P99 }) }},
	{"server MiB", func(r *Result) string { return memory(r.Server) }},
	{"CPU s", func(r *Result) string {
		if r.Server == nil || r.Server.CPUSeconds == 0 {
			return nothing
		}
		return fmt.Sprintf("%.2f", r.Server.CPUSeconds)
	}},
	{"unsent", func(r *Result) string { return whole(r.Unsent) }},
	{"redelivered", func(r *Result) string { return whole(r.Redelivered) }},
	{"errors", func(r *Result) string { return fmt.Sprint(r.ErrorCount) }},
}

// WriteTable writes one line for each result, with the columns that have something to say.
func WriteTable(w io.Writer, results []*Result) error {
	lines := make([]string, len(results)+1)
	for _, c := range columns {
		cells, said := make([]string, len(results)), false
		for i, r := range results {
			cells[i] = c.cell(r)
			said = said || cells[i] != nothing
		}
		if !said {
			continue
		}
		lines[0] += c.title + "\t"
		for i, cell := range cells {
			lines[i+1] += cell + "\t"
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(t, line)
	}
	return t.Flush()
}

// Rate writes a rate for people: three digits, and k or M.
func Rate(perSecond float64) string {
	digits := func(v float64) string { return fmt.Sprintf("%.*f", max(2-len(fmt.Sprint(int(v)))+1, 0), v) }
	switch {
	case perSecond == 0:
		return nothing
	case perSecond >= 1e6:
		return digits(perSecond/1e6) + " M"
	case perSecond >= 1e3:
		return digits(perSecond/1e3) + " k"
	default:
		return digits(perSecond)
	}
}

func whole(n int64) string {
	if n == 0 {
		return nothing
	}
	return fmt.Sprint(n)
}

func milliseconds(q *Quantiles, us func(*Quantiles) float64) string {
	if q == nil {
		return nothing
	}
	return fmt.Sprintf("%.3f ms", us(q)/1e3)
}

// memory writes the most that a server used in MiB.
func memory(use *ServerUse) string {
	const mib = 1 << 20
	switch {
	case use == nil:
		return nothing
	case use.HeapBytes > 0:
		return fmt.Sprintf("%d heap", use.HeapBytes/mib)
	default:
		return fmt.Sprint(use.PeakBytes / mib)
	}
}

// WriteHistogram writes the times of a result as bars: those of deliveries, or else of answers.
func WriteHistogram(w io.Writer, r *Result) {
	q, what := r.Deliveries, "from publish to delivery"
	if q == nil {
		q, what = r.Answers, "from publish to answer"
	}
	if q == nil {
		return
	}
	fmt.Fprintf(w, "\n%s, %s: p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms\n", r.Name, what, q.P50/1e3, q.P90/1e3, q.P99/1e3, q.P999/1e3, q.Max/1e3)
	if r.Lag != nil {
		fmt.Fprintf(w, "of it until the message was written: p50 %.3f  p99 %.3f  max %.3f ms; %d of %d due messages were never written\n",
			r.Lag.P50/1e3, r.Lag.P99/1e3, r.Lag.Max/1e3, r.Unsent, r.Unsent+r.Published+r.Refused)
	}
	for _, bar := range q.Bars {
		part := float64(bar.Count) / float64(q.Count)
		fmt.Fprintf(w, "  ≤ %10.3f ms %6.2f %% %s\n", bar.UpTo.Seconds()*1e3, 100*part, strings.Repeat("█", int(part*50+0.5)))
	}
}
