//go:build process

package nsqadmin

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const stopSignal = syscall.SIGSTOP

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // Linux counts hundredths of a second
}

// TestHundredOpenPagesOnThousandTopicsAreCheap: a node that serves the page itself spends at most 5 % of a core on it.
func TestHundredOpenPagesOnThousandTopicsAreCheap(t *testing.T) {
	const pages, topics, seconds = 100, 1000, 20
	api, page := address(t), address(t)
	node := start(t, api, binaries.weir, "serve", "--data-path", t.TempDir(), "--sync=os", "--tcp-address", address(t), "--http-address", api,
		"--discovery-tcp-address=", "--admin-address", page, "--log-level=warn")
	for n := range topics {
		if status, text := call("POST", fmt.Sprintf("http://%s/pub?topic=topic-%d", api, n), "x"); status != 200 {
			t.Fatal(status, text)
		}
		if status, text := call("POST", fmt.Sprintf("http://%s/channel/create?topic=topic-%d&channel=c", api, n), ""); status != 200 {
			t.Fatal(status, text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { // so that at each look about 400 rows of the table have changed
		for n := 0; ctx.Err() == nil; n++ {
			call("POST", fmt.Sprintf("http://%s/pub?topic=topic-%d", api, n%topics), "x")
			time.Sleep(5 * time.Millisecond)
		}
	})
	before := cpuSeconds(t, node.Pid())
	time.Sleep(seconds / 2 * time.Second)
	idle := (cpuSeconds(t, node.Pid()) - before) / (seconds / 2)

	var events atomic.Int64
	for range pages {
		reading.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+page+"/api/v1/stream?watch=topics&watch=overview&watch=nodes", nil)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			defer answer.Body.Close()
			lines := bufio.NewReaderSize(answer.Body, 64<<10)
			for {
				line, err := lines.ReadSlice('\n')
				if strings.HasPrefix(string(line[:min(len(line), 6)]), "event:") {
					events.Add(1)
				}
				if err != nil && err != bufio.ErrBufferFull {
					return
				}
			}
		})
	}
	time.Sleep(3 * time.Second) // the first, full tables
	before = cpuSeconds(t, node.Pid())
	time.Sleep(seconds * time.Second)
	watched := (cpuSeconds(t, node.Pid()) - before) / seconds
	cancel()
	reading.Wait()
	if events.Load() < pages*seconds/2 {
		t.Errorf("%d events", events.Load())
	}
	t.Logf("%d pages on %d topics: %.1f %% of a core, %.1f %% without pages, %d events", pages, topics, 100*watched, 100*idle, events.Load())
	if watched-idle > 0.05 {
		t.Errorf("the pages cost %.1f %% of a core", 100*(watched-idle))
	}
}
