package load

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes one line for each result.
func WriteTable(w io.Writer, results []*Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "load\tpublished\tmessages/s\tMB/s\tdelivered\tdeliveries/s\tanswer p50\tp99\tdelivery p50\tp99\terrors\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%d\t%s\t%s\t%s\t%d\t\n", r.Name, r.Published, rate(r.PublishRate),
			max(r.PublishRate, r.DeliveryRate)*float64(r.BodyBytes)/1e6, r.Delivered, rate(r.DeliveryRate), pair(r.Answers), pair(r.Deliveries), len(r.Errors))
	}
	return t.Flush()
}

// rate writes a rate for people.
func rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "–"
	case perSecond >= 1e6:
		return fmt.Sprintf("%.2f M", perSecond/1e6)
	default:
		return fmt.Sprintf("%.1f k", perSecond/1e3)
	}
}

// pair writes two quantiles as two cells.
func pair(q *Quantiles) string {
	if q == nil {
		return "–\t–"
	}
	return fmt.Sprintf("%.3f ms\t%.3f ms", q.P50/1e3, q.P99/1e3)
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
		fmt.Fprintf(w, "of it the generator's own lateness: p50 %.3f  p99 %.3f ms\n", r.Lag.P50/1e3, r.Lag.P99/1e3)
	}
	for _, bar := range q.Bars {
		part := float64(bar.Count) / float64(q.Count)
		fmt.Fprintf(w, "  ≤ %12s %6.2f %% %s\n", bar.UpTo.Round(time.Microsecond), 100*part, strings.Repeat("█", int(part*50+0.5)))
	}
}
