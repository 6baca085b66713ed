package nsqdata

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func message(body string, attempts uint16) *Message {
	return &Message{Timestamp: 0x0102030405060708, Attempts: attempts, ID: [16]byte([]byte("0123456789abcdef")), Body: []byte(body)}
}

// write makes the queue of a topic, or a channel, with messages.
func write(t *testing.T, dir, topic, channel string, bodies ...string) {
	t.Helper()
	w := NewQueueWriter(dir, topic, channel)
	for i, body := range bodies {
		must(t, w.Write(message(body, uint16(i))))
	}
	must(t, w.Close())
}

// read returns the bodies of a queue, and the damages.
func read(t *testing.T, q *Queue) (bodies []string, damages []Damage) {
	t.Helper()
	damages, err := q.Each(func(m Message) error {
		bodies = append(bodies, string(m.Body))
		return nil
	})
	must(t, err)
	return bodies, damages
}

func open(t *testing.T, dir string) *Directory {
	t.Helper()
	d, err := Open(dir)
	must(t, err)
	return d
}

// The bytes are those of nsqd 1.3.0: cases are only ever added.
func TestGoldenRecord(t *testing.T) {
	m := message("hello", 3)
	want := "0000001f" + "0102030405060708" + "0003" + hex.EncodeToString([]byte("0123456789abcdef")) + hex.EncodeToString([]byte("hello"))
	record := m.append(nil)
	if got := hex.EncodeToString(record); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if back, err := decode(record[4:]); err != nil || back.Timestamp != m.Timestamp || back.Attempts != 3 || back.ID != m.ID || string(back.Body) != "hello" {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "t.1", "", "a", "b")
	write(t, dir, "t.1", "c", "d")
	write(t, dir, "t.1", "none")
	must(t, WriteTopics(dir, []Topic{{Name: "t.1", Paused: true, Channels: []Channel{{Name: "c"}, {Name: "none", Paused: true}}}, {Name: "bare"}}))
	d := open(t, dir)
	if len(d.Topics) != 2 || d.Topics[0].Name != "bare" || !d.Topics[1].Paused || len(d.Topics[1].Channels) != 2 || !d.Topics[1].Channels[1].Paused {
		t.Fatalf("got %+v", d.Topics)
	}
	for _, c := range []struct {
		q    *Queue
		want []string
	}{{&d.Topics[1].Queue, []string{"a", "b"}}, {&d.Topics[1].Channels[0].Queue, []string{"d"}}, {&d.Topics[1].Channels[1].Queue, nil}} {
		if got, damages := read(t, c.q); !slices.Equal(got, c.want) || len(damages) != 0 {
			t.Errorf("%s: got %q, %v", c.q.Name, got, damages)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "nsqd.dat"))
	must(t, err)
	want := `{"topics":[{"name":"t.1","paused":true,"channels":[{"name":"c","paused":false},{"name":"none","paused":true}]},` +
		`{"name":"bare","paused":false,"channels":[]}],"version":"1.3.0"}`
	if string(text) != want {
		t.Errorf("nsqd.dat is %s", text)
	}
}

func TestReadingBeginsWhereNsqdStopped(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "t", "", "a", "b", "c") // 31 bytes each
	must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.meta.dat"), []byte("2\n0,31\n0,93\n"), 0o600))
	if got, damages := read(t, &open(t, dir).Topics[0].Queue); !slices.Equal(got, []string{"b", "c"}) || len(damages) != 0 {
		t.Errorf("got %q, %v", got, damages)
	}
	n, err := open(t, dir).Topics[0].Queue.Bytes()
	if err != nil || n != 62 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestMessagesBehindStaleMetadataAreRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "t", "", "a", "b", "c")
	must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.meta.dat"), []byte("1\n0,31\n0,62\n"), 0o600))
	if got, damages := read(t, &open(t, dir).Topics[0].Queue); !slices.Equal(got, []string{"b", "c"}) || len(damages) != 0 {
		t.Errorf("got %q, %v", got, damages)
	}
}

func TestDamageIsToldWithFileAndPositionAndTheNextFileIsRead(t *testing.T) {
	for what, c := range map[string]struct {
		change func(content []byte) []byte
		want   []string
		pos    int64
		reason string
	}{
		"size":   {func(b []byte) []byte { b[31] = 0x70; return b }, []string{"a", "x"}, 31, "is no size of a message"},
		"id":     {func(b []byte) []byte { b[31+14] = 0; return b }, []string{"a", "x"}, 31, "is no message id"},
		"torn":   {func(b []byte) []byte { return b[:90] }, []string{"a", "b", "x"}, 62, "ends within a message of 27 bytes"},
		"header": {func(b []byte) []byte { return b[:64] }, []string{"a", "b", "x"}, 62, "ends within the size"},
	} {
		dir := t.TempDir()
		write(t, dir, "t", "", "a", "b", "c")
		path := filepath.Join(dir, "t.diskqueue.000000.dat")
		content, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, c.change(content), 0o600))
		next := message("x", 0).append(nil)
		must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.000001.dat"), next, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.meta.dat"), []byte("4\n0,0\n1,31\n"), 0o600))
		got, damages := read(t, &open(t, dir).Topics[0].Queue)
		if !slices.Equal(got, c.want) || len(damages) != 1 || damages[0].Path != path || damages[0].Pos != c.pos || !strings.Contains(damages[0].Reason, c.reason) {
			t.Errorf("%s: got %q, %v", what, got, damages)
		}
	}
}

func TestMissingFilesAndMetadataAreTold(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.000002.dat"), message("x", 0).append(nil), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.meta.dat"), []byte("9\n1,0\n3,31\n"), 0o600))
	got, damages := read(t, &open(t, dir).Topics[0].Queue)
	if !slices.Equal(got, []string{"x"}) || len(damages) != 2 {
		t.Errorf("got %q, %v", got, damages)
	}
	must(t, os.WriteFile(filepath.Join(dir, "t.diskqueue.meta.dat"), []byte("garbage"), 0o600))
	got, damages = read(t, &open(t, dir).Topics[0].Queue)
	if !slices.Equal(got, []string{"x"}) || len(damages) != 1 || !strings.Contains(damages[0].Path, "meta.dat") {
		t.Errorf("without metadata: got %q, %v", got, damages)
	}
}

func TestFilesTellOfTopicsThatNsqdDatForgets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "t", "c", "a")
	write(t, dir, "t", "gone#ephemeral", "b")
	must(t, os.WriteFile(filepath.Join(dir, "t:c.diskqueue.000000.dat.bad"), nil, 0o600))
	d := open(t, dir)
	if len(d.Topics) != 1 || d.Topics[0].Name != "t" || len(d.Topics[0].Channels) != 1 || !slices.Equal(d.Bad, []string{"t:c.diskqueue.000000.dat.bad"}) {
		t.Errorf("got %+v", d)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("an empty directory is one of nsqd")
	}
}

// withBuffer allows for readFile's buffer of 1 MiB.
var withBuffer = bounded.Budget{BaseBytes: 2 << 20, BytesPerByte: 64}

func FuzzReadFile(f *testing.F) {
	f.Add(message("hello", 1).append(message("", 0).append(nil)), int64(0))
	f.Add([]byte{0, 0, 0, 26}, int64(2))
	f.Add(append([]byte{0x7f, 0xff, 0xff, 0xff}, make([]byte, 100)...), int64(0)) // announces 2 GiB
	f.Fuzz(func(t *testing.T, content []byte, from int64) {
		if from < 0 {
			return
		}
		path := filepath.Join(t.TempDir(), "f")
		must(t, os.WriteFile(path, content, 0o600))
		withBuffer.Memory(t, len(content), func() { readFile(path, from, func(Message) error { return nil }) })
		var read []byte
		damage, err := readFile(path, from, func(m Message) error { read = m.append(read); return nil })
		must(t, err)
		end := int64(len(content))
		if damage != nil {
			end = damage.Pos
		}
		if from < end && !bytes.Equal(read, content[from:end]) {
			t.Fatalf("what was read is not what is there up to %d", end)
		}
	})
}
