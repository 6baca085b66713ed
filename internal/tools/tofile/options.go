// Package tofile is nsq_to_file: it consumes topics and appends their messages, one a line, to files whose names change with
// time.
//
// A message is finished only after the file that holds it has been fsynced; what was not finished when the program or the
// nsqd died is delivered again and may stand in the file twice, never nowhere. Files are synced every Options.SyncInterval,
// when nothing has come for a second, and whenever the nsqd sends nothing more before messages are finished (max-in-flight
// reached).
//
// One goroutine per topic (topicWriter.run) owns the topic's file; go-nsq's goroutines only hand it messages.
package tofile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nsqio/go-nsq"
)

// Options of one run.
type Options struct {
	// Topics to consume; each has files of its own.
	Topics []string
	// Channel to consume them by. Default nsq_to_file.
	Channel string
	// Addresses are the nsqds' TCP addresses.
	Addresses []string
	// MaxInFlight is how many messages of a topic may be unfinished. Default 200.
	MaxInFlight int
	// OutputDir is where the files go; it is made if it is missing. Default /tmp.
	OutputDir string
	// FilenameFormat names the files: <TOPIC>, <HOST>, <PID>, <DATETIME> are replaced, <REV> is removed (there are no
	// revisions without compression and rotation by size). Default <TOPIC>.<HOST><REV>.<DATETIME>.log.
	FilenameFormat string
	// DatetimeFormat is the strftime format of <DATETIME>, local time: %Y %y %m %d %H %M %S %j %b %B %a %A %p %I %Z %z %%.
	// Default %Y-%m-%d_%H.
	DatetimeFormat string
	// HostIdentifier stands for <HOST>; in it <SHORT_HOST> and <HOSTNAME> are replaced. Default: the short host name.
	HostIdentifier string
	// SyncInterval is the longest time between a message's arrival and its finish. Default 30s.
	SyncInterval time.Duration
	// Config is go-nsq's; MaxInFlight, and MsgTimeout if SyncInterval asks for it, are set on a copy.
	Config *nsq.Config
	// Logger gets what the operator should know.
	Logger *slog.Logger
}

// DefaultOptions returns the defaults; Topics, Addresses and Config are still to be set.
func DefaultOptions() Options {
	return Options{
		Channel: "nsq_to_file", MaxInFlight: 200, OutputDir: "/tmp",
		FilenameFormat: "<TOPIC>.<HOST><REV>.<DATETIME>.log", DatetimeFormat: "%Y-%m-%d_%H",
		SyncInterval: 30 * time.Second, Logger: slog.Default(),
	}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	for _, topic := range o.Topics {
		if !nsq.IsValidTopicName(topic) {
			return fmt.Errorf("--topic %q is not a topic name: 1 to 64 of a-z A-Z 0-9 . _ -, with #ephemeral at the end if wanted", topic)
		}
	}
	switch {
	case len(o.Topics) == 0:
		return errors.New("--topic is required")
	case !nsq.IsValidChannelName(o.Channel):
		return fmt.Errorf("--channel %q is not a channel name", o.Channel)
	case len(o.Addresses) == 0:
		return errors.New("--nsqd-tcp-address is required")
	case o.MaxInFlight < 1:
		return errors.New("--max-in-flight must be at least 1")
	case o.SyncInterval <= 0 || o.SyncInterval > 5*time.Minute:
		return errors.New("--sync-interval must be above 0 and at most 5m")
	case len(o.Topics) > 1 && !strings.Contains(o.FilenameFormat, "<TOPIC>"):
		return errors.New("--filename-format must contain <TOPIC> when there are several topics")
	}
	_, err := strftime(o.DatetimeFormat, time.Time{})
	return err
}

// fileName returns the name of a topic's file at a time.
func (o *Options) fileName(topic string, now time.Time) (string, error) {
	datetime, err := strftime(o.DatetimeFormat, now)
	if err != nil {
		return "", err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("host name for <HOST>: %w", err)
	}
	short, _, _ := strings.Cut(hostname, ".")
	host := strings.NewReplacer("<SHORT_HOST>", short, "<HOSTNAME>", hostname).Replace(o.HostIdentifier)
	if host == "" {
		host = short
	}
	return strings.NewReplacer("<TOPIC>", topic, "<HOST>", host, "<PID>", strconv.Itoa(os.Getpid()),
		"<REV>", "", "<DATETIME>", datetime).Replace(o.FilenameFormat), nil
}

// strftime formats a time as C's strftime does, for the conversions in layouts.
func strftime(format string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			return "", errors.New("--datetime-format ends with a lone %")
		}
		switch layout, ok := layouts[format[i]]; {
		case format[i] == '%':
			b.WriteByte('%')
		case ok:
			b.WriteString(t.Format(layout))
		default:
			return "", fmt.Errorf("--datetime-format: %%%c is unknown; accepted: %%Y %%y %%m %%d %%H %%M %%S %%j %%b %%B %%a %%A %%p %%I %%Z %%z %%%%", format[i])
		}
	}
	return b.String(), nil
}

// layouts are the strftime conversions as layouts of package time.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'j': "002", 'b': "Jan", 'B': "January",
	'a': "Mon", 'A': "Monday", 'p': "PM", 'I': "03", 'Z': "MST", 'z': "-0700",
}
