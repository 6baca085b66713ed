package tofile

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// fileName returns the name of a topic's file at a time; <REV> still stands in it if there are revisions.
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
	format := o.FilenameFormat
	if !o.revisions() {
		format = strings.ReplaceAll(format, "<REV>", "")
	}
	if o.GZIP && !strings.HasSuffix(format, ".gz") {
		format += ".gz"
	}
	return strings.NewReplacer("<TOPIC>", topic, "<HOST>", host, "<PID>", strconv.Itoa(os.Getpid()),
		"<DATETIME>", datetime).Replace(format), nil
}

// withRevision puts a revision into a name that fileName returned.
func withRevision(name string, revision int) string {
	return strings.ReplaceAll(name, "<REV>", fmt.Sprintf("-%06d", revision))
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
