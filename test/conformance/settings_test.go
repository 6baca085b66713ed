//go:build process

package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// settingsFile has every kind of value that nsqd takes, in each of its forms.
const settingsFile = `
id = 7
log_level = "warn"
verbose = true
mem_queue_size = 0
msg_timeout = 1500
max_msg_timeout = "2m"
max_req_timeout = "90s"
max_msg_size = "2048"
max_body_size = 4096
sync_timeout = 250
statsd_interval = "5s"
statsd_mem_stats = false
statsd_prefix = "all.%s"
e2e_processing_latency_percentiles = "0.99, 0.5"
e2e_processing_latency_window_time = 20000
tls_min_version = ""
tls_required = false
deflate = false
snappy = true
max_deflate_level = 3
`

// commented is a setting that a line of NSQ's example leaves to its default: # key = value.
var commented = regexp.MustCompile(`(?m)^# ?([a-z_]+ = )`)

// TestSettingsFilesMeanTheSame starts both servers with the same file and compares all that /config shows.
func TestSettingsFilesMeanTheSame(t *testing.T) {
	example := nsqExample(t)
	files := map[string]string{"own": settingsFile, "example": example,
		"example, nothing commented out": strings.NewReplacer("/var/lib/nsq", t.TempDir(), "require-verify", "", "5150", "515").Replace(commented.ReplaceAllString(example, "$1"))}
	if files["example"] == files["example, nothing commented out"] {
		t.Error("nothing of the example was commented out: it is no longer the one that this test knows")
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nsqd.cfg")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			servers := startPair(t, "--config="+path)
			compare(t, servers, conversation{"settings: " + name, func(c *client) {
				for _, setting := range settings {
					c.get("/config/" + setting)
				}
				for _, setting := range fileSettings {
					c.get("/config/" + setting)
				}
				c.connect("").send("IDENTIFY\n", body(`{"feature_negotiation":true,"topology_zone":"z"}`)).glance()
			}}, aloneTopic, new(sightings))
		})
	}
}

// fileSettings are settings that the flags of other tests leave alone.
var fileSettings = []string{
	"auth_http_addresses", "deflate", "http_client_connect_timeout", "http_client_request_timeout", "https_address", "max_deflate_level",
	"nsqlookupd_tcp_addresses", "snappy", "tls_cert", "tls_client_auth_policy", "tls_key", "tls_min_version", "tls_required", "tls_root_ca_file",
}

// nsqExample is the settings file that NSQ gives as an example.
func nsqExample(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/nsqio/nsq")
	cmd.Dir = filepath.Join("..", "stock")
	dir, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "contrib", "nsqd.cfg.example"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
