package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/nsqdata"
)

// Names in the directory that Weir's data are to be in.
const (
	formatName   = "FORMAT"
	logsName     = "logs"
	completeName = "COMPLETE"
	importedName = "nsq-imported"
)

// staging is the place where an import makes Weir's data directory before it takes effect.
type staging struct {
	nsq, weir string
}

// folder holds all that is not in its place yet, data the directory in the making.
func (s *staging) folder() string { return filepath.Join(s.weir, node.ImportDir) }
func (s *staging) data() string   { return filepath.Join(s.folder(), "data") }

// lock keeps nsqd and other imports away from both directories. The one for Weir is made if it is missing.
func (s *staging) lock(dryRun bool) (unlock func(), err error) {
	nsq, err := nsqdata.Lock(s.nsq)
	if err != nil {
		return nil, err
	}
	if dryRun || sameDir(s.nsq, s.weir) {
		return func() { nsq.Close() }, nil
	}
	if err := os.MkdirAll(s.weir, 0o755); err != nil {
		nsq.Close()
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	weir, err := nsqdata.Lock(s.weir)
	if err != nil {
		nsq.Close()
		return nil, err
	}
	return func() { weir.Close(); nsq.Close() }, nil
}

// check refuses a directory that has been Weir's before.
func (s *staging) check() error {
	if !s.complete() && (exists(s.weir, formatName) || exists(s.weir, logsName)) {
		return fmt.Errorf("%s is a data directory of Weir already: nothing is imported into it", s.weir)
	}
	return nil
}

// begin makes room for the directory in the making; what an import that was cut short has left goes.
func (s *staging) begin() error {
	if err := os.RemoveAll(s.folder()); err != nil {
		return fmt.Errorf("remove the rest of an earlier import: %w", err)
	}
	if err := os.MkdirAll(s.folder(), 0o755); err != nil {
		return fmt.Errorf("prepare the import: %w", err)
	}
	return syncDir(s.weir)
}

// complete reports whether the directory in the making is complete.
func (s *staging) complete() bool { return exists(s.folder(), completeName) }

// markComplete notes that it is. From here on an import is only finished.
func (s *staging) markComplete() error {
	file, err := os.OpenFile(filepath.Join(s.folder(), completeName), os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = syncDir(s.folder())
	}
	if err != nil {
		return fmt.Errorf("complete the import: %w", err)
	}
	return nil
}

// finish puts everything in its place. It can be repeated after it was cut short anywhere.
func (s *staging) finish() error {
	if sameDir(s.nsq, s.weir) {
		if err := moveAll(s.nsq, filepath.Join(s.weir, importedName), nsqdata.Owns); err != nil {
			return err
		}
	}
	if err := moveAll(s.data(), s.weir, func(name string) bool { return name != formatName }); err != nil {
		return err
	}
	if err := moveAll(s.data(), s.weir, func(name string) bool { return name == formatName }); err != nil {
		return err
	}
	if err := os.RemoveAll(s.folder()); err != nil {
		return fmt.Errorf("remove what the import has left: %w", err)
	}
	return syncDir(s.weir)
}

// moveAll moves what is wanted from one directory to another, which is made if it is missing, durably. A directory that is gone
// has been moved.
func moveAll(from, to string, wanted func(name string) bool) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("move files: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("move files: %w", err)
	}
	for _, e := range entries {
		if !wanted(e.Name()) {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return fmt.Errorf("move files: %w", err)
		}
	}
	if err := syncDir(to); err != nil {
		return err
	}
	return syncDir(from)
}
