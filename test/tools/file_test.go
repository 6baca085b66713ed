//go:build process

package tools

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// unzip reads a gzip file as far as it is intact.
func unzip(path string) string {
	text, _ := unzipAll(path)
	return text
}

// unzipAll reads a gzip file and returns the error that ended it, if any.
func unzipAll(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	r, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// missing returns a message "m N", N below n, that no line holds.
func missing(counts map[string]int, n int) string {
	for i := range n {
		if line := fmt.Sprintf("m %d\n", i); counts[line] == 0 {
			return line
		}
	}
	return ""
}

// nsq_to_file is killed again and again while it writes compressed, rotated files; each message is in some file in the end, and was
// there when its FIN arrived.
func TestKilledNSQToFileLosesNothing(t *testing.T) {
	eachBroker(t, func(t *testing.T, b *proc.Broker) {
		const messages = 30_000
		post(t, b, "/topic/create?topic=t", "")
		post(t, b, "/channel/create?topic=t&channel=c", "")
		publish(t, b, "t", "m", 0, messages)
		eventually(t, "c has its messages", func() bool { return left(t, b, "t", "c") == messages })
		out := t.TempDir()
		args := []string{"--topic=t", "--channel=c", "--nsqd-tcp-address=" + b.TCP(), "--output-dir=" + out, "--gzip", "--rotate-size=20KiB",
			"--sync-interval=20ms", "--filename-format=<TOPIC><REV>.log", "--consumer-opt=msg_timeout,1s", "--max-in-flight=20"}
		for kill := range 6 {
			p := startTool(t, "nsq_to_file", args...)
			time.Sleep(time.Duration(60+20*kill) * time.Millisecond)
			must(t, p.Kill())
			finished := messages - left(t, b, "t", "c")
			counts := linesOf(t, filepath.Join(out, "*.gz"), unzip)
			if len(counts) < finished {
				t.Fatalf("after kill %d: %d messages are finished, the files hold %d", kill, finished, len(counts))
			}
		}
		if n := left(t, b, "t", "c"); n == 0 || n == messages {
			t.Fatalf("%d messages are left after the kills: they were not in the middle", n)
		}
		p := startTool(t, "nsq_to_file", args...)
		eventually(t, "c is empty", func() bool { return left(t, b, "t", "c") == 0 })
		must(t, p.Terminate(patience))
		counts := linesOf(t, filepath.Join(out, "*.gz"), unzip)
		if m := missing(counts, messages); m != "" {
			t.Errorf("%q is in no file; %d are", m, len(counts))
		}
		// Only the last file of each killed run may be torn.
		files, _ := filepath.Glob(filepath.Join(out, "*.gz"))
		torn := 0
		for _, path := range files {
			if _, err := unzipAll(path); err != nil {
				torn++
			}
		}
		if torn > 6 || len(files) < 10 {
			t.Errorf("%d of %d files are torn", torn, len(files))
		}
	})
}

// The disk fills up under nsq_to_file: it ends with a line that says so, and a later run writes everything.
func TestNSQToFileOnAFullDiskLosesNothing(t *testing.T) {
	out := smallDisk(t, 512<<10)
	eachBroker(t, func(t *testing.T, b *proc.Broker) {
		const messages = 20_000
		post(t, b, "/topic/create?topic=t", "")
		post(t, b, "/channel/create?topic=t&channel=c", "")
		publish(t, b, "t", strings.Repeat("x", 50)+"m", 0, messages) // about twice the disk
		dir := filepath.Join(out, t.Name())
		args := []string{"--topic=t", "--channel=c", "--nsqd-tcp-address=" + b.TCP(), "--filename-format=<TOPIC>.log",
			"--sync-interval=20ms", "--consumer-opt=msg_timeout,1s"}
		p := startTool(t, "nsq_to_file", append(args, "--output-dir="+dir)...)
		select {
		case <-p.Done():
		case <-time.After(patience):
			t.Fatal("it goes on with a full disk")
		}
		if p.ExitCode() != 1 || !strings.Contains(p.Output(), "no space left on device") {
			t.Errorf("exit code %d: %s", p.ExitCode(), p.Output())
		}
		kept := plain(filepath.Join(dir, "t.log"))
		if finished := messages - left(t, b, "t", "c"); strings.Count(kept, "\n") < finished || finished == 0 {
			t.Errorf("%d messages are finished, the file holds %d", finished, strings.Count(kept, "\n"))
		}
		// The file moves to a larger disk, and the tool goes on with it there.
		roomy := t.TempDir()
		must(t, os.WriteFile(filepath.Join(roomy, "t.log"), []byte(kept), 0o600))
		must(t, os.RemoveAll(dir))
		p = startTool(t, "nsq_to_file", append(args, "--output-dir="+roomy)...)
		eventually(t, "c is empty", func() bool { return left(t, b, "t", "c") == 0 })
		must(t, p.Terminate(patience))
		counts := linesOf(t, filepath.Join(roomy, "t.log"), plain)
		for i := range messages {
			if line := fmt.Sprintf("%sm %d\n", strings.Repeat("x", 50), i); counts[line] == 0 {
				t.Fatalf("%q is in no file", line)
			}
		}
	})
}

// Both nsq_to_files write the same messages: the same files with the same lines.
func TestBothNSQToFilesWriteTheSame(t *testing.T) {
	eachBroker(t, func(t *testing.T, b *proc.Broker) {
		for name, flags := range map[string][]string{
			"plain":  {"--filename-format=<TOPIC>.<HOST><REV>.log", "--host-identifier=h-<SHORT_HOST>"},
			"rotate": {"--filename-format=<TOPIC><REV>.log", "--rotate-size=1000"},
			"gzip":   {"--filename-format=<TOPIC><REV>.log", "--rotate-size=1000", "--gzip", "--gzip-level=9", "--skip-empty-files"},
			"work":   {"--filename-format=d/<TOPIC><REV>.log", "--rotate-size=1000", "--work-dir=WORK"},
		} {
			topic := "t." + name
			post(t, b, "/topic/create?topic="+topic, "")
			for _, channel := range []string{"weir", "stock"} {
				post(t, b, "/channel/create?topic="+topic+"&channel="+channel, "")
			}
			publish(t, b, topic, "m", 0, 1000)
			contents := map[string]map[string]string{}
			for _, who := range []string{"weir", "stock"} {
				out, work := t.TempDir(), t.TempDir()
				args := []string{"--topic=" + topic, "--channel=" + who, "--nsqd-tcp-address=" + b.TCP(), "--output-dir=" + out, "--sync-interval=50ms"}
				for _, f := range flags {
					args = append(args, strings.Replace(f, "WORK", work, 1))
				}
				path := stock(t, "nsq_to_file")
				if who == "weir" {
					path, args = weirBinary, append([]string{"nsq_to_file"}, args...)
				}
				p := startProgram(t, path, args...)
				eventually(t, who+" has all", func() bool { return left(t, b, topic, who) == 0 })
				must(t, p.Terminate(patience))
				contents[who] = filesIn(t, out)
			}
			if a, b := contents["weir"], contents["stock"]; fmt.Sprint(a) != fmt.Sprint(b) || len(a) == 0 {
				t.Errorf("%s: weir's files %q\nstock's %q", name, a, b)
			}
		}
	})
}

// filesIn returns the files below a directory with their contents, uncompressed.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name] = plain(path)
		if strings.HasSuffix(path, ".gz") {
			files[name], err = unzipAll(path)
		}
		return err
	}))
	return files
}

// SIGHUP ends a compressed file, and the next message begins another.
func TestSIGHUPBeginsAnotherFile(t *testing.T) {
	b := startBroker(t, weirNsqd(t, t.TempDir()))
	out := t.TempDir()
	publish(t, b, "t", "m", 0, 3)
	p := startTool(t, "nsq_to_file", "--topic=t", "--channel=c", "--nsqd-tcp-address="+b.TCP(), "--output-dir="+out, "--gzip",
		"--filename-format=f<REV>", "--skip-empty-files", "--sync-interval=5m")
	eventually(t, "the messages arrive", func() bool { return left(t, b, "t", "c") == 0 })
	must(t, p.Signal(hangUp))
	eventually(t, "the file is closed", func() bool { _, err := unzipAll(filepath.Join(out, "f-000000.gz")); return err == nil })
	publish(t, b, "t", "m", 3, 4)
	eventually(t, "the second file", func() bool { return unzip(filepath.Join(out, "f-000001.gz")) == "m 3\n" })
	must(t, p.Terminate(patience))
	if text, err := unzipAll(filepath.Join(out, "f-000000.gz")); err != nil || text != "m 0\nm 1\nm 2\n" {
		t.Errorf("got %q, %v", text, err)
	}
}
