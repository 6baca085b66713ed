package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/load"
)

// TestMain lets the test binary be the broker that `weir bench --embedded` starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// benchmark runs `weir bench` and returns its exit code and output.
func benchmark(args string) (code int, stdout, stderr string) {
	return run(context.Background(), "weir", "", append([]string{"bench"}, strings.Fields(args)...)...)
}

func TestBenchMeasuresABrokerThatItStarts(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"pub --connections=4 --window=10", []string{"messages/s", "answer p50", "server MiB", "pub, from publish to answer: p50"}},
		{"pub --http", []string{"messages/s", "pub, from publish to answer: p50"}},
		{"pub --http --batch=10", []string{"messages/s", "pub, from publish to answer: p50"}},
		{"sub --messages=5000 --sync=os", []string{"deliveries/s", "5000"}},
		{"pubsub --channels=3 --topics=2 --window=10 --messages=100", []string{"deliveries/s", "300", "pubsub, from publish to delivery: p50"}},
		{"latency --rate=1000", []string{"latency, from publish to delivery: p50", "of it until the message was written: p50"}},
		{"run httppub_4c,lat1k_gonsq", []string{"httppub_4c", "lat1k_gonsq"}},
	} {
		code, stdout, stderr := benchmark(c.args + " --embedded --duration=200ms")
		if code != 0 {
			t.Errorf("bench %s: code %d, %s", c.args, code, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("bench %s: no %q in\n%s", c.args, want, stdout)
			}
		}
	}
}

func TestBenchJSONIsOneLineForEachRun(t *testing.T) {
	code, stdout, stderr := benchmark("run pub_1c_sync --runs=2 --embedded --json --duration=500ms")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 2 {
		t.Fatalf("code %d, %q, %s", code, stdout, stderr)
	}
	cpuSeconds := 0.0 // comes in hundredths
	for _, line := range lines {
		var r load.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Name != "pub_1c_sync" || r.PublishRate < 1 || r.Answers.P50 <= 0 || r.ErrorCount != 0 {
			t.Errorf("got %s", line)
		}
		if runtime.GOOS != "linux" {
			continue // what a process takes is not told there
		}
		if r.Server == nil || r.Server.PeakBytes < 1<<20 || r.Server.PeakBytes > 1<<30 || r.Server.CPUSeconds < 0 {
			t.Fatalf("server: %+v", r.Server)
		}
		cpuSeconds += r.Server.CPUSeconds
	}
	if runtime.GOOS == "linux" && (cpuSeconds <= 0 || cpuSeconds > 10) {
		t.Errorf("%v s of CPU time", cpuSeconds)
	}
}

func TestBenchShowsItsProgressAsJSONWithoutATerminal(t *testing.T) {
	_, _, stderr := benchmark("latency --rate=1000 --embedded --duration=1500ms")
	var shown struct {
		Load               string
		Elapsed, Published float64
		Errors             *int64
	}
	if err := json.Unmarshal([]byte(strings.Split(stderr, "\n")[0]), &shown); err != nil {
		t.Fatalf("%v: %q", err, stderr)
	}
	if shown.Load != "latency" || shown.Elapsed < 1 || shown.Published < 100 || shown.Errors == nil {
		t.Errorf("got %q", stderr)
	}
}

func TestBenchScaleDrawsAPicture(t *testing.T) {
	for over, panels := range map[string][]string{
		"topics":    {"Throughput", "messages published", "Memory of the server"},
		"channels":  {"messages published", "deliveries"},
		"body-size": {"Volume", "1 KiB"},
	} {
		path := filepath.Join(t.TempDir(), "out.svg")
		values := map[string]string{"topics": "1,20", "channels": "1,3", "body-size": "100,1024"}[over]
		code, stdout, stderr := benchmark("scale --over=" + over + " --values=" + values + " --messages=2000 --embedded --duration=200ms --plot=" + path)
		if code != 0 || strings.Count(stdout, over+"=") != 2 {
			t.Fatalf("code %d, %s\n%s", code, stdout, stderr)
		}
		picture, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := xml.NewDecoder(strings.NewReader(string(picture))); ; {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range append(panels, "polyline", ">"+over+"<") {
			if !strings.Contains(string(picture), want) {
				t.Errorf("no %q in the picture over %s", want, over)
			}
		}
	}
}

func TestBenchFailsWithCode1WhenMessagesAreLost(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- load.Null(ctx, listener) }() // says OK and delivers nothing
	code, _, stderr := benchmark("pubsub --messages=7 --nsqd-http-address= --nsqd-tcp-address=" + listener.Addr().String())
	if cancel(); code != 1 || !strings.Contains(stderr, "7 messages that were answered with OK did not come") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestBenchListNamesEveryLoad(t *testing.T) {
	_, stdout, _ := benchmark("list")
	for _, l := range load.Named() {
		if !strings.Contains(stdout, l.Name+" ") {
			t.Errorf("no %s in\n%s", l.Name, stdout)
		}
	}
}

func TestBenchRefusesWhatItCannotDo(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "weir bench: what to do is missing",
		"fly":                               `weir bench: "fly" is unknown; accepted: pub, sub,`,
		"run":                               "weir bench run: the names are missing",
		"run nope":                          `weir bench run: "nope" is unknown`,
		"run pub_1c_sync --connections=3":   "weir bench run: --connections is unknown",
		"scale --over=time --values=1":      "weir bench scale: --over is missing or unknown",
		"scale --over=topics --values=1,x":  `weir bench scale: --values has "x"`,
		"pub --body-size=3":                 `weir bench pub: --body-size does not take "3"`,
		"pub --batch=100000 --body-size=1k": `weir bench pub: --body-size does not take "1k"`,
	} {
		if code, _, stderr := benchmark(args); code != 2 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("bench %s: code %d, %q, want %q", args, code, stderr, want)
		}
	}
}
