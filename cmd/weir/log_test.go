package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/vfs"
)

// startNode starts a node on a data directory.
func startNode(t *testing.T, data string) *node.Node {
	t.Helper()
	o := node.DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = data, "127.0.0.1:0", "127.0.0.1:0"
	o.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// post makes a request that has to succeed.
func post(t *testing.T, n *node.Node, target, body string) {
	t.Helper()
	resp, err := http.Post("http://"+n.HTTPAddr()+target, "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Fatalf("%s: %s %s", target, resp.Status, text)
	}
}

// dataWithMessages makes a data directory whose topic t has 20 messages, and returns the log's directory too.
func dataWithMessages(t *testing.T) (data, log string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	n := startNode(t, data)
	post(t, n, "/topic/create?topic=t", "")
	post(t, n, "/channel/create?topic=t&channel=c", "")
	for i := range 20 {
		post(t, n, "/pub?topic=t", fmt.Sprintf("message %02d of the test", i))
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(data, "logs", "*"))
	if err != nil || len(logs) != 2 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	return data, logs[1] // logs[0] is the catalog's, topic id 0
}

// damage flips a bit in the file, in the text.
func damage(t *testing.T, file, text string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte(text))
	if at < 0 {
		t.Fatalf("%s does not hold %q", file, text)
	}
	content[at] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInspectAndVerifyAnIntactDirectory(t *testing.T) {
	data, log := dataWithMessages(t)
	code, out, stderr := run(context.Background(), "weir", "", "log", "inspect", "--entries", data)
	for _, part := range []string{log, "20 batches", "offsets 0 to 20", "checkpoint as of entry", "batch of 1 messages, offset 19",
		"entries in " + log + "/00000000000000000001.log:\n  entry 1 at byte 64"} {
		if code != 0 || !strings.Contains(out, part) {
			t.Errorf("inspect: code %d, lacks %q:\n%s%s", code, part, out, stderr)
		}
	}
	if code, out, stderr := run(context.Background(), "weir", "", "log", "verify", data); code != 0 || out != "2 logs are intact\n" {
		t.Errorf("verify: code %d, %q, %q", code, out, stderr)
	}
	if code, out, stderr := run(context.Background(), "weir", "", "log", "repair", log); code != 0 || !strings.Contains(out, "nothing to repair, nothing is changed") {
		t.Errorf("repair: code %d, %q, %q", code, out, stderr)
	}
}

func TestDamageIsFoundAndRepairedAndTheRestStays(t *testing.T) {
	data, log := dataWithMessages(t)
	segment := filepath.Join(log, "00000000000000000001.log")
	damage(t, segment, "message 12 of the test")
	damaged, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	code, out, _ := run(context.Background(), "weir", "", "log", "verify", log)
	if code != 1 || !strings.Contains(out, segment+" is damaged at byte ") || !strings.Contains(out, "weir log repair "+log) {
		t.Fatalf("verify: code %d, %q", code, out)
	}

	code, out, stderr := run(context.Background(), "weir", "", "log", "repair", "--dry-run", log)
	if code != 0 || !strings.Contains(out, "offsets 12 to 13 (exclusive)") || !strings.Contains(out, "nothing is changed") {
		t.Fatalf("dry run: code %d, %q, %q", code, out, stderr)
	}
	if now, _ := os.ReadFile(segment); !bytes.Equal(now, damaged) {
		t.Fatal("the dry run changed the segment")
	}
	code, out, stderr = run(context.Background(), "weir", "", "log", "repair", log)
	for _, part := range []string{segment + ", byte ", "offsets 12 to 13 (exclusive)", "replaced by a frame that says what is lost", log + "/damaged"} {
		if code != 0 || !strings.Contains(out, part) {
			t.Fatalf("repair: code %d, lacks %q: %q, %q", code, part, out, stderr)
		}
	}
	copies, _ := filepath.Glob(filepath.Join(log, "damaged", "00000000000000000001.log.*"))
	if len(copies) != 1 {
		t.Fatalf("copies of the damaged segment: %v", copies)
	}
	if kept, _ := os.ReadFile(copies[0]); !bytes.Equal(kept, damaged) {
		t.Error("the copy is not the damaged segment")
	}
	if code, out, _ := run(context.Background(), "weir", "", "log", "verify", data); code != 0 {
		t.Errorf("verify after the repair: code %d, %q", code, out)
	}
	if code, out, _ := run(context.Background(), "weir", "", "log", "repair", log); code != 0 || !strings.Contains(out, "nothing to repair") {
		t.Errorf("a second repair: code %d, %q", code, out)
	}

	n := startNode(t, data)
	defer n.Stop()
	out = statsOf(t, n)
	if !strings.Contains(out, `"channel_name":"c","depth":20,`) { // the lost one counts until a consumer comes to its place
		t.Errorf("after the repair: %s", out)
	}
	post(t, n, "/pub?topic=t", "new")
	if out = statsOf(t, n); !strings.Contains(out, `"channel_name":"c","depth":21,`) {
		t.Errorf("after another message: %s", out)
	}
}

func statsOf(t *testing.T, n *node.Node) string {
	t.Helper()
	resp, err := http.Get("http://" + n.HTTPAddr() + "/stats?format=json&include_mem=false")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRepairRefusesToLoseTheCatalog(t *testing.T) {
	data, log := dataWithMessages(t)
	catalog := filepath.Join(data, "logs", "0000000000000000-00000")
	segment := filepath.Join(catalog, "00000000000000000001.log")
	content, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	content[64+60] ^= 1 // in the payload of the first entry
	if err := os.WriteFile(segment, content, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := run(context.Background(), "weir", "", "log", "repair", data)
	if code != 1 || !strings.Contains(stderr, "is the catalog") || !strings.Contains(stderr, "restore it from a backup") {
		t.Errorf("code %d, %q", code, stderr)
	}
	if !strings.Contains(out, "not repaired\n"+log) {
		t.Errorf("the other log is not looked at: %q", out)
	}
	if after, _ := os.ReadFile(segment); !bytes.Equal(after, content) {
		t.Error("the segment was changed")
	}
}

func TestRepairRefusesARunningNode(t *testing.T) {
	data, log := dataWithMessages(t)
	damage(t, filepath.Join(log, "00000000000000000001.log"), "message 19 of the test")
	lock, err := vfs.Disk().Lock(filepath.Join(data, "LOCK")) // as a node holds it
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	t.Chdir(filepath.Dir(log))
	for _, name := range []string{log, data, filepath.Base(log)} {
		code, _, stderr := run(context.Background(), "weir", "", "log", "repair", name)
		if code != 1 || !strings.Contains(stderr, "stop the node first") {
			t.Errorf("%s: code %d, %q", name, code, stderr)
		}
	}
}

func TestLogCommandsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"log", 2, `verb "" is unknown; accepted: inspect, verify, repair`},
		{"log mend", 2, `verb "mend" is unknown`},
		{"log verify", 2, "PATH is missing"},
		{"log verify /does/not/exist", 1, "neither a data directory"},
		{"log inspect --all x", 2, "--all is unknown; accepted: --entries"},
	} {
		code, _, stderr := run(context.Background(), "weir", "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: code %d, %q, want %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
}
