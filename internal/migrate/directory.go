package migrate

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/node"
)

// openWeir opens or makes a data directory of Weir.
func openWeir(dir string, logger *slog.Logger) (*node.Offline, error) {
	o := node.DefaultOptions()
	o.DataPath = dir
	o.Logger = logger
	o.Store.Sync = commitlog.SyncAlways
	return node.OpenOffline(o)
}

// closeWith closes the directory and joins its error to another.
func closeWith(o *node.Offline, err error) error { return errors.Join(err, o.Close()) }

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

// sameDir reports whether two paths name one directory.
func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// exists reports whether there is something of that name in a directory.
func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
