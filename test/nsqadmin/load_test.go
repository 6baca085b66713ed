//go:build process

package nsqadmin

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
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

// TestHundredOpenPagesOnThousandTopicsAreCheap: a node that serves the page itself spends at most 5 % of a core on it. What it spends
// without pages is measured before and after each time with them, in processor time of the process, and the difference is judged: other
// programs on the machine, and a node that grows dearer by itself, do not count. The median of the rounds is not moved by one bad one.
func TestHundredOpenPagesOnThousandTopicsAreCheap(t *testing.T) {
	const pages, topics, rounds, limit = 100, 1000, 3, 0.05
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
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer cancel()
	publishing.Go(func() { // so that at each look about 400 rows of the table have changed; by the clock, so that all rounds have as many
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			<-tick.C
			call("POST", fmt.Sprintf("http://%s/pub?topic=topic-%d", api, n%topics), "x")
		}
	})
	before := share(t, node.Pid())
	costs := make([]float64, rounds)
	for i := range costs {
		events, closePages := openPages(ctx, page, pages)
		time.Sleep(3 * time.Second) // the first, full tables
		seen := events.Load()
		watched := share(t, node.Pid())
		if got := events.Load() - seen; got < pages*int64(shareOver/(4*time.Second)) { // one event of three in two looks
			t.Errorf("%d events", got)
		}
		closePages()
		time.Sleep(3 * time.Second) // the last look
		after := share(t, node.Pid())
		costs[i] = watched - (before+after)/2
		t.Logf("%.1f %% of a core with %d pages on %d topics, %.1f and %.1f %% without", 100*watched, pages, topics, 100*before, 100*after)
		before = after
	}
	slices.Sort(costs)
	if cost := costs[rounds/2]; cost > limit {
		t.Errorf("the pages cost %.1f %% of a core, in the middle of %.3f", 100*cost, costs)
	}
}

// shareOver is how long share measures.
const shareOver = 12 * time.Second

// share measures which share of a core a process takes.
func share(t *testing.T, pid int) float64 {
	t.Helper()
	used, begun := cpuSeconds(t, pid), time.Now()
	time.Sleep(shareOver)
	return (cpuSeconds(t, pid) - used) / time.Since(begun).Seconds()
}

// openPages opens streams as pages do. It returns the count of their events, and what closes them.
func openPages(ctx context.Context, page string, count int) (events *atomic.Int64, closePages func()) {
	ctx, cancel := context.WithCancel(ctx)
	events = new(atomic.Int64)
	var reading sync.WaitGroup
	for range count {
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
	return events, func() {
		cancel()
		reading.Wait()
	}
}
