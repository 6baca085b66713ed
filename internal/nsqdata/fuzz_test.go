package nsqdata

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// FuzzReadMetadata reads an nsqd.dat that says anything.
func FuzzReadMetadata(f *testing.F) {
	f.Add([]byte(`{"version":"1.3.0","topics":[{"name":"t","paused":false,"channels":[{"name":"c","paused":true}]}]}`))
	f.Add([]byte(`{"topics":null}`))
	f.Add([]byte(`[`))
	path := filepath.Join(f.TempDir(), "nsqd.dat")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Memory(t, len(text), func() { readMetadata(path) })
		m, err := readMetadata(path)
		if err != nil {
			return
		}
		for _, topic := range m.Topics {
			_ = topic.Name
		}
	})
}
