// Package tonsq is to_nsq: it reads records from a stream and publishes each one to every given nsqd.
//
// Delivery is at least once: what was under way when a connection broke is published again after the reconnect, and may be there
// twice and out of order. A record counts as published when the nsqd has answered OK. Publishing is pipelined: up to
// Options.Window records wait for their answers at each nsqd.
//
//	in ── read records ── fan out ──┬── destination: window, retries ── nsqd
//	                                └── destination: window, retries ── nsqd
package tonsq

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// MaxRecordBytes bounds a record, so that a stream without delimiters costs bounded memory.
const MaxRecordBytes = 64 << 20

// Options of one run.
type Options struct {
	// Topic to publish to.
	Topic string
	// Addresses are the nsqds' TCP addresses; each gets every record.
	Addresses []string
	// Delimiter ends a record and is not part of it. Empty records are skipped: NSQ has no empty messages.
	Delimiter byte
	// Rate is the highest number of records read in a second; 0 means as fast as they are taken.
	Rate int
	// Window is the number of records that may wait for an answer at one nsqd. Default 1000.
	Window int
	// GiveUp is how long a destination may acknowledge nothing, although records wait, before it is given up. Default 30s.
	GiveUp time.Duration
	// Config is go-nsq's.
	Config *nsq.Config
	// Logger gets reconnects and refusals.
	Logger *slog.Logger
	// Meter counts what is acknowledged, for each nsqd.
	Meter *tools.Meter
}

// DefaultOptions returns the defaults; Topic, Addresses and Config are still to be set.
func DefaultOptions() Options {
	return Options{Delimiter: '\n', Window: 1000, GiveUp: 30 * time.Second, Logger: slog.Default(),
		Meter: tools.NewMeter("to_nsq")}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	switch {
	case o.Topic == "":
		return errors.New("--topic is required")
	case !nsq.IsValidTopicName(o.Topic):
		return errors.New("--topic is not a topic name: 1 to 64 of a-z A-Z 0-9 . _ -, with #ephemeral at the end if wanted")
	case len(o.Addresses) == 0:
		return errors.New("--nsqd-tcp-address is required")
	case o.Window < 1:
		return errors.New("window must be at least 1")
	case o.Rate < 0:
		return errors.New("--rate must not be negative")
	}
	return nil
}

// Totals says what became of the records.
type Totals struct {
	Records      int64 // read
	Bytes        int64 // in them, without delimiters
	Destinations []DestinationTotals
}

// DestinationTotals says what became of the records at one nsqd.
type DestinationTotals struct {
	Address      string
	Acknowledged int64 // answered OK
	Refused      int64 // answered with an error that a second try would meet again
	Unanswered   int64 // given up: the nsqd may or may not have them
	Repeated     int64 // published again after a lost connection; some may be there twice
	LastError    error // nil if there was none
}
