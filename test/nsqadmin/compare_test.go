//go:build process

package nsqadmin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// differences are places where Weir answers otherwise on purpose; a path of an answer, and why.
var differences = map[string]string{
	"/api/topics/orders .channels[].nodes":         "lists every node; nsqadmin leaves out the first, into which it adds the others",
	"/api/topics/orders .channels[].clients":       "an empty list; nsqadmin says null",
	"/api/topics/orders .nodes[].channels[].nodes": "null, for it is one node's; nsqadmin adds the other nodes to the first one's",
}

// compare returns where two answers differ in shape. null goes with everything that can be absent: lists and objects.
func compare(at string, stock, weir any) []string {
	if stock == nil || weir == nil {
		for _, v := range []any{stock, weir} {
			switch v.(type) {
			case nil, []any, map[string]any:
			default:
				return []string{fmt.Sprintf("%s: %T and %T", at, stock, weir)}
			}
		}
		return nil
	}
	switch s := stock.(type) {
	case map[string]any:
		w, ok := weir.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T and %T", at, stock, weir)}
		}
		var found []string
		for _, key := range slices.Sorted(maps.Keys(s)) {
			if _, ok := w[key]; !ok {
				found = append(found, at+"."+key+": missing")
				continue
			}
			found = append(found, compare(at+"."+key, s[key], w[key])...)
		}
		for key := range w {
			if _, ok := s[key]; !ok {
				found = append(found, at+"."+key+": not in nsqadmin's")
			}
		}
		return found
	case []any:
		w, ok := weir.([]any)
		if !ok || len(s) != len(w) {
			return []string{fmt.Sprintf("%s: %d entries, %v", at, len(s), weir)}
		}
		var found []string
		for i := range s {
			found = append(found, compare(at+"[]", s[i], w[i])...)
		}
		return found
	}
	if fmt.Sprintf("%T", stock) != fmt.Sprintf("%T", weir) {
		return []string{fmt.Sprintf("%s: %T and %T", at, stock, weir)}
	}
	return nil
}

// TestScriptsForNsqadminGetTheSameShapes asks both pages the same.
func TestScriptsForNsqadminGetTheSameShapes(t *testing.T) {
	i := install(t)
	for n, node := range []string{i.nsqds[0].http, i.nsqds[1].http, i.weir.http} {
		for range n + 2 {
			i.must("POST", node+"/pub?topic=orders", "x")
		}
		i.must("POST", node+"/channel/create?topic=orders&channel=audit", "")
	}
	i.must("POST", i.lookup+"/topic/create?topic=gone", "")
	eventually(t, "all nodes have the topic", func() bool {
		_, topic := i.ask(i.weirPage, "/api/topics/orders/audit")
		return topic["message_count"] == 9.0
	})
	for _, path := range []string{"/api/topics", "/api/topics?inactive=true", "/api/topics/orders", "/api/topics/orders/audit", "/api/nodes",
		"/api/nodes/" + i.nsqds[0].http, "/api/nodes/" + i.weir.http, "/api/nodes/none:1", "/api/counter", "/api/graphite", "/api/graphite?metric=rate"} {
		stockStatus, stock := i.ask(i.stockAdmin, path)
		weirStatus, weir := i.ask(i.weirPage, path)
		if stockStatus != weirStatus || len(stock) == 0 {
			t.Errorf("%s: stock %d %v, weir %d %v", path, stockStatus, stock, weirStatus, weir)
		}
		for _, difference := range compare("", stock, weir) {
			place, _, _ := strings.Cut(difference, ": ")
			known := false
			for at := range differences {
				known = known || strings.HasPrefix(path+" "+place, at)
			}
			if !known {
				t.Errorf("%s %s", path, difference)
			}
		}
	}
	for _, path := range []string{"/api/topics/orders", "/api/topics/orders/audit"} {
		_, stock := i.ask(i.stockAdmin, path)
		_, weir := i.ask(i.weirPage, path)
		for _, key := range []string{"node", "topic_name", "depth", "message_count", "paused", "message"} {
			if stock[key] != weir[key] {
				t.Errorf("%s %s: stock %v, weir %v", path, key, stock[key], weir[key])
			}
		}
	}
}

// TestActionsWorkOnStockDaemons: create, pause, empty, delete, tombstone, publish.
func TestActionsWorkOnStockDaemons(t *testing.T) {
	i := install(t)
	api := i.weirPage + "/api"
	for _, node := range []string{i.nsqds[0].http, i.nsqds[1].http, i.weir.http} {
		i.must("POST", node+"/pub?topic=orders", "x")
	}
	topic := func() map[string]any { _, v := i.ask(i.weirPage, "/api/topics/orders"); return v }
	eventually(t, "the lookup service knows the topic of all nodes", func() bool { nodes, _ := topic()["nodes"].([]any); return len(nodes) == 3 })
	i.must("POST", api+"/topics", `{"topic":"orders","channel":"audit"}`)
	eventually(t, "the channel is everywhere", func() bool {
		_, channel := i.ask(i.weirPage, "/api/topics/orders/audit")
		nodes, _ := channel["nodes"].([]any)
		return len(nodes) == 3
	})
	i.must("POST", api+"/topics/orders", `{"action":"pause"}`)
	if topic()["paused"] != true {
		t.Error("not paused")
	}
	i.must("POST", api+"/topics/orders", `{"action":"unpause"}`)
	i.must("POST", api+"/topics/orders/audit", `{"action":"pause"}`)
	eventually(t, "the messages are in the channel", func() bool {
		_, channel := i.ask(i.weirPage, "/api/topics/orders/audit")
		return channel["depth"] == 3.0 && channel["paused"] == true
	})
	i.must("POST", api+"/topics/orders/audit", `{"action":"empty"}`)
	if _, channel := i.ask(i.weirPage, "/api/topics/orders/audit"); channel["depth"] != 0.0 {
		t.Errorf("not emptied: %v", channel["depth"])
	}
	i.must("POST", api+"/v1/publish", `{"topic":"orders","text":"hello","node":"`+i.nsqds[1].http+`","count":3}`)
	if _, channel := i.ask(i.weirPage, "/api/topics/orders/audit"); channel["depth"] != 3.0 {
		t.Errorf("not published: %v", channel["depth"])
	}
	i.must("DELETE", api+"/nodes/"+i.nsqds[0].http, `{"topic":"orders"}`)
	eventually(t, "the topic is gone from one node", func() bool { nodes, _ := topic()["nodes"].([]any); return len(nodes) == 2 })
	i.must("DELETE", api+"/topics/orders/audit", "")
	if channels, _ := topic()["channels"].([]any); len(channels) != 0 {
		t.Errorf("channels: %v", channels)
	}
	i.must("DELETE", api+"/topics/orders", "")
	if status, _ := i.ask(i.weirPage, "/api/topics/orders"); status != 404 {
		t.Errorf("the topic is there still: %d", status)
	}
}

// TestNodeThatIsKilledIsAWarning, and nothing worse.
func TestNodeThatIsKilledIsAWarning(t *testing.T) {
	i := install(t)
	for _, node := range []string{i.nsqds[0].http, i.weir.http} {
		i.must("POST", node+"/pub?topic=orders", "x")
	}
	eventually(t, "both have the topic", func() bool {
		_, topic := i.ask(i.weirPage, "/api/topics/orders")
		nodes, _ := topic["nodes"].([]any)
		return len(nodes) == 2
	})
	frozen := i.nsqds[0]
	if err := frozen.Signal(stopSignal); err != nil {
		t.Fatal(err)
	}
	status, topic := i.ask(i.weirPage, "/api/topics/orders")
	if message, _ := topic["message"].(string); status != 200 || !strings.Contains(message, frozen.http) || topic["message_count"] != 1.0 {
		t.Errorf("with a frozen node: %d %v", status, topic)
	}
	if err := frozen.Kill(); err != nil {
		t.Fatal(err)
	}
	status, table := i.ask(i.weirPage, "/api/v1/nodes")
	if status != 200 || len(table["nodes"].([]any)) < 2 {
		t.Errorf("with a dead node: %d %v", status, table)
	}
}
