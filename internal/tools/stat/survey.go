package stat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/tools"
)

// counters are those of one channel, of all brokers together, in the words of nsqd's /stats.
type counters struct {
	Depth        int64 `json:"depth"`
	BackendDepth int64 `json:"backend_depth"`
	InFlight     int64 `json:"in_flight_count"`
	Deferred     int64 `json:"deferred_count"`
	Requeued     int64 `json:"requeue_count"`
	TimedOut     int64 `json:"timeout_count"`
	Messages     int64 `json:"message_count"`
	Clients      int64 `json:"client_count"`
}

// add adds a broker's counters.
func (c *counters) add(more counters) {
	c.Depth += more.Depth
	c.BackendDepth += more.BackendDepth
	c.InFlight += more.InFlight
	c.Deferred += more.Deferred
	c.Requeued += more.Requeued
	c.TimedOut += more.TimedOut
	c.Messages += more.Messages
	c.Clients += more.Clients
}

// look is the counters at one time.
type look struct {
	at time.Time
	counters
}

// since returns the report of what happened between two looks.
func (l look) since(before look) report {
	seconds := l.at.Sub(before.at).Seconds()
	came := l.Messages - before.Messages
	return report{Time: l.at, Ingress: int64(float64(came) / seconds),
		Egress: int64(float64(came-(l.Depth-before.Depth)) / seconds), counters: l.counters}
}

// survey asks the brokers.
type survey struct {
	o      *Options
	client *http.Client
}

// look sums up the channel's counters of all brokers that have the topic.
func (s *survey) look(ctx context.Context) (look, error) {
	brokers, err := s.brokers(ctx)
	if err != nil {
		return look{}, err
	}
	l := look{at: time.Now()}
	found := false
	for _, address := range brokers {
		c, ok, err := s.ask(ctx, address)
		if err != nil {
			return look{}, err
		}
		found = found || ok
		l.add(c)
	}
	if !found {
		return look{}, fmt.Errorf("none of %d brokers has channel %s of topic %s", len(brokers), s.o.Channel, s.o.Topic)
	}
	return l, nil
}

// brokers returns HTTP addresses: those given, or those that the lookup services know. It is an error if no lookup service answers.
func (s *survey) brokers(ctx context.Context) ([]string, error) {
	if len(s.o.NSQDs) > 0 {
		return tools.Distinct(s.o.NSQDs), nil
	}
	var addresses []string
	var errs []error
	for _, lookupd := range tools.Distinct(s.o.Lookupds) {
		var answer struct {
			Producers []struct {
				BroadcastAddress string `json:"broadcast_address"`
				HTTPPort         int    `json:"http_port"`
			} `json:"producers"`
		}
		err := tools.GetJSON(ctx, s.client, tools.BaseURL(lookupd)+"/lookup?topic="+url.QueryEscape(s.o.Topic), &answer)
		var status *tools.StatusError
		if errors.As(err, &status) && status.Code == http.StatusNotFound {
			continue // it does not know the topic
		}
		if err != nil {
			errs = append(errs, err)
		}
		for _, p := range answer.Producers {
			addresses = append(addresses, net.JoinHostPort(p.BroadcastAddress, strconv.Itoa(p.HTTPPort)))
		}
	}
	if len(errs) == len(tools.Distinct(s.o.Lookupds)) {
		return nil, errors.Join(errs...)
	}
	return tools.Distinct(addresses), nil
}

// ask returns one broker's counters of the channel, false if it has no such channel.
func (s *survey) ask(ctx context.Context, address string) (c counters, found bool, err error) {
	query := url.Values{"format": {"json"}, "topic": {s.o.Topic}, "channel": {s.o.Channel}, "include_clients": {"false"}}
	var answer struct {
		Topics []struct {
			Name     string `json:"topic_name"`
			Channels []struct {
				Name string `json:"channel_name"`
				counters
			} `json:"channels"`
		} `json:"topics"`
	}
	if err := tools.GetJSON(ctx, s.client, tools.BaseURL(address)+"/stats?"+query.Encode(), &answer); err != nil {
		return c, false, err
	}
	for _, topic := range answer.Topics {
		for _, channel := range topic.Channels {
			if topic.Name == s.o.Topic && channel.Name == s.o.Channel {
				c.add(channel.counters)
				found = true
			}
		}
	}
	return c, found, nil
}

// writeHeader writes the heading of the table.
func writeHeader(w io.Writer) error {
	_, err := fmt.Fprintf(w, "------rate------+----------------depth----------------+--------------metadata---------------\n"+
		"%7s %7s | %7s %7s %7s %5s %5s | %7s %7s %12s %7s\n", "ingress", "egress", "total", "mem", "disk", "inflt", "def", "req", "t-o", "msgs", "clients")
	return err
}
