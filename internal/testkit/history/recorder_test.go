package history

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// play records a small faultless run: n messages of each of four publishers, all delivered to a channel and finished.
func play(r *Recorder, n int) {
	var all sync.WaitGroup
	for p := range uint32(4) {
		all.Add(1)
		go func() {
			defer all.Done()
			for s := range uint32(n) {
				k := Key{p, s}
				body := r.Body(k, 64)
				r.Sent(k, 0)
				r.Answered(k)
				if got, ok := r.Delivered("c", body, 1); !ok || got != k {
					panic("a body does not come back")
				}
				r.Finished("c", k)
			}
		}()
	}
	all.Wait()
}

func TestRecorderKeepsWhatManyGoroutinesRecord(t *testing.T) {
	r := NewRecorder(1)
	play(r, 1000)
	report := Check(r.History(), strict)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if c := report.Channels[0]; report.Answered != 4000 || c.Delivered != 4000 || c.Duplicates != 0 || c.Finished != 4000 {
		t.Errorf("got %+v", report)
	}
}

func TestFileKeepsTheSameHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	for range 2 { // a second process of the run appends
		r, err := OpenFile(path, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.Killed()
		r.Requeued("c", Key{5, 0}, time.Second)
		r.Disconnected("d")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendTorn(path); err != nil {
		t.Fatal(err)
	}
	h, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Events) != 6 || len(h.Channels) != 2 {
		t.Fatalf("read %d events of channels %v", len(h.Events), h.Channels)
	}
	if e := h.Events[4]; e.Kind != Requeued || e.Key != (Key{5, 0}) || e.Due-e.At != 1e9 || h.Channels[e.Channel] != "c" {
		t.Errorf("the requeue came back as %+v", e)
	}
	if e := h.Events[5]; e.Kind != Disconnected || h.Channels[e.Channel] != "d" {
		t.Errorf("the disconnect came back as %+v", e)
	}
}

func appendTorn(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("D 17 1 1")
	return err
}

func TestReadFileRefusesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte("K 1 0 0 0 0 -\nD one 0 0 0 0 c\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil {
		t.Error("a line that is no event was accepted")
	}
}

func TestMergeMapsChannels(t *testing.T) {
	a, b := NewRecorder(1), NewRecorder(1)
	a.Sent(Key{1, 0}, 0)
	a.Answered(Key{1, 0})
	a.Delivered("d", a.Body(Key{1, 0}, 50), 1)
	b.Delivered("c", a.Body(Key{1, 0}, 50), 1)
	b.Finished("c", Key{1, 0})
	report := Check(Merge(a.History(), b.History()), strict)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if len(report.Channels) != 2 || report.Channels[1].Name != "c" || report.Channels[1].Finished != 1 {
		t.Errorf("got %+v", report.Channels)
	}
}

func TestCheckTakesAMillionMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("a million messages")
	}
	r := NewRecorder(1)
	play(r, 250_000)
	start := time.Now()
	report := Check(r.History(), strict)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("checked %d messages in %v", report.Sent, time.Since(start))
	if report.Channels[0].Finished != 1_000_000 {
		t.Errorf("counted %d finished", report.Channels[0].Finished)
	}
}

func BenchmarkRecorderDelivered(b *testing.B) {
	r := NewRecorder(1)
	body := r.Body(Key{1, 1}, 200)
	b.ReportAllocs()
	for b.Loop() {
		r.Delivered("c", body, 1)
	}
}
