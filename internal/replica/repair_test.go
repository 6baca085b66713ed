package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
)

// house is a broker on a real disk, with small segments, whose data directory a test can damage between two lives.
type house struct {
	t     *testing.T
	dir   string
	log   bytes.Buffer // of the present life
	store *commitlog.Store
	logs  *replica.Logs
	*broker.Broker
}

// open starts a life, or returns why it does not begin.
func (h *house) open(o broker.Options) error {
	h.t.Helper()
	h.log.Reset()
	logger := slog.New(slog.NewTextHandler(&h.log, nil))
	var err error
	h.store, err = commitlog.OpenStore(commitlog.Options{FS: vfs.Disk(), Dir: h.dir, Logger: logger, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 4 << 10})
	if err != nil {
		h.t.Fatal(err)
	}
	h.logs = replica.NewLogs(h.store, replica.Options{FS: vfs.Disk(), Dir: h.dir, ReserveBytes: 1 << 20})
	o.Logger, o.FlushInterval = logger, 5*time.Millisecond
	h.Broker, err = broker.Open(h.logs, o)
	if err != nil {
		h.close()
	}
	return err
}

func (h *house) close() {
	h.t.Helper()
	if h.Broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Broker.Close(ctx); err != nil {
			h.t.Error(err)
		}
		h.Broker = nil
	}
	h.logs.Close()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// body is what message i says, about 200 bytes.
func body(i int) string { return fmt.Sprintf("message %04d %s", i, strings.Repeat("x", 180)) }

type published chan error

func (o published) Proposed(p *broker.Proposal) { o <- p.Err }

// publish publishes messages [from, to) to topic t, each as a batch of its own.
func (h *house) publish(from, to int) {
	h.t.Helper()
	t, err := h.CreateTopic(h.t.Context(), "t")
	if err != nil {
		h.t.Fatal(err)
	}
	for i := from; i < to; i++ {
		var b record.Builder
		b.Append([]byte(body(i)), 0)
		done := make(published, 1)
		t.Publish(&broker.Proposal{Payload: b.Finish(time.Now().UnixMilli()), Messages: 1, BodyBytes: len(body(i)), Owner: done})
		if err := <-done; err != nil {
			h.t.Fatal(err)
		}
	}
}

// session is a consumer that finishes what finish says, and leaves the rest in flight.
type session struct {
	sub    *broker.Subscription
	finish func(i int) bool
	wakeC  chan struct{}
	ids    []broker.MessageID // to be finished
	got    []int
}

func (s *session) Wake() {
	select {
	case s.wakeC <- struct{}{}:
	default:
	}
}

func (s *session) Gone(error) { s.Wake() }

func (s *session) Stats() broker.ClientStats { return broker.ClientStats{} }

func (s *session) Deliver(m *broker.Message) {
	var i int
	if _, err := fmt.Sscanf(string(m.Body), "message %d", &i); err != nil || string(m.Body) != body(i) {
		panic(fmt.Sprintf("delivered %q", m.Body))
	}
	s.got = append(s.got, i)
	if s.finish(i) {
		s.ids = append(s.ids, m.ID)
	}
}

// consume reads channel c of topic t until nothing has come for a while, and returns the numbers of the messages, sorted.
func (h *house) consume(finish func(i int) bool) ([]int, error) {
	h.t.Helper()
	return h.consumeFrom("c", finish)
}

// consumeFrom is consume for any channel of topic t.
func (h *house) consumeFrom(channel string, finish func(i int) bool) ([]int, error) {
	h.t.Helper()
	s := &session{finish: finish, wakeC: make(chan struct{}, 1)}
	var err error
	if s.sub, err = h.Subscribe(h.t.Context(), "t", channel, s, broker.SubscribeOptions{MsgTimeout: time.Minute}); err != nil {
		return nil, err
	}
	defer s.sub.Close()
	s.sub.SetReady(2500)
	for {
		n, err := s.sub.Pull(100, 1<<20, s)
		if err != nil {
			return s.got, err
		}
		s.sub.Finish(s.ids, func(_ int, err error) { h.t.Errorf("finish: %v", err) })
		s.ids = s.ids[:0]
		if n > 0 {
			continue
		}
		select {
		case <-s.wakeC:
		case <-time.After(50 * time.Millisecond):
			slices.Sort(s.got)
			return s.got, nil
		}
	}
}

func every(int) bool { return true }

// segmentWith returns the file of topic t's log that holds a message, and where.
func (h *house) segmentWith(i int) (file string, at int) {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "logs", "*", "*.log"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			h.t.Fatal(err)
		}
		if at := bytes.Index(content, []byte(body(i))); at >= 0 {
			return file, at
		}
	}
	h.t.Fatalf("no segment holds message %d", i)
	return "", 0
}

// damage flips a bit of a message's body, and returns the file.
func (h *house) damage(i int) string {
	h.t.Helper()
	file, at := h.segmentWith(i)
	content, err := os.ReadFile(file)
	if err == nil {
		content[at+50] ^= 1
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return file
}

// files returns everything below the data directory.
func (h *house) files() map[string]string {
	h.t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(h.dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		files[name] = string(content)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return files
}

// repair repairs the log in dir after a dry run, which must change nothing and find the same.
func (h *house) repair(dir string) *commitlog.Report {
	h.t.Helper()
	before := h.files()
	dry, err := commitlog.Repair(vfs.Disk(), dir, true)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, content := range h.files() {
		if before[name] != content {
			h.t.Fatalf("the dry run changed %s", name)
		}
	}
	report, err := commitlog.Repair(vfs.Disk(), dir, false)
	if err != nil || fmt.Sprint(report) != fmt.Sprint(dry) {
		h.t.Fatalf("dry run %+v\nrepair %+v, %v", dry, report, err)
	}
	return report
}

// The whole way of an operator: messages 0 to n, of which each third is finished, are in many segments; a byte of one in the
// middle flips; the node says what to do; after the repair everything but that message is there, and nothing finished comes back.
func TestABrokerLosesOnlyWhatIsDamaged(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
	}{
		{"found when the log is replayed", 120},
		{"behind a checkpoint, found by a reader", 500}, // so much that stopping writes a checkpoint
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &house{t: t, dir: filepath.Join(t.TempDir(), "data")}
			if err := h.open(broker.Options{}); err != nil {
				t.Fatal(err)
			}
			third := func(i int) bool { return i%3 == 0 }
			if _, err := h.consume(every); err != nil { // creates the channel
				t.Fatal(err)
			}
			h.publish(0, c.n)
			if got, err := h.consume(third); err != nil || len(got) != c.n {
				t.Fatalf("%d messages, %v", len(got), err)
			}
			h.close()
			lost := []int{c.n/2 - c.n/2%3 + 1, c.n/2 - c.n/2%3 + 2} // both unfinished
			file := h.damage(lost[0])
			if again := h.damage(lost[1]); again != file {
				t.Logf("the two lie in %s and %s", file, again)
			}
			dir := filepath.Dir(file)

			err := h.open(broker.Options{})
			if err == nil {
				_, err = h.consume(func(int) bool { return false })
				h.close()
			}
			var damage *commitlog.DamageError
			if !errors.As(err, &damage) || damage.Path != file || damage.Pos == 0 || !strings.Contains(err.Error(), "weir log repair "+dir) {
				t.Fatalf("the damage was met with %v", err)
			}

			report := h.repair(dir)
			for _, i := range lost {
				if !slices.ContainsFunc(report.Problems, func(p commitlog.Problem) bool {
					return p.First <= record.Offset(i) && record.Offset(i) < p.Next && p.Next-p.First <= 2
				}) {
					t.Fatalf("message %d is not reported lost: %+v", i, report)
				}
			}

			if err := h.open(broker.Options{}); err != nil {
				t.Fatal(err)
			}
			h.publish(c.n, c.n+10)
			var want []int
			for i := range c.n + 10 {
				if (i >= c.n || !third(i)) && !slices.Contains(lost, i) {
					want = append(want, i)
				}
			}
			if got, err := h.consume(every); err != nil || !slices.Equal(got, want) {
				t.Fatalf("after the repair: %v\ngot  %d\nwant %d", err, got, want)
			}
			if s := h.Stats("t", "c", false)[0].Channels[0]; s.LostCount != 2 || s.Depth != 0 || s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
			if log := h.log.String(); strings.Count(log, "channel passes over messages") != 1 ||
				!strings.Contains(log, fmt.Sprintf("topic=t channel=c first_offset=%d last_offset=%d", lost[0], lost[1])) {
				t.Errorf("log:\n%s", log)
			}
			h.close()

			if again, err := commitlog.Repair(vfs.Disk(), dir, false); err != nil || len(again.Problems) != 0 {
				t.Errorf("a second repair: %+v, %v", again, err)
			}
			if err := h.open(broker.Options{}); err != nil {
				t.Fatal(err)
			}
			defer h.close()
			if got, err := h.consume(every); err != nil || len(got) != 0 {
				t.Errorf("delivered again: %d, %v", got, err)
			}
		})
	}
}

// A segment in which only lost messages are unfinished goes as if they were finished, and the channel that wants them hears it.
func TestLostMessagesDoNotHoldASegment(t *testing.T) {
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "data")}
	if err := h.open(broker.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.consume(every); err != nil {
		t.Fatal(err)
	}
	h.publish(0, 500)
	const lost, kept = 100, 130
	if _, err := h.consume(func(i int) bool { return i != lost && i != kept }); err != nil {
		t.Fatal(err)
	}
	h.close()
	file := h.damage(lost)
	h.repair(filepath.Dir(file))

	if err := h.open(broker.Options{Retain: -1, KeepInterval: 5 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		_, err := os.Stat(file)
		return errors.Is(err, os.ErrNotExist)
	})
	if got, err := h.consume(every); err != nil || !slices.Equal(got, []int{kept}) {
		t.Fatalf("got %d, %v", got, err)
	}
	if log := h.log.String(); strings.Count(log, "channel passes over messages") != 1 || !strings.Contains(log, "first_offset=100 last_offset=100") {
		t.Errorf("log:\n%s", log)
	}
	h.publish(500, 510)
	if got, err := h.consume(every); err != nil || len(got) != 10 {
		t.Errorf("afterwards: %d, %v", got, err)
	}
	h.close()
}

// Changes of channels that are lost are left out; what follows them in the log applies all the same.
func TestABrokerReplaysOverLostChanges(t *testing.T) {
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "data")}
	if err := h.open(broker.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.consume(every); err != nil {
		t.Fatal(err)
	}
	h.publish(0, 100)
	if _, err := h.consume(every); err != nil {
		t.Fatal(err)
	}
	h.close()
	// All of the file that holds message 50, from its message on: batches, and if there are any, changes.
	file, at := h.segmentWith(50)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := at; i < len(content); i++ {
		content[i] ^= 0x5a
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	report := h.repair(filepath.Dir(file))
	if len(report.Problems) != 1 || report.Problems[0].First != 50 || report.Problems[0].Next < 52 {
		t.Fatalf("%+v", report)
	}
	if err := h.open(broker.Options{}); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	h.publish(100, 110)
	if got, err := h.consume(every); err != nil || len(got) != 10 || got[0] != 100 {
		t.Fatalf("got %d, %v", got, err)
	}
}

// The last message is lost and its finish is not: a new channel still begins behind it.
func TestANewChannelBeginsBehindALostEnd(t *testing.T) {
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "data")}
	if err := h.open(broker.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.consume(every); err != nil {
		t.Fatal(err)
	}
	h.publish(0, 30)
	if _, err := h.consume(every); err != nil {
		t.Fatal(err)
	}
	h.close()
	h.repair(filepath.Dir(h.damage(29)))
	if err := h.open(broker.Options{}); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	for _, part := range []struct{ from, to int }{{30, 30}, {30, 40}} { // the first subscription creates the channel
		h.publish(part.from, part.to)
		if got, err := h.consumeFrom("new", every); err != nil || len(got) != part.to-part.from {
			t.Fatalf("got %d, %v", got, err)
		}
	}
	for _, s := range h.Stats("t", "", false)[0].Channels {
		if s.LostCount != 0 || s.Depth != 0 && s.Name == "new" {
			t.Errorf("%+v", s)
		}
	}
}
