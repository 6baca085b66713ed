// Package tofile is nsq_to_file: it consumes topics and appends their messages, one a line, to files whose names change with
// time.
//
// A message is finished only after the file that holds it has been fsynced; what was not finished when the program or the
// nsqd died is delivered again and may stand in a file twice, never nowhere. Files are synced every Options.SyncInterval,
// when nothing has come for a second, and whenever the nsqd sends nothing more before messages are finished (max-in-flight
// reached). With compression each sync ends a gzip member, so that a file can be read up to what was finished, whatever happens
// to the rest of it.
//
// One goroutine per topic (topicWriter.run) owns the topic's file (output); go-nsq's goroutines only hand it messages. A further
// one looks for topics when there are no fixed ones (discovery).
package tofile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/tools"
)

// Options of one run. The names in brackets are replaced in the formats.
type Options struct {
	// Source says where the messages come from. Without Topics, all topics that its lookup services know are consumed.
	Source tools.Source
	// TopicPattern is a regular expression, unanchored; topics that do not match it are left out. Empty: none is.
	TopicPattern string
	// TopicRefresh is how often the lookup services are asked for new topics. Default 1m.
	TopicRefresh time.Duration
	// OutputDir is where the files go; it is made if it is missing. Default /tmp.
	OutputDir string
	// WorkDir is where files lie while they are written, on the same file system; complete ones are moved to OutputDir.
	// Empty: OutputDir.
	WorkDir string
	// FilenameFormat names the files: <TOPIC>, <HOST>, <PID>, <DATETIME>, <REV>. The revision is "-000000" and so on; it is
	// required where a name may be needed twice (see revisions) and left out elsewhere. Default
	// <TOPIC>.<HOST><REV>.<DATETIME>.log.
	FilenameFormat string
	// DatetimeFormat is the strftime format of <DATETIME>, local time: %Y %y %m %d %H %M %S %j %b %B %a %A %p %I %Z %z %%.
	// Default %Y-%m-%d_%H.
	DatetimeFormat string
	// HostIdentifier stands for <HOST>; in it <SHORT_HOST> and <HOSTNAME> are replaced. Default: the short host name.
	HostIdentifier string
	// GZIP compresses the files, with GZIPLevel from 1 (fast, default 6) to 9 (small).
	GZIP      bool
	GZIPLevel int
	// SkipEmptyFiles makes files only when there is a message for them; otherwise each time has its file.
	SkipEmptyFiles bool
	// RotateSize begins a new file after one with more than so many bytes before compression, RotateInterval after one that
	// is so old; 0: not for that reason.
	RotateSize     int64
	RotateInterval time.Duration
	// SyncInterval is the longest time between a message's arrival and its finish. Default 30s.
	SyncInterval time.Duration
	// ReopenC asks for a sync and new files, as SIGHUP does. It may be nil.
	ReopenC <-chan struct{}
	// Meter counts the messages.
	Meter *tools.Meter
}

// DefaultOptions returns the defaults; topics, addresses and Config of the source are still to be set.
func DefaultOptions() Options {
	return Options{
		Source: tools.NewSource("nsq_to_file"), TopicRefresh: time.Minute, OutputDir: "/tmp",
		FilenameFormat: "<TOPIC>.<HOST><REV>.<DATETIME>.log", DatetimeFormat: "%Y-%m-%d_%H",
		GZIPLevel: 6, SyncInterval: 30 * time.Second, Meter: tools.NewMeter("nsq_to_file"),
	}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	if err := o.Source.Validate(); err != nil {
		return err
	}
	if _, err := regexp.Compile(o.TopicPattern); err != nil {
		return fmt.Errorf("--topic-pattern: %w", err)
	}
	topics := len(o.Source.Topics)
	switch {
	case topics == 0 && o.TopicPattern == "":
		return errors.New("--topic or --topic-pattern is required")
	case topics == 0 && len(o.Source.Lookupds) == 0:
		return errors.New("--lookupd-http-address is required when there is no --topic: who else knows the topics?")
	case o.TopicRefresh <= 0:
		return errors.New("--topic-refresh must be above 0")
	case o.GZIPLevel < 1 || o.GZIPLevel > 9:
		return errors.New("--gzip-level must be 1 to 9")
	case o.RotateSize < 0 || o.RotateInterval < 0:
		return errors.New("--rotate-size and --rotate-interval must not be negative")
	case o.SyncInterval <= 0 || o.SyncInterval > 5*time.Minute:
		return errors.New("--sync-interval must be above 0 and at most 5m")
	case topics != 1 && !strings.Contains(o.FilenameFormat, "<TOPIC>"):
		return errors.New("--filename-format must contain <TOPIC> when there are several topics")
	case o.revisions() && !strings.Contains(o.FilenameFormat, "<REV>"):
		return errors.New("--filename-format must contain <REV> with --gzip, --rotate-size, --rotate-interval or --work-dir")
	}
	_, err := strftime(o.DatetimeFormat, time.Time{})
	return err
}

// revisions reports whether several files may want the same name but for their revision.
func (o *Options) revisions() bool {
	return o.GZIP || o.RotateSize > 0 || o.RotateInterval > 0 || o.WorkDir != "" && o.WorkDir != o.OutputDir
}

// exclusive reports whether each file is a new one; else a file that exists is appended to.
func (o *Options) exclusive() bool { return o.GZIP || o.RotateInterval > 0 }

// dir is where files are written.
func (o *Options) dir() string {
	if o.WorkDir == "" {
		return o.OutputDir
	}
	return o.WorkDir
}
