package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/commitlog"
)

func parseServe(args ...string) (*Node, error) {
	n := new(Node)
	return n, Serve(n).Parse(args, environment(nil))
}

func parseNsqd(args ...string) (*Node, error) {
	n := new(Node)
	return n, Nsqd(n).Parse(args, environment(nil))
}

func TestServeDefaults(t *testing.T) {
	n, err := parseServe()
	if err != nil {
		t.Fatal(err)
	}
	o := &n.Options
	for _, c := range []struct{ name, got, want string }{
		{"data-path", o.DataPath, "./weir-data"},
		{"tcp-address", o.TCPAddress, "127.0.0.1:4150"},
		{"http-address", o.HTTPAddress, "127.0.0.1:4151"},
		{"advertise", o.Advertise, "127.0.0.1"},
		{"sync", o.Store.Sync.String(), "always"},
		{"retain", o.Broker.Retain.String(), "24h0m0s"},
		{"log-format", n.LogFormat, "text"},
		{"discovery-tcp-address", o.DiscoveryTCPAddress, "127.0.0.1:4160"},
		{"discovery-http-address", o.DiscoveryHTTPAddress, "127.0.0.1:4161"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	if n.LogLevel.Level() != slog.LevelInfo || o.Store.CacheBytes != 12<<20 || o.Broker.RetainBytes != 1<<30 {
		t.Errorf("got %+v", o)
	}
}

func TestListenMovesAllDoorsThatAreNotGivenAnAddress(t *testing.T) {
	for _, c := range []struct {
		args                 []string
		tcp, http, advertise string
	}{
		{[]string{"--listen=0.0.0.0"}, "0.0.0.0:4150", "0.0.0.0:4151", ""},
		{[]string{"--listen=10.1.2.3"}, "10.1.2.3:4150", "10.1.2.3:4151", "10.1.2.3"},
		{[]string{"--listen=::1", "--advertise=me"}, "[::1]:4150", "[::1]:4151", "me"},
		{[]string{"-listen", "10.1.2.3", "-tcp-address", ":5000"}, ":5000", "10.1.2.3:4151", "10.1.2.3"},
	} {
		n, err := parseServe(c.args...)
		if err != nil {
			t.Fatal(err)
		}
		if o := n.Options; o.TCPAddress != c.tcp || o.HTTPAddress != c.http || o.Advertise != c.advertise {
			t.Errorf("%v: got %s %s %q", c.args, o.TCPAddress, o.HTTPAddress, o.Advertise)
		}
	}
}

func TestLookupServicesOfANode(t *testing.T) {
	n, err := parseServe("--listen=0.0.0.0", "--discovery-tcp-address=")
	if err != nil || n.Options.DiscoveryTCPAddress != "" || n.Options.DiscoveryHTTPAddress != "0.0.0.0:4161" {
		t.Errorf("without one: %+v, %v", n.Options, err)
	}
	path := writeFile(t, "nsqlookupd_tcp_addresses = [\"a:1\", \"b:2\"]\n")
	if n, err = parseNsqd("-config=" + path); err != nil || !slices.Equal(n.Options.LookupAddresses, []string{"a:1", "b:2"}) {
		t.Errorf("by nsqd's file: %q, %v", n.Options.LookupAddresses, err)
	}
	if n, err = parseNsqd("-lookupd-tcp-address=a:1", "-lookupd-tcp-address=b:2"); err != nil || len(n.Options.LookupAddresses) != 2 ||
		n.Options.DiscoveryTCPAddress != "" {
		t.Errorf("by flags: %+v, %v", n.Options, err)
	}
}

func TestNsqdDefaultsAreNsqds(t *testing.T) {
	n, err := parseNsqd()
	if err != nil {
		t.Fatal(err)
	}
	o, l := &n.Options, &n.Options.TCP
	if o.DataPath != "." || o.TCPAddress != "0.0.0.0:4150" || o.HTTPAddress != "0.0.0.0:4151" || o.Advertise == "" {
		t.Errorf("got %+v", o)
	}
	if l.MsgTimeout != time.Minute || l.MaxMsgTimeout != 15*time.Minute || l.MaxMsgSize != 1048576 || l.MaxBodySize != 5242880 ||
		l.MaxReqTimeout != time.Hour || l.MaxHeartbeatInterval != time.Minute || l.MaxRdyCount != 2500 ||
		l.MaxOutputBufferSize != 65536 || l.MaxOutputBufferTimeout != 30*time.Second ||
		l.MinOutputBufferTimeout != 25*time.Millisecond || l.OutputBufferTimeout != 250*time.Millisecond {
		t.Errorf("got %+v", l)
	}
}

func TestNsqdTakesNsqdsFlags(t *testing.T) {
	n, err := parseNsqd("-data-path=/x", "-tcp-address=127.0.0.1:0", "--http-address", "", "-broadcast-address=b", "-mem-queue-size=77",
		"-sync-every=1", "-sync-timeout=1s", "-max-bytes-per-file=1048576", "-node-id=7", "-worker-id=7", "-verbose",
		"-log-level=debug", "-log-prefix=x", "-queue-scan-worker-pool-max=1", "-queue-scan-selection-count=9",
		"-msg-timeout=2m", "-max-msg-size=123", "-sync=os", "-retain=0", "-version")
	if err != nil {
		t.Fatal(err)
	}
	o := &n.Options
	if o.DataPath != "/x" || o.HTTPAddress != "" || o.Advertise != "b" || o.TCP.MsgTimeout != 2*time.Minute || o.TCP.MaxMsgSize != 123 || o.Broker.EphemeralMessages != 77 ||
		o.Store.Sync != commitlog.SyncOS || o.Broker.Retain >= 0 || n.LogLevel.Level() != slog.LevelDebug || !n.ShowVersion {
		t.Errorf("got %+v %+v", n, o)
	}
}

func TestNsqdReadsNsqdsFile(t *testing.T) {
	path := writeFile(t, "id = 5\ntcp_address = \"127.0.0.1:0\"\nmax_rdy_count = 100\nmsg_timeout = \"90s\"\nverbose = false\n")
	n, err := parseNsqd("-config=" + path)
	if err != nil {
		t.Fatal(err)
	}
	if n.Options.TCP.MaxRdyCount != 100 || n.Options.TCP.MsgTimeout != 90*time.Second || n.Options.TCPAddress != "127.0.0.1:0" {
		t.Errorf("got %+v", n.Options)
	}
}

func TestVersionIsAskedForOnTheCommandLineOnly(t *testing.T) {
	env := environment(map[string]string{"WEIR_VERSION": "1.2.3"})
	n := new(Node)
	if err := Nsqd(n).Parse(nil, env); err != nil || n.ShowVersion {
		t.Errorf("the environment: %v, %v", n.ShowVersion, err)
	}
	if err := Nsqd(n).Parse([]string{"-version"}, env); err != nil || !n.ShowVersion {
		t.Errorf("the flag: %v, %v", n.ShowVersion, err)
	}
	if _, err := parseNsqd("--config=" + writeFile(t, "version = true\n")); err == nil {
		t.Error("the file is taken")
	}
}

func TestSettingsOfANodeThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		parse func(...string) (*Node, error)
		arg   string
		want  []string
	}{
		{parseServe, "--sync=sometimes", []string{"weir serve: --sync", "always, os, or a duration"}},
		{parseServe, "--sync=0s", []string{"--sync"}},
		{parseServe, "--tcp-address=4150", []string{"--tcp-address", "HOST:PORT"}},
		{parseServe, "--http-address=", []string{"--http-address", "HOST:PORT"}},
		{parseServe, "--tcp-address=127.0.0.1:65536", []string{"--tcp-address", "HOST:PORT"}},
		{parseServe, "--listen=", []string{`--listen does not take ""`, "0.0.0.0 for all interfaces"}},
		{parseServe, "--listen=127.0.0.1:4150", []string{"--listen", "without a port"}},
		{parseServe, "--data-path=", []string{`--data-path does not take ""`, "the path of a directory"}},
		{parseServe, "--max-body-size=32769KiB", []string{"--max-body-size", "to 32MiB"}},
		{parseServe, "--retain=-1h", []string{"--retain", "0 or a duration"}},
		{parseServe, "--msg-timeout=20m", []string{"--msg-timeout is 20m", "--max-msg-timeout, which is 15m"}},
		{parseServe, "--min-output-buffer-timeout=1s", []string{"--min-output-buffer-timeout is 1s"}},
		{parseServe, "--log-format=xml", []string{"text, json"}},
		{parseServe, "--mem-queue-size=1", []string{"--mem-queue-size is unknown"}},
		{parseNsqd, "--tls-cert=x", []string{"--tls-key is missing"}},
		{parseNsqd, "--tls-required", []string{"TLS cannot be required without a certificate"}},
		{parseNsqd, "--tls-required=maybe", []string{"true, false or tcp-https"}},
		{parseNsqd, "--tls-client-auth-policy=always", []string{"require or require-verify"}},
		{parseNsqd, "--tls-client-auth-policy=require", []string{"--tls-cert and --tls-key are missing"}},
		{parseServe, "--tls-min-version=ssl3.0", []string{"tls1.0, tls1.1, tls1.2 or tls1.3"}},
		{parseServe, "--max-deflate-level=10", []string{"1 to 9"}},
		{parseNsqd, "--no-such-flag=x", []string{"nsqd: --no-such-flag is unknown", "--tcp-address"}},
		{parseNsqd, "--tcp-address=4150", []string{"--tcp-address", "HOST:PORT", "unix socket"}},
		{parseNsqd, "--max-channel-consumers=-1", []string{"a whole number from 0"}},
		{parseNsqd, "--lookupd-tcp-address=lookup-1", []string{"--lookupd-tcp-address", "HOST:PORT or tls://HOST:PORT"}},
		{parseServe, "--lookupd-tcp-address=tls://:4160", []string{"--lookupd-tcp-address"}},
		{parseNsqd, "--node-id=1024", []string{"0 to 1023"}},
		{parseNsqd, "--log-level=loud", []string{"debug, info, warn, error, fatal"}},
	} {
		_, err := c.parse(c.arg)
		if err == nil {
			t.Errorf("%s is accepted", c.arg)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q lacks %q", c.arg, err, part)
			}
		}
	}
}

func TestNsqdTakesDefaultsAboveWhatClientsMayAskFor(t *testing.T) {
	n, err := parseNsqd("--msg-timeout=20m", "--min-output-buffer-timeout=1s", "--output-buffer-timeout=1m")
	if err != nil {
		t.Fatal(err)
	}
	if l := n.Options.TCP; l.MsgTimeout != 20*time.Minute || l.MaxMsgTimeout != 15*time.Minute {
		t.Errorf("got %+v", l)
	}
}

func TestUnixSocketsAndBroadcastPorts(t *testing.T) {
	n, err := parseNsqd("--use-unix-sockets", "--tcp-address=/run/nsqd.sock", "--http-address=unix:///run/nsqd-http.sock",
		"--broadcast-tcp-port=1", "--broadcast-http-port=2", "--topology-zone=z", "--topology-region=r", "--worker-id")
	if err != nil {
		t.Fatal(err)
	}
	o := n.Options
	if o.TCPAddress != "/run/nsqd.sock" || o.HTTPAddress != "unix:///run/nsqd-http.sock" || o.BroadcastTCPPort != 1 || o.BroadcastHTTPPort != 2 ||
		o.TCP.TopologyZone != "z" || o.TCP.TopologyRegion != "r" {
		t.Errorf("got %+v", o)
	}
}

func TestWholeNumbersInTheFileAreMilliseconds(t *testing.T) {
	_, err := parseNsqd("-config=" + writeFile(t, "msg_timeout = 1500\nenable_experiment = \"a, b\"\nmax_req_timeout = \"2500\"\n"))
	if err == nil {
		t.Error("a text without a unit is no duration")
	}
	n, err := parseNsqd("-config=" + writeFile(t, "msg_timeout = 1500\nmax_req_timeout = \"2.5s\"\nmax_msg_size = 77\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l := n.Options.TCP; l.MsgTimeout != 1500*time.Millisecond || l.MaxReqTimeout != 2500*time.Millisecond || l.MaxMsgSize != 77 {
		t.Errorf("got %+v", l)
	}
}

func TestLogLevelChangesWhileTheNodeRuns(t *testing.T) {
	n, err := parseNsqd("--log-level=fatal")
	if err != nil {
		t.Fatal(err)
	}
	setting := n.Options.HTTP.Settings["log_level"]
	if got := setting.Value(); got != int64(5) || n.LogLevel.Level() != slog.LevelError {
		t.Errorf("fatal is shown as %v and logs from %v on", got, n.LogLevel.Level())
	}
	if err := setting.Change([]byte("Debug")); err != nil {
		t.Error(err)
	}
	if got := setting.Value(); got != int64(1) || n.LogLevel.Level() != slog.LevelDebug {
		t.Errorf("debug is shown as %v and logs from %v on", got, n.LogLevel.Level())
	}
	if setting.Change([]byte("loud")) == nil {
		t.Error("a word that is no level is taken")
	}
}
