package commitlog

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"path"
	"sync"

	"github.com/weirmq/weir/internal/vfs"
)

// janitor does in the background what nobody waits for: removing files from the trash, writing sidecars, closing sealed
// files. One goroutine works through a queue; the mutex guards the queue.
type janitor struct {
	wakeC chan struct{}
	done  sync.WaitGroup

	mu struct {
		sync.Mutex
		jobs    []func()
		stopped bool
	}
}

func newJanitor() *janitor {
	j := &janitor{wakeC: make(chan struct{}, 1)}
	j.done.Go(j.run)
	return j
}

// later runs job in the background. It never blocks and may be called under a mutex.
func (j *janitor) later(job func()) {
	j.mu.Lock()
	j.mu.jobs = append(j.mu.jobs, job)
	j.mu.Unlock()
	j.wake()
}

// remove deletes a tree in the background. What fails is tried again at the next start, if it is in the trash.
func (j *janitor) remove(fsys vfs.FS, name string, logger *slog.Logger) {
	j.later(func() {
		if err := fsys.RemoveAll(name); err != nil {
			logger.Warn("cannot remove deleted file, its space is still used", "file", name, "error", err)
		}
	})
}

// stop finishes the queue and ends the goroutine.
func (j *janitor) stop() {
	j.mu.Lock()
	j.mu.stopped = true
	j.mu.Unlock()
	j.wake()
	j.done.Wait()
}

func (j *janitor) wake() {
	select {
	case j.wakeC <- struct{}{}:
	default:
	}
}

func (j *janitor) run() {
	for {
		j.mu.Lock()
		jobs, stopped := j.mu.jobs, j.mu.stopped
		j.mu.jobs = nil
		j.mu.Unlock()
		for _, job := range jobs {
			job()
		}
		if len(jobs) > 0 {
			continue
		}
		if stopped {
			return
		}
		<-j.wakeC
	}
}

// trashPath returns a new name in the trash, from which everything is removed at every start.
func (s *Store) trashPath(name string) string {
	return path.Join(s.dir, trashName, fmt.Sprintf("%s.%s", name, rand.Text()))
}

// move renames a file or directory to another directory, durably.
func (s *Store) move(from, to string) error {
	if err := s.fs.Rename(from, to); err != nil {
		return err
	}
	for _, d := range []string{path.Dir(to), path.Dir(from)} {
		if err := s.fs.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// emptyTrash has everything removed that an earlier life left in the trash.
func (s *Store) emptyTrash() error {
	dir := path.Join(s.dir, trashName)
	names, err := s.fs.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read trash: %w", err)
	}
	for _, name := range names {
		s.janitor.remove(s.fs, path.Join(dir, name), s.logger)
	}
	return nil
}
