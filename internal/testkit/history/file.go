package history

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The file form is one line an event, fields separated by one space:
//
//	kind at publisher seq due attempts channel
//
// kind is the letter of the Kind, at and due are Unix ns, channel is "-" for events of no channel. Every line goes to the
// kernel in one write, so a process that is killed loses at most the line it is writing, and that one is left without its
// line end, which tells ReadFile to leave it out.

// OpenFile returns a Recorder that appends to the file at path (created if it is missing). Close it to learn of write errors.
func OpenFile(path string, run uint32) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return &Recorder{run: run, file: f}, nil
}

// Close closes the file of a Recorder made by OpenFile and returns the first error of writing it; in memory it does nothing.
func (r *Recorder) Close() error {
	if r.file == nil {
		return nil
	}
	r.fileMu.Lock()
	defer r.fileMu.Unlock()
	if err := r.file.Close(); r.fileEr == nil && err != nil {
		r.fileEr = err
	}
	return r.fileEr
}

func (r *Recorder) write(e Event, channel string) {
	if channel == "" {
		channel = "-"
	}
	line := fmt.Appendf(make([]byte, 0, 96), "%c %d %d %d %d %d %s\n",
		e.Kind, e.At, e.Key.Publisher, e.Key.Seq, e.Due, e.Attempts, channel)
	r.fileMu.Lock()
	defer r.fileMu.Unlock()
	if _, err := r.file.Write(line); err != nil && r.fileEr == nil {
		r.fileEr = fmt.Errorf("write history: %w", err)
	}
}

// ReadFile reads a history written by a file Recorder. A last line that was cut off by a kill is left out; any other line
// that cannot be read is an error.
func ReadFile(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	h := &History{}
	in := bufio.NewReaderSize(f, 256<<10)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil { // end of the file, with or without a torn line
			return h, nil
		}
		e, err := h.parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("read history %s line %d: %w", path, n, err)
		}
		h.Events = append(h.Events, e)
	}
}

func (h *History) parseLine(line string) (Event, error) {
	f := strings.Split(line, " ")
	if len(f) != 7 || len(f[0]) != 1 {
		return Event{}, fmt.Errorf("%q is not an event", line)
	}
	var num [5]int64
	for i := range num {
		v, err := strconv.ParseInt(f[i+1], 10, 64)
		if err != nil {
			return Event{}, err
		}
		num[i] = v
	}
	e := Event{Kind: Kind(f[0][0]), At: num[0], Key: Key{uint32(num[1]), uint32(num[2])}, Due: num[3], Attempts: uint16(num[4])}
	if e.Kind.ofChannel() {
		e.Channel = h.channel(f[6])
	}
	return e, nil
}
