package stat

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/weirmq/weir/internal/tools"
)

// headerEvery is after how many lines the heading of the table is repeated.
const headerEvery = 25

// Run writes a report each interval until there are Count of them or ctx ends. The first line needs two looks at the counters, so
// it comes after one interval. A broker that does not answer, or none that has the channel, is an error.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	transport := &http.Transport{DialContext: dialer.DialContext, ResponseHeaderTimeout: o.RequestTimeout}
	defer transport.CloseIdleConnections()
	s := survey{o: &o, client: &http.Client{Timeout: o.RequestTimeout, Transport: tools.Bearer{Token: o.Token, Base: transport}}}
	tick := time.NewTicker(o.Interval)
	defer tick.Stop()

	before, err := s.look(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	for n := 0; o.Count == 0 || n < o.Count; n++ {
		if !o.JSON && n%headerEvery == 0 {
			if err := writeHeader(o.Out); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := s.look(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if err := s.write(now.since(before)); err != nil {
			return err
		}
		before = now
	}
	return nil
}

// ended returns nil if err only says that the run was to end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// report is one line.
type report struct {
	Time    time.Time `json:"time"`
	Ingress int64     `json:"ingress_per_second"`
	Egress  int64     `json:"egress_per_second"`
	counters
}

// write writes one report.
func (s *survey) write(r report) error {
	if s.o.JSON {
		return json.NewEncoder(s.o.Out).Encode(r)
	}
	_, err := fmt.Fprintf(s.o.Out, "%7d %7d | %7d %7d %7d %5d %5d | %7d %7d %12d %7d\n", r.Ingress, r.Egress, r.Depth,
		r.Depth-r.BackendDepth, r.BackendDepth, r.InFlight, r.Deferred, r.Requeued, r.TimedOut, r.Messages, r.Clients)
	return err
}
