package tofile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// output is one topic's file: it is opened when there is something to write, rotated, synced, and moved to where it belongs. It
// belongs to one goroutine. After an error nothing more is written.
type output struct {
	o     *Options
	topic string

	file     *os.File // nil: none open
	buffer   *bufio.Writer
	gzip     *gzip.Writer // nil without compression
	member   bool         // a gzip member is begun
	members  bool         // the file has a gzip member
	name     string       // of the file opened last, <REV> in it
	revision int
	opened   time.Time
	size     int64 // of what the file holds, before compression
	named    int64 // Unix second for which the name was found to be the same still
}

// due reports whether a write at now needs another file: there is none, its name has changed, it is too large or too old.
func (f *output) due(now time.Time) (bool, error) {
	if f.file == nil || f.o.RotateInterval > 0 && now.Sub(f.opened) > f.o.RotateInterval || f.tooLarge() {
		return true, nil
	}
	if f.named == now.Unix() {
		return false, nil
	}
	name, err := f.o.fileName(f.topic, now)
	f.named = now.Unix()
	return name != f.name, err
}

func (f *output) tooLarge() bool { return f.o.RotateSize > 0 && f.size > f.o.RotateSize }

// path is where the open file lies.
func (f *output) path() string { return filepath.Join(f.o.dir(), withRevision(f.name, f.revision)) }

// destination is where it lies once it is complete.
func (f *output) destination() string {
	return filepath.Join(f.o.OutputDir, withRevision(f.name, f.revision))
}

// open opens the file of the moment: the first revision that is free, or may be appended to.
func (f *output) open(now time.Time) error {
	name, err := f.o.fileName(f.topic, now)
	if err != nil {
		return err
	}
	if name == f.name && f.o.revisions() {
		f.revision++
	} else {
		f.revision = 0
	}
	f.name, f.opened, f.named = name, now, now.Unix()
	for {
		opened, err := f.tryOpen()
		if err != nil {
			return fmt.Errorf("open %s: %w", f.path(), err)
		}
		if opened {
			return nil
		}
		f.revision++
	}
}

// tryOpen opens the file of the current revision, unless it is taken.
func (f *output) tryOpen() (opened bool, err error) {
	for _, path := range []string{f.path(), f.destination()} {
		if err := os.MkdirAll(filepath.Dir(path), 0o770); err != nil {
			return false, err
		}
	}
	if f.destination() != f.path() {
		if _, err := os.Lstat(f.destination()); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	flag := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if f.o.exclusive() {
		flag |= os.O_EXCL
	}
	file, err := os.OpenFile(f.path(), flag, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.file = file
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if f.size = info.Size(); f.tooLarge() {
		f.file = nil
		return false, file.Close()
	}
	return true, f.begin()
}

// begin prepares an opened file. A line torn by a crash gets its end, so that the next message stands on a line of its own.
func (f *output) begin() error {
	f.buffer, f.member, f.members = bufio.NewWriterSize(f.file, 64<<10), false, false
	if f.o.GZIP {
		var err error
		if f.gzip, err = gzip.NewWriterLevel(f.buffer, f.o.GZIPLevel); err != nil {
			return err
		}
	} else if f.size > 0 {
		last := make([]byte, 1)
		if _, err := f.file.ReadAt(last, f.size-1); err != nil {
			return fmt.Errorf("read its end: %w", err)
		}
		if last[0] != '\n' {
			f.buffer.WriteByte('\n')
			f.size++
		}
	}
	return syncDir(filepath.Dir(f.path()))
}

// write appends a message and its newline to the open file.
func (f *output) write(body []byte) error {
	f.size += int64(len(body)) + 1
	var err error
	if f.gzip != nil {
		f.member, f.members = true, true
		f.gzip.Write(body) // it keeps an error for the next call
		_, err = f.gzip.Write([]byte{'\n'})
	} else {
		f.buffer.Write(body) // likewise
		err = f.buffer.WriteByte('\n')
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path(), err)
	}
	return nil
}

// sync makes what is written durable. It ends the gzip member.
func (f *output) sync() error {
	if f.file == nil {
		return nil
	}
	if f.member {
		if err := f.gzip.Close(); err != nil {
			return fmt.Errorf("write %s: %w", f.path(), err)
		}
		f.gzip.Reset(f.buffer)
		f.member = false
	}
	if err := f.buffer.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.path(), err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path(), err)
	}
	return nil
}

// finish syncs and closes the open file, if there is one, and moves it to the output directory.
func (f *output) finish() error {
	if f.file == nil {
		return nil
	}
	if f.gzip != nil && !f.members { // a file of no bytes is not what gzip makes of nothing
		f.member, f.members = true, true
	}
	if err := f.sync(); err != nil {
		return err
	}
	if err := f.abandon(); err != nil {
		return err
	}
	if f.path() == f.destination() {
		return nil
	}
	return f.move()
}

// abandon closes the open file as it is.
func (f *output) abandon() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.path(), err)
	}
	return nil
}

// move gives the complete file its name in the output directory, and then takes the old one away. A file that has got the name
// in the meantime stays: the next free revision is taken.
func (f *output) move() error {
	from := f.path()
	for {
		to := f.destination()
		err := os.Link(from, to)
		if errors.Is(err, fs.ErrExist) {
			f.revision++
			continue
		}
		if err != nil {
			return fmt.Errorf("move a complete file: %w (--work-dir and --output-dir must be on one file system)", err)
		}
		if err := syncDir(filepath.Dir(to)); err != nil {
			return err
		}
		if err := os.Remove(from); err != nil {
			return fmt.Errorf("move a complete file: %w", err)
		}
		return syncDir(filepath.Dir(from))
	}
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
