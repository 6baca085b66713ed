//go:build process

package chaos

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// table adds up what scenarios and rounds came to.
type table struct {
	begun   time.Time
	names   []string
	results map[string][]result
	rounds  []*history.Report
}

func newTable() *table { return &table{begun: time.Now(), results: map[string][]result{}} }

func (t *table) add(r result) {
	if _, ok := t.results[r.scenario]; !ok {
		t.names = append(t.names, r.scenario)
	}
	t.results[r.scenario] = append(t.results[r.scenario], r)
}

func (t *table) addReport(r *history.Report) { t.rounds = append(t.rounds, r) }

// print writes a line for each scenario and the sums of all rounds.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%v, %d rounds; times from the end of the fault, median and worst\n", time.Since(t.begun).Round(time.Second), len(t.rounds))
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "scenario\truns\tfailed\tled again\tpreferred lead again")
	slices.Sort(t.names)
	for _, name := range t.names {
		var failed int
		var led, returned []time.Duration
		for _, r := range t.results[name] {
			if r.err != nil {
				failed++
			}
			led, returned = append(led, r.led), append(returned, r.returned)
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%s\t%s\n", name, len(led), failed, spread(led), spread(returned))
	}
	out.Flush()
	var sent, answered, unknown, duplicates, deliveries int
	faults := map[history.Fault]int{}
	for _, r := range t.rounds {
		sent, answered, unknown = sent+r.Sent, answered+r.Answered, unknown+r.Unknown
		for _, c := range r.Channels {
			deliveries, duplicates = deliveries+c.Deliveries, duplicates+c.Duplicates
		}
		for f := history.Lost; f <= history.TornBatch; f++ {
			faults[f] += r.Count(f)
		}
	}
	fmt.Fprintf(w, "sent %d, answered OK %d, without OK %d, deliveries %d, duplicates %d\n", sent, answered, unknown, deliveries, duplicates)
	for f := history.Lost; f <= history.TornBatch; f++ {
		fmt.Fprintf(w, "%s %d  ", f, faults[f])
	}
	fmt.Fprintln(w)
}

// row is the table as an entry of the fault menu.
func (t *table) row() faultreport.Row {
	row := faultreport.Row{Fault: "chaos"}
	for _, r := range t.rounds {
		row.Add(faultreport.Judged(row.Fault, 0, r))
	}
	for _, results := range t.results {
		row.Injected += len(results)
	}
	row.Note = fmt.Sprintf("%d clusters", len(t.rounds))
	return row
}

// spread writes the median and the worst.
func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%v  %v", all[len(all)/2].Round(10*time.Millisecond), all[len(all)-1].Round(10*time.Millisecond))
}
