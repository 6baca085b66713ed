package nsqdata

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// fileBytes is when another file of a queue is begun: nsqd's --max-bytes-per-file by default.
const fileBytes = 100 << 20

// version is what nsqd.dat says wrote it.
const version = "1.3.0"

// QueueWriter writes a disk queue from its first file on, into a directory that has none of that name. It belongs to one
// goroutine.
type QueueWriter struct {
	queue  Queue
	file   *os.File // nil: none open
	out    *bufio.Writer
	number int
	pos    int64
	depth  int64
	record []byte
}

// NewQueueWriter begins the queue of a topic, or of a channel of it if channel is not empty.
func NewQueueWriter(dir, topic, channel string) *QueueWriter {
	name := topic
	if channel != "" {
		name += ":" + channel
	}
	return &QueueWriter{queue: Queue{Name: name, dir: dir}}
}

// Write appends a message.
func (w *QueueWriter) Write(m *Message) error {
	w.record = m.append(w.record[:0])
	if w.pos > 0 && w.pos+int64(len(w.record)) > fileBytes {
		if err := w.closeFile(); err != nil {
			return err
		}
		w.number++
		w.pos = 0
	}
	if w.file == nil {
		file, err := os.OpenFile(w.queue.path(w.number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("write a disk queue: %w", err)
		}
		w.file, w.out = file, bufio.NewWriterSize(file, 1<<20)
	}
	if _, err := w.out.Write(w.record); err != nil {
		return fmt.Errorf("write %s: %w", w.file.Name(), err)
	}
	w.pos += int64(len(w.record))
	w.depth++
	return nil
}

// closeFile makes the open file durable and closes it.
func (w *QueueWriter) closeFile() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	err := w.out.Flush()
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	return nil
}

// Close completes the queue with its metadata. A queue without messages leaves no file.
func (w *QueueWriter) Close() error {
	if err := w.closeFile(); err != nil || w.depth == 0 {
		return err
	}
	text := fmt.Sprintf("%d\n%d,%d\n%d,%d\n", w.depth, 0, 0, w.number, w.pos)
	return writeFile(w.queue.metaPath(), []byte(text))
}

// WriteTopics writes nsqd.dat; of the topics, names and pauses count.
func WriteTopics(dir string, topics []Topic) error {
	m := metadata{Version: version, Topics: []topicMetadata{}}
	for _, t := range topics {
		tm := topicMetadata{Name: t.Name, Paused: t.Paused, Channels: []channelMetadata{}}
		for _, c := range t.Channels {
			tm.Channels = append(tm.Channels, channelMetadata{Name: c.Name, Paused: c.Paused})
		}
		m.Topics = append(m.Topics, tm)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write %s: %w", metadataName, err)
	}
	return writeFile(filepath.Join(dir, metadataName), text)
}

// writeFile writes a small file durably.
func writeFile(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
