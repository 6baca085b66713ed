package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ImportDir is the folder of a data directory in which an import is prepared. While it is there, the import is not complete.
const ImportDir = "weir-import"

// refuseStockData refuses a directory that holds a stock nsqd's data: its backlog must not be ignored, and its files must not
// be mixed with ours. A directory that a Weir node has begun is not looked at again.
func refuseStockData(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "FORMAT")); err == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name == "nsqd.dat" || name == ImportDir || strings.Contains(name, ".diskqueue.") {
			return fmt.Errorf("data directory %s holds %s of a stock nsqd: bring its topics, channels and messages into Weir with "+
				"`weir import nsq %s`, or give another --data-path", dir, name, dir)
		}
	}
	return nil
}
