package tools

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nsqio/go-nsq"
)

// reconnectInterval is how long to wait before a lost nsqd that was named by its address is tried again. go-nsq uses the interval
// of its lookups for that, a minute.
const reconnectInterval = 2 * time.Second

// Source says where a tool's consumers find their messages. Its fields are NSQ's flags of the same names.
type Source struct {
	// Topics to consume. Tools that can look for topics themselves take none, too.
	Topics []string
	// Channel to consume them by.
	Channel string
	// NSQDs are TCP addresses of brokers, Lookupds HTTP addresses of lookup services; one of them must be given, not both.
	NSQDs    []string
	Lookupds []string
	// MaxInFlight is how many messages of a topic may be unfinished. Default 200.
	MaxInFlight int
	// ConnectTimeout and RequestTimeout bound what is asked of a lookup service. Defaults 2s, 5s.
	ConnectTimeout time.Duration
	RequestTimeout time.Duration
	// Config is go-nsq's. It is copied for each consumer.
	Config *nsq.Config
	// Logger gets what the operator should know.
	Logger *slog.Logger
}

// NewSource returns the defaults; topics, addresses and Config are still to be set.
func NewSource(channel string) Source {
	return Source{Channel: channel, MaxInFlight: 200, ConnectTimeout: 2 * time.Second, RequestTimeout: 5 * time.Second,
		Logger: slog.Default()}
}

// Validate reports the first field that cannot be used.
func (s *Source) Validate() error {
	for _, topic := range s.Topics {
		if !nsq.IsValidTopicName(topic) {
			return fmt.Errorf("--topic %q is not a topic name: 1 to 64 of a-z A-Z 0-9 . _ -, with #ephemeral at the end if wanted", topic)
		}
	}
	switch {
	case !nsq.IsValidChannelName(s.Channel):
		return fmt.Errorf("--channel %q is not a channel name: 1 to 64 of a-z A-Z 0-9 . _ -, with #ephemeral at the end if wanted", s.Channel)
	case len(s.NSQDs) == 0 && len(s.Lookupds) == 0:
		return errors.New("--nsqd-tcp-address or --lookupd-http-address is required")
	case len(s.NSQDs) > 0 && len(s.Lookupds) > 0:
		return errors.New("--nsqd-tcp-address and --lookupd-http-address exclude each other")
	case s.MaxInFlight < 1:
		return errors.New("--max-in-flight must be at least 1")
	}
	return nil
}

// RequireTopic is Validate for tools that need to be told their topics.
func (s *Source) RequireTopic() error {
	if len(s.Topics) == 0 {
		return errors.New("--topic is required")
	}
	return s.Validate()
}

// HTTPClient returns a client for lookup services with the source's timeouts.
func (s *Source) HTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: s.ConnectTimeout}
	return &http.Client{Timeout: s.RequestTimeout, Transport: &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: s.RequestTimeout}}
}

// Consumer returns a consumer of a topic that is not connected yet: add a handler, then call Connect.
func (s *Source) Consumer(topic string) (*nsq.Consumer, error) {
	cfg := *s.Config
	cfg.MaxInFlight = s.MaxInFlight
	if len(s.NSQDs) > 0 && cfg.LookupdPollInterval == nsq.NewConfig().LookupdPollInterval {
		cfg.LookupdPollInterval = reconnectInterval
	}
	consumer, err := nsq.NewConsumer(topic, s.Channel, &cfg)
	if err != nil {
		return nil, fmt.Errorf("consume %s: %w", topic, err)
	}
	consumer.SetLogger(Log{To: s.Logger.With("topic", topic)}, nsq.LogLevelDebug)
	return consumer, nil
}

// Connect connects a consumer with its handlers. A broker named by its address that cannot be reached is an error; those that a
// lookup service names, and lost ones, are tried again for ever. After an error the consumer has been told to stop.
func (s *Source) Connect(consumer *nsq.Consumer) error {
	err := consumer.ConnectToNSQDs(Distinct(s.NSQDs))
	if err == nil && len(s.Lookupds) > 0 {
		consumer.SetLookupdHttpClient(s.HTTPClient())
		err = consumer.ConnectToNSQLookupds(Distinct(s.Lookupds))
	}
	if err != nil {
		consumer.Stop()
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// BaseURL returns the URL of an HTTP address, which NSQ's flags give without its scheme.
func BaseURL(address string) string {
	if strings.Contains(address, "://") {
		return strings.TrimSuffix(address, "/")
	}
	return "http://" + address
}
