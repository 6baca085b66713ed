package nsqhttp

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// BenchmarkMetricsOfAThousandTopics is one scrape by Prometheus.
func BenchmarkMetricsOfAThousandTopics(b *testing.B) {
	bk, err := broker.Open(hostile.New(hostile.Benign()), broker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer bk.Close(context.Background())
	for i := range 1000 {
		t, err := bk.CreateTopic(context.Background(), fmt.Sprintf("topic_%04d", i))
		if err == nil {
			_, err = t.CreateChannel(context.Background(), "channel")
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	s, err := New(bk, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
}
