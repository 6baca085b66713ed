package commitlog

import (
	"fmt"
	"math"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// states reports checkpoints that are damaged and moves them aside. It returns the intact ones, oldest first.
func (r *repair) states() (intact []record.Index, err error) {
	files, err := stateFiles(r.fs, r.dir)
	if err != nil {
		return nil, err
	}
	for _, at := range files {
		name := numberedName(r.dir, uint64(at), stateSuffix)
		b, err := vfs.ReadFile(r.fs, name, math.MaxInt64-1)
		if err != nil {
			return nil, err
		}
		c, err := parseCheckpoint(b)
		if err == nil && (c.id != r.id || c.at != at) {
			err = fmt.Errorf("it belongs to log %v at entry %d", c.id, c.at)
		}
		if err == nil {
			intact = append(intact, at)
			r.told = max(r.told, at) // saved only when the log is durable up to there
			continue
		}
		if err := r.dropState(name, Problem{Reason: err.Error()}); err != nil {
			return nil, err
		}
	}
	return intact, nil
}

// statesBeyond moves intact checkpoints of entries that the log does not have aside, and notes up to where the others hold.
func (r *repair) statesBeyond(intact []record.Index) error {
	for _, at := range intact {
		if at <= r.report.Last {
			r.covered = at
			continue
		}
		p := Problem{Reason: fmt.Sprintf("the log ends before it, with entry %d", r.report.Last),
			FirstIndex: r.report.Last + 1, LastIndex: at, First: r.report.Next, Next: r.report.Next}
		if err := r.dropState(numberedName(r.dir, uint64(at), stateSuffix), p); err != nil {
			return err
		}
	}
	return nil
}

// dropState moves a checkpoint aside and reports why.
func (r *repair) dropState(name string, p Problem) error {
	p.Path, p.Action = name, "moved aside"
	r.report.Problems = append(r.report.Problems, p)
	if r.dryRun {
		return nil
	}
	return r.aside(name)
}
