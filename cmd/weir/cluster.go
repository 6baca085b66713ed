package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/secret"
	"github.com/weirmq/weir/internal/config"
)

const clusterUsage = `usage: weir cluster status [--http-address=HOST:PORT] [--json]
       weir cluster key

  status   the nodes, and who leads which partition
  key      print a fresh cluster key, for --cluster-key-file of all nodes. Who has it can join: keep it secret`

// runCluster is `weir cluster`: how the cluster does, and a fresh key for one.
func runCluster(ctx context.Context, p process) error {
	if len(p.args) == 0 {
		return &config.UsageError{Command: "weir cluster", Where: "arguments", Problem: "are missing", Accepts: "status or key"}
	}
	word := p.args[0]
	p.args = p.args[1:]
	switch word {
	case "status":
		return clusterStatus(ctx, p)
	case "key":
		if err := parse(p, config.NewSet("weir cluster key"), clusterUsage); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.out, secret.New().Text())
		return err
	case "-h", "--help", "-help", "help":
		_, err := fmt.Fprintln(p.out, clusterUsage)
		return err
	}
	return &config.UsageError{Command: "weir cluster", Where: fmt.Sprintf("verb %q", word), Problem: "is unknown", Accepts: "status or key"}
}

// statusTimeout bounds what one node is asked for.
const statusTimeout = 3 * time.Second

func clusterStatus(ctx context.Context, p process) error {
	address, asJSON, token := "127.0.0.1:4151", false, ""
	s := config.NewSet("weir cluster status")
	s.String(&address, "http-address", "HOST:PORT", "HTTP address of any node")
	s.Bool(&asJSON, "json", "print what the node says, as JSON")
	s.String(&token, "token", "TEXT", "token for the HTTP API, if the nodes want one")
	if err := parse(p, s, clusterUsage); err != nil {
		return err
	}
	view, raw, err := askCluster(ctx, address, token)
	if err != nil {
		return fmt.Errorf("weir cluster status: %w", err)
	}
	if asJSON {
		_, err := p.out.Write(raw)
		return err
	}
	if !view.Enabled {
		_, err := fmt.Fprintf(p.out, "%s is a node alone\n", address)
		return err
	}
	views := map[catalog.NodeID]api.Cluster{view.Self: view}
	for _, n := range view.Nodes {
		if n.ID == view.Self || n.HTTPPort == 0 {
			continue
		}
		if other, _, err := askCluster(ctx, net.JoinHostPort(n.Host, strconv.Itoa(int(n.HTTPPort))), token); err == nil {
			views[n.ID] = other
		}
	}
	return printCluster(p.out, view, views)
}

// askCluster asks a node for its view.
func askCluster(ctx context.Context, address, token string) (view api.Cluster, raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/cluster", nil)
	if err != nil {
		return view, nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return view, nil, err
	}
	defer response.Body.Close()
	if raw, err = io.ReadAll(io.LimitReader(response.Body, 64<<20)); err != nil {
		return view, nil, err
	}
	if response.StatusCode != http.StatusOK {
		return view, nil, fmt.Errorf("%s answers %s: %.200s", address, response.Status, raw)
	}
	if err := json.Unmarshal(raw, &view); err != nil {
		return view, nil, errors.Join(fmt.Errorf("%s does not answer as a weir node does", address), err)
	}
	return view, raw, nil
}

// printCluster prints the nodes as one sees them, each partition as its leader sees it, and what each node says is wrong with it.
func printCluster(w io.Writer, view api.Cluster, views map[catalog.NodeID]api.Cluster) error {
	fmt.Fprintf(w, "cluster %s, seen by node %d\n\n", view.Cluster, view.Self)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tNAME\tSTATE\tRTT")
	var problems []string
	for _, n := range view.Nodes {
		state := "up"
		switch {
		case !n.Up:
			state = "down"
			problems = append(problems, fmt.Sprintf("node %d is down: %s", n.ID, n.Problem))
		case n.Stopping:
			state = "stopping"
		case n.ID == view.Self:
		case n.HTTPPort == 0:
			problems = append(problems, fmt.Sprintf("node %d was not asked: node %d does not know its HTTP address", n.ID, view.Self))
		case views[n.ID].Self == 0:
			problems = append(problems, fmt.Sprintf("node %d was not asked: its HTTP address did not answer", n.ID))
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", n.ID, n.Name, state, rttOf(n))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "\nTOPIC\tPARTITION\tLEADER\tREPLICAS")
	for _, part := range merge(views) {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", nameOf(part.Topic), part.Partition, leaderOf(part.ClusterPartition), replicasOf(part))
		for _, node := range slices.Sorted(maps.Keys(part.out)) {
			problems = append(problems, fmt.Sprintf("node %d neither votes for nor leads %s/%d: %s", node, nameOf(part.Topic), part.Partition, part.out[node]))
		}
	}
	if err := table.Flush(); err != nil || len(problems) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "\nPROBLEMS\n%s\n", strings.Join(problems, "\n"))
	return err
}

func rttOf(n api.ClusterNode) string {
	if n.RTTMicros == 0 || !n.Up {
		return "-"
	}
	return (time.Duration(n.RTTMicros) * time.Microsecond).String()
}

// merged is a partition as its leader sees it, if that was asked, and which nodes say that their replica is out, and why.
type merged struct {
	api.ClusterPartition
	out map[catalog.NodeID]string
}

// merge joins what the nodes say, sorted by topic, the catalog first.
func merge(views map[catalog.NodeID]api.Cluster) []*merged {
	type key struct {
		topic     string
		partition uint16
	}
	all := make(map[key]*merged)
	for _, node := range slices.Sorted(maps.Keys(views)) {
		for _, part := range views[node].Partitions {
			k := key{part.Topic, part.Partition}
			m := all[k]
			if m == nil {
				m = &merged{out: make(map[catalog.NodeID]string)}
				all[k] = m
			}
			if part.Problem != "" {
				m.out[node] = part.Problem
			}
			better := part.Term > m.Term || part.Term == m.Term && (m.Leader == 0 || len(part.Replicas) > len(m.Replicas))
			if m.Topic == "" && m.Preferred == 0 || better {
				m.ClusterPartition = part
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *merged) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

func nameOf(topic string) string {
	if topic == "" {
		return "(catalog)"
	}
	return topic
}

func leaderOf(p api.ClusterPartition) string {
	switch {
	case p.Leader == 0:
		return "none"
	case p.Preferred != 0 && p.Leader != p.Preferred:
		return fmt.Sprintf("%d (preferred: %d)", p.Leader, p.Preferred)
	}
	return fmt.Sprint(p.Leader)
}

// replicasOf lists the nodes that hold replicas, as the leader knows them.
func replicasOf(p *merged) string {
	var list []string
	for _, r := range p.Replicas {
		text := fmt.Sprint(r.Node)
		switch {
		case p.out[r.Node] != "":
			text += " (out)"
		case !r.Active:
			text += " (away)"
		case r.Lag > 0:
			text += fmt.Sprintf(" (%d behind)", r.Lag)
		}
		list = append(list, text)
	}
	switch {
	case len(list) == 0 && p.Leader == 0:
		return "-"
	case len(list) == 0:
		return "its leader was not asked"
	}
	return strings.Join(list, ", ")
}
