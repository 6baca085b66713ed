package history

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Fault is a kind of broken promise.
type Fault int

// The faults, each counted for each channel.
const (
	Lost              Fault = iota // answered OK, and not finished by a drained channel
	Phantom                        // delivered, though never sent, or refused, or damaged
	DeliveredAgain                 // delivered after a finish that must have been recorded
	OutOfOrder                     // first deliveries of a publisher's messages in another order than sent
	Early                          // delivered before its due time
	AttemptsDecreased              // attempts that do not grow, or fall below what was recorded
	TornBatch                      // an MPUB of which only a part was delivered
	numFaults
)

var faultNames = [numFaults]string{"lost", "phantom", "again", "disorder", "early", "attempts", "torn"}

// String gives the heading of the fault in tables.
func (f Fault) String() string { return faultNames[f] }

// maxExamples bounds what a Finding keeps.
const maxExamples = 5

// Finding counts one fault and tells the first few cases in words.
type Finding struct {
	Count    int
	Examples []string
}

// Report is the outcome of Check.
type Report struct {
	Sent, Answered, Refused, Unknown int // messages by what their publisher learned
	Kills, Stops                     int // ends of the broker's process
	Channels                         []ChannelReport
}

// ChannelReport is what one channel did.
type ChannelReport struct {
	Name             string
	Delivered        int // different messages
	Deliveries       int // all deliveries
	Duplicates       int // deliveries beyond the first; allowed
	MostDeliveries   int // of one message
	UnknownDelivered int // delivered messages whose publisher never got an answer; allowed
	Finished         int // messages with a finish that was not refused
	Faults           [numFaults]Finding
}

func (r *ChannelReport) fault(f Fault, format string, args ...any) {
	found := &r.Faults[f]
	found.Count++
	if len(found.Examples) < maxExamples {
		found.Examples = append(found.Examples, fmt.Sprintf(format, args...))
	}
}

// Count returns how often a fault was found in all channels together.
func (r *Report) Count(f Fault) int {
	n := 0
	for i := range r.Channels {
		n += r.Channels[i].Faults[f].Count
	}
	return n
}

// Err returns nil when nothing forbidden was found, else an error with counts and examples.
func (r *Report) Err() error {
	var b strings.Builder
	for i := range r.Channels {
		for f, found := range r.Channels[i].Faults {
			if found.Count == 0 {
				continue
			}
			fmt.Fprintf(&b, "\n%s: %d in channel %s", Fault(f), found.Count, r.Channels[i].Name)
			for _, example := range found.Examples {
				fmt.Fprintf(&b, "\n    %s", example)
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return errors.New("the history breaks promises:" + b.String())
}

// Fprint writes the report as a table: a line for the publishers, then one for each channel.
func (r *Report) Fprint(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "sent %d, answered OK %d, refused %d, without answer %d; kill -9 %d, clean stops %d\n",
		r.Sent, r.Answered, r.Refused, r.Unknown, r.Kills, r.Stops); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "channel\tmessages\tdeliveries\tduplicates\tfinished\t")
	for f := range numFaults {
		fmt.Fprintf(t, "%s\t", f)
	}
	fmt.Fprintln(t)
	for i := range r.Channels {
		c := &r.Channels[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t", c.Name, c.Delivered, c.Deliveries, c.Duplicates, c.Finished)
		for _, found := range c.Faults {
			fmt.Fprintf(t, "%d\t", found.Count)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
