package nsqdata

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MaxMessageBytes is the largest body that is taken for a message and not for damage.
const MaxMessageBytes = 1 << 30

// Queue is one disk queue. The zero Queue is empty.
type Queue struct {
	Name string // <topic> or <topic>:<channel>

	dir     string
	files   []int // numbers of the files, in order
	hasMeta bool
}

// Damage is a place from which on a file could not be read.
type Damage struct {
	Path   string
	Pos    int64 // first byte that was not read
	Bytes  int64 // how many were not read
	Reason string
}

// String is one line.
func (d Damage) String() string {
	return fmt.Sprintf("%s, byte %d: %s; %d bytes cannot be read", d.Path, d.Pos, d.Reason, d.Bytes)
}

// position is where a queue stands.
type position struct {
	depth               int64
	readFile, writeFile int
	readPos, writePos   int64
}

// Bytes returns about how much there is to read.
func (q *Queue) Bytes() (int64, error) {
	at, _, err := q.start()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, n := range q.files {
		info, err := os.Stat(q.path(n))
		if err != nil {
			return 0, err
		}
		if n >= at.readFile {
			sum += info.Size()
		}
		if n == at.readFile {
			sum -= min(at.readPos, info.Size())
		}
	}
	return sum, nil
}

// Each calls fn for the messages that nsqd has not delivered, in their order, until fn returns an error. A body is valid during the
// call. What cannot be read is returned as damage; the files behind it are read.
func (q *Queue) Each(fn func(Message) error) ([]Damage, error) {
	at, damages, err := q.start()
	if err != nil {
		return nil, err
	}
	expected := at.readFile
	for _, n := range q.files {
		if n < at.readFile {
			continue // read by nsqd, and about to be deleted
		}
		if n > expected && at.depth != 0 {
			damages = append(damages, Damage{Path: q.path(expected), Reason: fmt.Sprintf("files %d to %d are missing", expected, n-1)})
		}
		expected = n + 1
		var from int64
		if n == at.readFile {
			from = at.readPos
		}
		damage, err := readFile(q.path(n), from, fn)
		if err != nil {
			return damages, err
		}
		if damage != nil {
			damages = append(damages, *damage)
		}
	}
	if last := at.writeFile; expected <= last && at.depth != 0 && (last > at.readFile || at.writePos > at.readPos) {
		damages = append(damages, Damage{Path: q.path(expected), Reason: fmt.Sprintf("files %d to %d are missing", expected, last)})
	}
	return damages, nil
}

// start reads the metadata: where reading begins. Without usable metadata that is the first file.
func (q *Queue) start() (position, []Damage, error) {
	var at position
	if len(q.files) > 0 {
		at.readFile = q.files[0]
	}
	if !q.hasMeta {
		return at, nil, nil
	}
	path := q.metaPath()
	text, err := os.ReadFile(path)
	if err != nil {
		return at, nil, fmt.Errorf("read the metadata of a disk queue: %w", err)
	}
	var read position
	_, err = fmt.Sscanf(string(text), "%d\n%d,%d\n%d,%d\n", &read.depth, &read.readFile, &read.readPos, &read.writeFile, &read.writePos)
	if err != nil || read.readFile < 0 || read.readPos < 0 || read.writeFile < read.readFile {
		return at, []Damage{{Path: path, Bytes: int64(len(text)),
			Reason: "not the metadata of a disk queue; its files are read from their beginning"}}, nil
	}
	return read, nil, nil
}

func (q *Queue) path(n int) string {
	return filepath.Join(q.dir, fmt.Sprintf("%s%s%06d.dat", q.Name, queueInfix, n))
}

func (q *Queue) metaPath() string { return filepath.Join(q.dir, q.Name+queueInfix+"meta.dat") }

// readFile calls fn for the messages of one file from a position on.
func readFile(path string, from int64, fn func(Message) error) (*Damage, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a disk queue: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read a disk queue: %w", err)
	}
	if from > info.Size() {
		return &Damage{Path: path, Pos: info.Size(), Reason: fmt.Sprintf("it ends before byte %d, where reading is to begin", from)}, nil
	}
	r := fileReader{in: bufio.NewReaderSize(io.NewSectionReader(file, from, info.Size()-from), 1<<20), pos: from, size: info.Size()}
	for r.pos < r.size {
		m, reason, err := r.next()
		if err != nil {
			return nil, fmt.Errorf("read %s at byte %d: %w", path, r.pos, err)
		}
		if reason != "" {
			return &Damage{Path: path, Pos: r.pos, Bytes: r.size - r.pos, Reason: reason}, nil
		}
		if err := fn(m); err != nil {
			return nil, err
		}
		r.pos += 4 + headerBytes + int64(len(m.Body))
	}
	return nil, nil
}

// fileReader reads the records of a file.
type fileReader struct {
	in     *bufio.Reader
	pos    int64 // of the next record
	size   int64 // of the file
	record []byte
}

// next reads the record at pos, or says why there is none.
func (r *fileReader) next() (m Message, reason string, err error) {
	left := r.size - r.pos
	if left < 4 {
		return m, "it ends within the size of a message", nil
	}
	var head [4]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return m, "", err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:])))
	switch {
	case size < headerBytes || size > headerBytes+MaxMessageBytes:
		return m, fmt.Sprintf("%d is no size of a message", size), nil
	case size > left-4:
		return m, fmt.Sprintf("it ends within a message of %d bytes", size), nil
	}
	if int64(cap(r.record)) < size {
		r.record = make([]byte, size)
	}
	r.record = r.record[:size]
	if _, err := io.ReadFull(r.in, r.record); err != nil {
		return m, "", err
	}
	m, bad := decode(r.record)
	if bad != nil {
		reason = bad.Error()
	}
	return m, reason, nil
}

// Empty reports whether the queue has no files.
func (q *Queue) Empty() bool { return len(q.files) == 0 }
