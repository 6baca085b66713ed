// Package tohttp is nsq_to_http: it consumes a topic and makes an HTTP request of each message.
//
// A message is finished only after a destination has answered its request with success: any 2xx for POST, 200 for GET. A redirect
// that would turn a POST into a GET is none, because the message would not arrive. Whatever else happens, the message is
// requeued, go-nsq backs off, and it is tried again until it succeeds.
package tohttp

import (
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
)

// Options of one run.
type Options struct {
	// Source says where the messages come from; it has one topic.
	Source tools.Source
	// Post are URLs that get messages as bodies. Get are URLs in which %s stands for the message, escaped as in a query. One
	// of them must be given, not both.
	Post []string
	Get  []string
	// ContentType of POST requests. Default application/octet-stream.
	ContentType string
	// Headers are further headers of all requests, "Key: Value".
	Headers []string
	// Mode says how one of several destinations is chosen, see package pool. Default hostpool.
	Mode string
	// Sample is the share of the messages, from 0 to 1, that is passed on; the others are finished. Default 1.
	Sample float64
	// Publishers is how many requests may be under way. Default 100.
	Publishers int
	// StatusEvery logs response times once for so many requests; 0: never. Default 250.
	StatusEvery int
	// ConnectTimeout and RequestTimeout bound the requests. Defaults 2s, 20s.
	ConnectTimeout time.Duration
	RequestTimeout time.Duration
	// Meter counts the messages.
	Meter *tools.Meter
}

// DefaultContentType is what POST requests have unless another is asked for.
const DefaultContentType = "application/octet-stream"

// DefaultOptions returns the defaults; topic, addresses and Config of the source, and destinations, are still to be set.
func DefaultOptions() Options {
	return Options{
		Source: tools.NewSource("nsq_to_http"), ContentType: DefaultContentType, Mode: pool.HostPool, Sample: 1,
		Publishers: 100, StatusEvery: 250, ConnectTimeout: 2 * time.Second, RequestTimeout: 20 * time.Second,
		Meter: tools.NewMeter("nsq_to_http"),
	}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	if err := o.Source.RequireTopic(); err != nil {
		return err
	}
	switch {
	case len(o.Get) == 0 && len(o.Post) == 0:
		return errors.New("--get or --post is required")
	case len(o.Get) > 0 && len(o.Post) > 0:
		return errors.New("--get and --post exclude each other")
	case len(o.Get) > 0 && o.ContentType != DefaultContentType:
		return errors.New("--content-type is only used with --post")
	case o.ContentType == "":
		return errors.New("--content-type must not be empty")
	case o.Sample < 0 || o.Sample > 1:
		return errors.New("--sample must be 0 to 1")
	case o.Publishers < 1:
		return errors.New("--n must be at least 1")
	}
	for _, get := range o.Get {
		if strings.Count(get, "%s") != 1 {
			return fmt.Errorf("--get %q must contain %%s once, for the message", get)
		}
	}
	for _, destination := range o.destinations() {
		u, err := url.Parse(strings.Replace(destination, "%s", "", 1))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%q is not a URL that begins with http:// or https://", destination)
		}
	}
	for _, header := range o.Headers {
		if _, _, err := splitHeader(header); err != nil {
			return err
		}
	}
	return nil
}

// destinations are the URLs, of whatever kind.
func (o *Options) destinations() []string {
	if len(o.Get) > 0 {
		return o.Get
	}
	return o.Post
}

// splitHeader takes "Key: Value" apart.
func splitHeader(header string) (key, value string, err error) {
	key, value, found := strings.Cut(header, ":")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !found || key == "" || value == "" || strings.ContainsAny(header, "\r\n") {
		return "", "", fmt.Errorf("--header %q must have the form Key: Value", header)
	}
	return textproto.CanonicalMIMEHeaderKey(key), value, nil
}
