//go:build process

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// TestChaos runs rounds of scenarios. Without WEIR_CHAOS it is the short form: one round of three nodes and a few scenarios, within a
// minute. WEIR_CHAOS=15m goes on for so long. WEIR_SEED repeats a run, WEIR_CHAOS_ONLY names scenarios, WEIR_CHAOS_NODES
// sets how many nodes each round has, WEIR_CHAOS_LOGS a directory for the logs of rounds that fail.
func TestChaos(t *testing.T) {
	ctx, cancel := signal.NotifyContext(t.Context(), os.Interrupt)
	defer cancel()
	seed := uint64(time.Now().UnixNano() & 0xffffffff)
	if text := os.Getenv("WEIR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WEIR_SEED: %v", err)
		}
	}
	long := time.Duration(0)
	if text := os.Getenv("WEIR_CHAOS"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatalf("WEIR_CHAOS: %v", err)
		}
	}
	table := newTable()
	defer table.print(os.Stdout)
	defer func() { faultreport.Write(t, table.row()) }()
	for begun := time.Now(); ; seed++ {
		runRound(t, ctx, seed, long == 0, table, begun.Add(long))
		if t.Failed() || ctx.Err() != nil || time.Since(begun) >= long {
			return
		}
	}
}

// scenariosPerRound is how many a cluster goes through before its history is judged.
const scenariosPerRound = 9

func runRound(t *testing.T, ctx context.Context, seed uint64, short bool, table *table, end time.Time) {
	rng := rand.New(rand.NewPCG(seed, 2))
	nodes := 3 + max(0, rng.IntN(5)-2) // three nodes in three rounds of five
	if text := os.Getenv("WEIR_CHAOS_NODES"); text != "" {
		nodes, _ = strconv.Atoi(text)
	}
	list := draw(rng)
	if short && os.Getenv("WEIR_CHAOS_ONLY") == "" {
		nodes, list = 3, named(shortScenarios)
	}
	fmt.Printf("WEIR_SEED=%d, %d nodes\n", seed, nodes)
	r, err := newRound(ctx, seed, nodes, short, t.TempDir())
	if r != nil {
		defer r.cluster.Close()
	}
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
		r.keepLogs(t)
		return
	}
	for i, s := range list {
		if ctx.Err() != nil || !short && i > 0 && time.Now().After(end) {
			break
		}
		res := r.run(s)
		table.add(res)
		fmt.Printf("  %-28s fault %-6s led %-7s returned %-7s %s\n", s.name, res.fault.Round(100*time.Millisecond),
			res.led.Round(10*time.Millisecond), res.returned.Round(10*time.Millisecond), res.notes)
		if res.err != nil {
			t.Errorf("seed %d, %s: %v", seed, s.name, res.err)
			break
		}
	}
	if err := r.finish(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	table.addReport(r.report)
	if t.Failed() {
		r.keepLogs(t)
	}
}

// draw returns the scenarios of a round.
func draw(rng *rand.Rand) (list []scenario) {
	if only := os.Getenv("WEIR_CHAOS_ONLY"); only != "" {
		return named(strings.Split(only, ","))
	}
	for _, i := range rng.Perm(len(scenarios))[:scenariosPerRound] {
		list = append(list, scenarios[i])
	}
	return list
}

func named(names []string) (list []scenario) {
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == strings.TrimSpace(name) })
		if i < 0 {
			panic("no scenario is called " + name)
		}
		list = append(list, scenarios[i])
	}
	return list
}

// keepLogs writes the nodes' logs and the deliveries into a directory and says where.
func (r *round) keepLogs(t *testing.T) {
	if r == nil {
		return
	}
	dir := os.Getenv("WEIR_CHAOS_LOGS")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "weir-chaos-logs-"); err != nil {
			t.Error(err)
			return
		}
	}
	for _, n := range r.cluster.nodes {
		path := filepath.Join(dir, fmt.Sprintf("seed%d-node%d.log", r.seed, n.id))
		if err := os.WriteFile(path, []byte(n.log()), 0o644); err != nil {
			t.Error(err)
		}
	}
	if r.traffic != nil {
		r.traffic.trace.Lock()
		defer r.traffic.trace.Unlock()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed%d-deliveries.log", r.seed)), r.traffic.trace.lines.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Logf("the nodes' logs are in %s", dir)
}
