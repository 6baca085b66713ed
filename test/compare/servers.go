package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is one of those that are compared, in one configuration.
type server struct {
	name    string
	missing func() string                     // why it cannot run, and how to install it; "" if it can
	start   func(dir string) (running, error) // with its data below dir
}

// running is a server that was started.
type running interface {
	// can reports whether it can be asked for a load.
	can(l load) bool
	// measure puts a load on it, for about d.
	measure(l load, d time.Duration) (measurement, error)
	// pid returns its process, 0 for none.
	pid() int
	stop() error
}

// The servers that ratios are taken to.
const (
	baseline = "nsqd-memory"
	null     = "null"
)

// servers returns all of them, in the order of the report. bin is the directory of what make has built.
func servers(bin string) []server {
	weir, nsqd := filepath.Join(bin, "weir"), filepath.Join(bin, "stock", "nsqd")
	const makeWeir, makeStock = "build it: make build", "build it: make stock"
	serve := func(sync string) func(dir, tcp, http string) []string {
		return func(dir, tcp, http string) []string {
			return []string{"serve", "--data-path=" + dir, "--sync=" + sync, "--tcp-address=" + tcp, "--http-address=" + http,
				"--discovery-tcp-address=", "--admin-address=", "--log-level=error"}
		}
	}
	stock := func(flags ...string) func(dir, tcp, http string) []string {
		return func(dir, tcp, http string) []string {
			return append([]string{"-data-path=" + dir, "-tcp-address=" + tcp, "-http-address=" + http, "-log-level=error"}, flags...)
		}
	}
	nats := filepath.Join(bin, "peers", "nats-server")
	return []server{
		nsqServer("weir-always", weir, weir, makeWeir, serve("always")),
		nsqServer("weir-os", weir, weir, makeWeir, serve("os")),
		nsqServer(baseline, weir, nsqd, makeStock, stock("-mem-queue-size=3000000")),
		nsqServer("nsqd-default", weir, nsqd, makeStock, stock()),
		nsqServer("nsqd-sync1", weir, nsqd, makeStock, stock("-mem-queue-size=0", "-sync-every=1")),
		nsqServer(null, weir, weir, makeWeir, func(_, tcp, _ string) []string { return []string{"bench", "null", "--nsqd-tcp-address=" + tcp} }),
		natsServer("nats-always", "always", nats),
		natsServer("nats-default", "", nats),
		redisServer("redis-always", "always", "redis-server"),
		redisServer("redis-everysec", "everysec", "redis-server"),
		rabbitServer("rabbitmq-quorum", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
		diskServer(),
	}
}

// chosenServers returns the servers of these names, or all for none.
func chosenServers(all []server, names string) ([]server, error) {
	if names == "" {
		return all, nil
	}
	var list []server
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, s := range all {
			if s.name == name {
				list, found = append(list, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("server %q is unknown: see -help", name)
		}
	}
	return list, nil
}

// wants returns what says whether a program is installed, and if not how to have it.
func wants(program, install string) func() string {
	return func() string {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("%s is not installed; %s", filepath.Base(program), install)
		}
		return ""
	}
}

// peer is a running server that does not speak NSQ's protocol.
type peer struct {
	*process
	also    *process // ends after it; may be nil
	client  client
	batches bool // its publishers are batchers
}

// can leaves out batches where the protocol has none, and what only NSQ's protocol knows.
func (p *peer) can(l load) bool {
	return !l.nsq && (l.batch == 1 || p.batches && l.window == 1)
}

func (p *peer) measure(l load, d time.Duration) (measurement, error) { return drive(p.client, l, d) }

func (p *peer) stop() error {
	err := p.end()
	if p.also != nil {
		p.also.end()
	}
	return err
}
