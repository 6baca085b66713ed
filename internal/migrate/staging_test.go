package migrate

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqdata"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// stockData makes a data directory of an nsqd: topic t, with 200 messages in channel a, every third tried before, and 5 in b,
// which is paused, and 3 that wait for all channels.
func stockData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for channel, n := range map[string]int{"a": 200, "b": 5, "": 3} {
		w := nsqdata.NewQueueWriter(dir, "t", channel)
		for i := range n {
			m := nsqdata.Message{Timestamp: 1, ID: [16]byte([]byte("0123456789abcdef")), Body: fmt.Appendf(nil, "%s%d", channel, i)}
			if i%3 == 1 {
				m.Attempts = 4
			}
			must(t, w.Write(&m))
		}
		must(t, w.Close())
	}
	must(t, nsqdata.WriteTopics(dir, []nsqdata.Topic{{Name: "t", Channels: []nsqdata.Channel{{Name: "a"}, {Name: "b", Paused: true}}}}))
	return dir
}

// check opens what was imported.
func check(t *testing.T, dir string) {
	t.Helper()
	offline, err := openWeir(dir, quiet())
	must(t, err)
	defer offline.Close()
	topic, ok := offline.Broker().Topic("t")
	if !ok {
		t.Fatal("there is no topic")
	}
	got := map[string][]string{}
	for _, c := range topic.Channels() {
		_, err := c.EachUnfinished(func(m *broker.Unfinished) error {
			i := len(got[c.Name()])
			own := strings.HasPrefix(string(m.Body), c.Name())
			if own && (m.Attempts == 4) != (i%3 == 1) {
				return fmt.Errorf("message %d, %q, has %d attempts", i, m.Body, m.Attempts)
			}
			got[c.Name()] = append(got[c.Name()], string(m.Body))
			return nil
		})
		must(t, err)
		if c.Paused() != (c.Name() == "b") {
			t.Errorf("channel %s is paused: %v", c.Name(), c.Paused())
		}
	}
	if len(got["a"]) != 203 || got["a"][199] != "a199" || got["a"][202] != "2" {
		t.Errorf("a has %d messages", len(got["a"]))
	}
	if want := []string{"b0", "b1", "b2", "b3", "b4", "0", "1", "2"}; !slices.Equal(got["b"], want) {
		t.Errorf("b has %q", got["b"])
	}
}

func TestEachChannelGetsItsBacklogAndTheTopics(t *testing.T) {
	data := stockData(t)
	report, err := Import(context.Background(), Options{NSQ: data, Weir: data, Logger: quiet()})
	must(t, err)
	if len(report.Queues) != 3 || len(report.Notes) != 0 {
		t.Errorf("report %+v", report)
	}
	check(t, data)
	if _, err := os.Stat(filepath.Join(data, "nsq-imported", "t:a.diskqueue.000000.dat")); err != nil {
		t.Error(err)
	}
}

// The end of an import is cut short after each of its steps; the next import brings it to its end.
func TestAnImportThatWasCutShortAtItsEndIsBroughtThere(t *testing.T) {
	steps := 0
	for cut := 0; cut <= steps; cut++ {
		data := stockData(t)
		s := &staging{nsq: data, weir: data}
		// The import up to its last part.
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		_, err := Import(context.Background(), Options{NSQ: data, Weir: elsewhere, Logger: quiet()})
		must(t, err)
		must(t, s.begin())
		must(t, os.Rename(elsewhere, s.data()))
		must(t, s.markComplete())
		// The first steps of the last part, in its order.
		var moves [][2]string
		add := func(from, to string, wanted func(string) bool) {
			entries, err := os.ReadDir(from)
			must(t, err)
			for _, e := range entries {
				if wanted(e.Name()) {
					moves = append(moves, [2]string{filepath.Join(from, e.Name()), filepath.Join(to, e.Name())})
				}
			}
		}
		add(data, filepath.Join(data, importedName), nsqdata.Owns)
		add(s.data(), data, func(name string) bool { return name != formatName })
		add(s.data(), data, func(name string) bool { return name == formatName })
		steps = len(moves)
		must(t, os.MkdirAll(filepath.Join(data, importedName), 0o755))
		for _, m := range moves[:cut] {
			must(t, os.Rename(m[0], m[1]))
		}

		_, err = Import(context.Background(), Options{NSQ: data, Weir: data, Logger: quiet()})
		must(t, err)
		check(t, data)
		if _, err := os.Stat(s.folder()); err == nil {
			t.Errorf("cut %d: %s is left", cut, s.folder())
		}
	}
	if steps < 10 {
		t.Errorf("only %d steps", steps)
	}
}

func TestTheRestOfAnEarlierImportIsThrownAway(t *testing.T) {
	data := stockData(t)
	s := &staging{nsq: data, weir: data}
	must(t, s.begin())
	offline, err := openWeir(s.data(), quiet())
	must(t, err)
	_, err = offline.Broker().CreateTopic(context.Background(), "half")
	must(t, err)
	must(t, offline.Close())
	_, err = Import(context.Background(), Options{NSQ: data, Weir: data, Logger: quiet()})
	must(t, err)
	check(t, data)
	offline, err = openWeir(data, quiet())
	must(t, err)
	defer offline.Close()
	if n := len(offline.Broker().Topics()); n != 1 {
		t.Errorf("%d topics", n)
	}
}

func TestAnEndedContextEndsTheImportAndLeavesNsqd(t *testing.T) {
	data := stockData(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Import(ctx, Options{NSQ: data, Weir: data, Logger: quiet()}); err == nil {
		t.Fatal("no error")
	}
	_, err := Import(context.Background(), Options{NSQ: data, Weir: data, Logger: quiet()})
	must(t, err)
	check(t, data)
}
