package damage

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

var channels = []string{"a", "b"}

// patient is the disk of a broker that has ended, with all that is known of it.
type patient struct {
	name  string
	run   uint32
	disk  *vfs.Mem   // durable and at rest
	older []*vfs.Mem // what it was at earlier times
	files []string   // all files, sorted
	// placed are the acknowledged messages; left those that a channel has not finished.
	placed map[record.Offset]history.Key
	sent   map[history.Key]bool
	left   map[string]map[history.Key]bool
	logs   map[string]*frames // by directory
	topic  string             // directory of the topic's log
}

// newPatients makes the disks that the damage is done to.
func newPatients(t *testing.T) []*patient {
	var list []*patient
	for i, v := range []struct {
		name string
		ends []end
	}{
		{"stopped", []end{clean}},
		{"killed at rest", []end{killed}},
		{"killed at work", []end{busy}},
		{"killed twice, then stopped", []end{busy, killed, clean}},
		{"stopped, then killed", []end{clean, busy}},
	} {
		p := &patient{name: v.name, run: uint32(i + 1)}
		synctest.Test(t, func(t *testing.T) { p.live(t, v.ends) })
		list = append(list, p)
	}
	return list
}

// end is how a life ends.
type end int

const (
	clean  end = iota
	killed     // when all was recorded
	busy       // with the last batches just written
)

// live lets a broker work through some lives.
func (p *patient) live(t *testing.T, ends []end) {
	disk := vfs.NewMem(uint64(p.run))
	story := brokerlife.NewStory(p.run)
	for i, end := range ends {
		l, err := story.Open(disk, slog.New(slog.DiscardHandler))
		must(t, err)
		if i == 0 {
			must(t, l.CreateChannels(brokerlife.Topic, channels...))
			must(t, l.CreateChannels("other", "x"))
			must(t, l.CreateChannels("gone", "x"))
		}
		for n := range 14 {
			must(t, l.Publish(2+n%5, 100+40*n, time.Duration(n%4/3)*700*time.Millisecond))
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if n < 10 {
				for c, name := range channels {
					_, err := l.Consume(name, 4+n%3, func(i int) brokerlife.Verdict { return brokerlife.Verdict((i + c + n) % 9 / 7) })
					must(t, err)
				}
			}
			if n%5 == 4 {
				p.older = append(p.older, disk.Clone())
			}
			if n == 11 && i == 0 {
				must(t, brokerlife.Change(func(ctx context.Context) error { return l.Broker.DeleteTopic(ctx, "gone") }))
			}
		}
		if end != busy {
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
		} else {
			time.Sleep(brokerlife.MsgTimeout) // all finishes are recorded, and what follows is not known durable
			must(t, l.Publish(3, 200, 0))
			synctest.Wait()
			must(t, l.Publish(3, 200, 0))
			synctest.Wait()
		}
		if end == clean {
			must(t, l.Close())
			disk = disk.Kill()
		} else {
			next := disk.Kill()
			_ = l.Close() // on a disk that has stopped
			disk = next
		}
		synctest.Wait()
		p.older = append(p.older, disk.Clone())
	}
	must(t, disk.SyncAll("/"))
	p.disk = disk
	p.learn(t, story)
}

// learn notes what there is.
func (p *patient) learn(t *testing.T, story *brokerlife.Story) {
	if story.Waiting+story.Refused+story.Unknown > 0 {
		t.Fatalf("%s: %+v", p.name, story)
	}
	p.placed, p.left = story.Placed, map[string]map[history.Key]bool{}
	p.sent = map[history.Key]bool{}
	for _, name := range channels {
		p.left[name] = map[history.Key]bool{}
		for _, k := range p.placed {
			p.left[name][k], p.sent[k] = true, true
		}
	}
	h := story.Rec.History()
	for _, e := range h.Events {
		if e.Kind == history.Finished {
			delete(p.left[h.Channels[e.Channel]], e.Key)
		}
	}
	p.files = walk(p.disk, brokerlife.Dir)
	p.logs = map[string]*frames{}
	most := 0
	for _, name := range p.files {
		if dir := path.Dir(name); path.Dir(dir) == brokerlife.Dir+"/logs" && p.logs[dir] == nil {
			p.logs[dir] = readFrames(t, p.disk, dir)
			if n := len(p.logs[dir].list); n > most {
				most, p.topic = n, dir
			}
		}
	}
	if len(p.logs) != 3 {
		t.Fatalf("%s: %d logs", p.name, len(p.logs))
	}
	slices.SortFunc(p.files, p.inOrder)
}

// inOrder orders files in a way that does not depend on the topics' random ids.
func (p *patient) inOrder(a, b string) int {
	plain := func(name string) string { return strings.Replace(name, p.topic, brokerlife.Dir+"/a", 1) }
	return strings.Compare(plain(a), plain(b))
}

// walk lists the files below a directory, sorted, without those in the trash.
func walk(disk vfs.FS, dir string) (files []string) {
	names, _ := disk.ReadDir(dir)
	for _, name := range names {
		full := path.Join(dir, name)
		if info, err := disk.Stat(full); err == nil && info.IsDir && name != "trash" && name != "damaged" {
			files = append(files, walk(disk, full)...)
		} else if err == nil && !info.IsDir {
			files = append(files, full)
		}
	}
	slices.Sort(files)
	return files
}

// read returns a file's content, nil if there is none.
func read(disk vfs.FS, name string) []byte {
	b, err := vfs.ReadFile(disk, name, 1<<30)
	if err != nil {
		return nil
	}
	return b
}

func isSegment(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".new")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
