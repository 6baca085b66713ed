package replica_test

import (
	"log/slog"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

func TestWhatWasAnsweredOutlivesPowerCuts(t *testing.T) {
	logtest.RunCrash(t, logtest.CrashConfig{Open: func(disk vfs.FS) (broker.Logs, func() error, error) {
		store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: "data", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, nil, err
		}
		logs := replica.NewLogs(store, replica.Options{FS: disk, Dir: "data"})
		return logs, func() error { logs.Close(); return store.Close() }, nil
	}})
}
