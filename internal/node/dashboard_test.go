package node

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// dashboard is what the test looks at of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct {
			Name  string
			Query any
		}
	}
}

// seriesName is a name of ours, or of the Go and process collectors, where an expression has it.
var seriesName = regexp.MustCompile(`\b(weir|go|process)_[a-z0-9_]+`)

// TestDashboardAsksForSeriesThatExist holds docs/grafana/weir.json against the /metrics of a node that has a topic, a channel and
// latencies; and each series of ours must stand in the dashboard and in docs/operating.md.
func TestDashboardAsksForSeriesThatExist(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Broker.LatencyQuantiles = []float64{0.99}
	n := start(t, o)
	api := "http://" + n.HTTPAddr()
	request(t, "POST", api+"/pub?topic=t", "x")
	consume(t, n.TCPAddr(), 1)
	metrics := request(t, "GET", api+"/metrics", "")
	for end := time.Now().Add(5 * time.Second); !strings.Contains(metrics, "weir_channel_e2e") && time.Now().Before(end); { // the FIN is on its way
		metrics = request(t, "GET", api+"/metrics", "")
	}
	if !regexp.MustCompile(`(?m)^weir_disk_syncs_total [1-9]`).MatchString(metrics) || !regexp.MustCompile(`(?m)^weir_disk_sync_seconds_total [0-9.e-]*[1-9]`).MatchString(metrics) {
		t.Error("a message was published durably, and no sync is counted")
	}
	var exist []string
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "#") {
			exist = append(exist, seriesName.FindString(line))
		}
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(exist)
	exist = slices.Compact(exist)

	text, err := os.ReadFile("../../docs/grafana/weir.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	used := seriesName.FindAllString(string(text), -1)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			if seriesName.FindString(target.Expr) == "" {
				t.Errorf("panel %q asks for no series: %s", panel.Title, target.Expr)
			}
		}
	}
	if len(d.Panels) < 10 || len(d.Templating.List) != 4 || len(used) < 20 {
		t.Errorf("%d panels, %d variables, %d series: not the dashboard that this test knows", len(d.Panels), len(d.Templating.List), len(used))
	}
	for _, name := range used {
		if !slices.Contains(exist, name) {
			t.Errorf("the dashboard asks for %s, which does not exist", name)
		}
	}
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range exist {
		if !strings.HasPrefix(name, "weir_") {
			continue
		}
		if !slices.Contains(used, name) {
			t.Errorf("%s is not in the dashboard", name)
		}
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not in docs/operating.md", name)
		}
	}
}
