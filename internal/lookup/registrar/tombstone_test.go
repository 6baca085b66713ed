package registrar

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// TestWithdraw puts a tombstone at one of two services: the broker then has it at both, and only for that topic.
func TestWithdraw(t *testing.T) {
	one, two := startLookup(t, "127.0.0.1:0"), startLookup(t, "127.0.0.1:0")
	r, b, _ := newRegistrar(t, Options{}, one.TCPAddr(), two.TCPAddr())
	b.set(Topic{"t", nil}, Topic{"u", nil})
	eventually(t, "both know the topics", func() bool {
		return strings.Contains(get(t, one, "/nodes"), `"topics":["t","u"]`) && strings.Contains(get(t, two, "/nodes"), `"topics":["t","u"]`)
	})
	if r.Withdraw(context.Background(), "t") {
		t.Error("withdrawn without a tombstone")
	}
	for _, node := range []string{"b:4152", "b:4151"} {
		answer, err := http.Post("http://"+one.HTTPAddr()+"/topic/tombstone?topic=t&node="+node, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got, want := r.Withdraw(context.Background(), "t"), node == "b:4151"; got != want {
			t.Errorf("after a tombstone for %s: withdrawn %v", node, got)
		}
	}
	if got := get(t, two, "/nodes"); !strings.Contains(got, `"tombstones":[true,false]`) {
		t.Errorf("the other service says %s", got)
	}
	if r.Withdraw(context.Background(), "u") {
		t.Error("another topic is withdrawn")
	}
}
