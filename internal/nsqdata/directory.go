package nsqdata

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names in a data directory.
const (
	metadataName = "nsqd.dat"
	queueInfix   = ".diskqueue."
	ephemeral    = "#ephemeral"
)

// Directory is what a data directory holds.
type Directory struct {
	Path string
	// Topics are sorted by name. Those that have files but are not in nsqd.dat are among them.
	Topics []Topic
	// Bad are files that nsqd has set aside as damaged, by name.
	Bad []string
}

// Topic is one topic.
type Topic struct {
	Name     string
	Paused   bool
	Queue    Queue
	Channels []Channel // sorted by name
}

// Channel is one channel of a topic.
type Channel struct {
	Name   string
	Paused bool
	Queue  Queue
}

// metadata is nsqd.dat.
type metadata struct {
	Topics  []topicMetadata `json:"topics"`
	Version string          `json:"version"`
}

type topicMetadata struct {
	Name     string            `json:"name"`
	Paused   bool              `json:"paused"`
	Channels []channelMetadata `json:"channels"`
}

type channelMetadata struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
}

// Owns reports whether a file of that name in a data directory belongs to nsqd.
func Owns(name string) bool {
	return name == metadataName || strings.Contains(name, queueInfix) ||
		strings.HasPrefix(name, metadataName+".") && strings.HasSuffix(name, ".tmp")
}

// Open reads what a directory holds, but no messages. It is an error if it is not the data directory of an nsqd, or nsqd.dat cannot
// be understood.
func Open(dir string) (*Directory, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the data directory of nsqd: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return Owns(e.Name()) }) {
		return nil, fmt.Errorf("%s is not the data directory of an nsqd: it has neither %s nor files of disk queues", dir, metadataName)
	}
	d := &Directory{Path: dir}
	known, err := readMetadata(filepath.Join(dir, metadataName))
	if err != nil {
		return nil, err
	}
	for _, t := range known.Topics {
		topic := d.topic(t.Name)
		topic.Paused = t.Paused
		for _, c := range t.Channels {
			topic.channel(c.Name).Paused = c.Paused
		}
	}
	for _, e := range entries {
		if err := d.add(e.Name()); err != nil {
			return nil, err
		}
	}
	d.sort()
	return d, nil
}

// readMetadata reads nsqd.dat; there may be none.
func readMetadata(path string) (metadata, error) {
	var m metadata
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("read the topics of nsqd: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s cannot be understood (%w): move it away to go by the names of the files alone", path, err)
	}
	return m, nil
}

// add notes a file of a disk queue.
func (d *Directory) add(file string) error {
	at := strings.LastIndex(file, queueInfix)
	if at < 0 {
		return nil
	}
	name, kind := file[:at], file[at+len(queueInfix):]
	if strings.HasSuffix(kind, ".bad") {
		d.Bad = append(d.Bad, file)
		return nil
	}
	number, isData := strings.CutSuffix(kind, ".dat")
	n, err := strconv.Atoi(number)
	if kind != "meta.dat" && (!isData || err != nil) {
		return nil
	}
	topic, channel, isChannel := cutName(name)
	q := &d.topic(topic).Queue
	if isChannel {
		q = &d.topic(topic).channel(channel).Queue
	}
	q.Name, q.dir = name, d.Path
	if kind == "meta.dat" {
		q.hasMeta = true
		return nil
	}
	q.files = append(q.files, n)
	return nil
}

// cutName splits the name of a queue into topic and channel, which hold neither separator.
func cutName(name string) (topic, channel string, isChannel bool) {
	if at := strings.IndexAny(name, ":;"); at >= 0 {
		return name[:at], name[at+1:], true
	}
	return name, "", false
}

// topic returns the topic of that name, added if needed. The pointer holds until the next call.
func (d *Directory) topic(name string) *Topic {
	i := slices.IndexFunc(d.Topics, func(t Topic) bool { return t.Name == name })
	if i < 0 {
		i = len(d.Topics)
		d.Topics = append(d.Topics, Topic{Name: name})
	}
	return &d.Topics[i]
}

// channel returns the channel of that name, added if needed. The pointer holds until the next call.
func (t *Topic) channel(name string) *Channel {
	i := slices.IndexFunc(t.Channels, func(c Channel) bool { return c.Name == name })
	if i < 0 {
		i = len(t.Channels)
		t.Channels = append(t.Channels, Channel{Name: name})
	}
	return &t.Channels[i]
}

// sort puts everything in order, and leaves out what is ephemeral.
func (d *Directory) sort() {
	d.Topics = slices.DeleteFunc(d.Topics, func(t Topic) bool { return strings.HasSuffix(t.Name, ephemeral) })
	slices.SortFunc(d.Topics, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(d.Bad)
	for i := range d.Topics {
		t := &d.Topics[i]
		slices.Sort(t.Queue.files)
		t.Channels = slices.DeleteFunc(t.Channels, func(c Channel) bool { return strings.HasSuffix(c.Name, ephemeral) })
		slices.SortFunc(t.Channels, func(a, b Channel) int { return cmp.Compare(a.Name, b.Name) })
		for j := range t.Channels {
			slices.Sort(t.Channels[j].Queue.files)
		}
	}
}
