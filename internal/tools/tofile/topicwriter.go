package tofile

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nsqio/go-nsq"
)

// idleInterval is how long after the last message a file is synced, whatever the sync interval: go-nsq connects to a lost nsqd
// again only when all that came from it is answered.
const idleInterval = time.Second

// topicWriter writes one topic's messages. Only messageC is used by other goroutines.
type topicWriter struct {
	o        *Options
	topic    string
	consumer *nsq.Consumer
	messageC chan *nsq.Message

	file     *os.File // nil: none open
	out      *bufio.Writer
	filePath string
	named    int64          // Unix second for which filePath was computed
	unsynced []*nsq.Message // written, neither synced nor finished
}

// run writes and syncs until ctx ends or a write fails, then disconnects.
func (w *topicWriter) run(ctx context.Context) error {
	err := w.write(ctx)
	if err == nil {
		err = w.sync()
	}
	w.consumer.Stop()
	if err == nil {
		err = w.finishUnderWay()
	}
	if err != nil {
		w.o.Logger.Error("cannot write; stopping, unfinished messages will be delivered again", "topic", w.topic, "error", err)
	}
	w.refuse()
	if closeErr := w.closeFile(); err == nil {
		err = closeErr
	}
	return err
}

// write is the normal life: until ctx ends.
func (w *topicWriter) write(ctx context.Context) error {
	tick := time.NewTicker(w.o.SyncInterval)
	defer tick.Stop()
	idle := time.NewTimer(idleInterval)
	defer idle.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err = w.sync()
		case <-idle.C:
			err = w.sync()
		case m := <-w.messageC:
			idle.Reset(idleInterval)
			err = w.append(m)
			if err == nil && (len(w.unsynced) >= w.o.MaxInFlight || w.consumer.IsStarved() && len(w.messageC) == 0) {
				err = w.sync()
			}
		}
		if err != nil {
			return err
		}
	}
}

// finishUnderWay takes the messages that the stopping consumer has already received.
func (w *topicWriter) finishUnderWay() error {
	for {
		select {
		case <-w.consumer.StopChan:
			return nil
		case m := <-w.messageC:
			if err := w.append(m); err != nil {
				return err
			}
			if len(w.messageC) == 0 {
				if err := w.sync(); err != nil {
					return err
				}
			}
		}
	}
}

// refuse gives back what is not on disk, until the consumer has stopped.
func (w *topicWriter) refuse() {
	for _, m := range w.unsynced {
		m.RequeueWithoutBackoff(0)
	}
	w.unsynced = nil
	for {
		select {
		case <-w.consumer.StopChan:
			return
		case m := <-w.messageC:
			m.RequeueWithoutBackoff(0)
		}
	}
}

// append writes one message and its newline into the file of the moment.
func (w *topicWriter) append(m *nsq.Message) error {
	w.unsynced = append(w.unsynced, m)
	if err := w.openFile(time.Now()); err != nil {
		return err
	}
	w.out.Write(m.Body) // the buffer keeps an error for the next call
	if err := w.out.WriteByte('\n'); err != nil {
		return fmt.Errorf("write %s: %w", w.filePath, err)
	}
	return nil
}

// sync makes what is written durable, then finishes it.
func (w *topicWriter) sync() error {
	if len(w.unsynced) == 0 {
		return nil
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", w.filePath, err)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", w.filePath, err)
	}
	for _, m := range w.unsynced {
		m.Finish()
	}
	clear(w.unsynced)
	w.unsynced = w.unsynced[:0]
	return nil
}

// openFile opens the file of the moment, if its name has changed; what the old one holds is synced and finished first.
func (w *topicWriter) openFile(now time.Time) error {
	if w.file != nil && w.named == now.Unix() {
		return nil
	}
	path, err := w.path(now)
	if err != nil {
		return err
	}
	w.named = now.Unix()
	if w.file != nil && path == w.filePath {
		return nil
	}
	newest := w.unsynced[len(w.unsynced)-1] // belongs into the new file
	w.unsynced = w.unsynced[:len(w.unsynced)-1]
	if err := w.sync(); err != nil {
		return err
	}
	w.unsynced = append(w.unsynced, newest)
	if err := w.closeFile(); err != nil {
		return err
	}
	return w.createFile(path)
}

// createFile opens a file for appending and makes its name durable. A line torn by a crash gets its end, so that the next
// message stands on a line of its own.
func (w *topicWriter) createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o770); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	w.file, w.filePath, w.out = file, path, bufio.NewWriterSize(file, 64<<10)
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, info.Size()-1); err != nil {
			return fmt.Errorf("read the end of %s: %w", path, err)
		}
		if last[0] != '\n' {
			w.out.WriteByte('\n')
		}
	}
	return syncDir(filepath.Dir(path))
}

func (w *topicWriter) closeFile() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", w.filePath, err)
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
