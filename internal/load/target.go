package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Target is the broker under load.
type Target struct {
	TCP  string // HOST:PORT
	HTTP string // HOST:PORT; "": topics are made by their first use, and stay
	PID  int    // of its process on this machine, to tell its memory and CPU time; 0: not known
	// Prefix begins the names of all topics that a run makes and deletes.
	Prefix string
}

// change posts to an endpoint of a topic, such as /topic/create.
func (t *Target) change(ctx context.Context, endpoint, topic string) error {
	if t.HTTP == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	address := "http://" + t.HTTP + endpoint + "?topic=" + url.QueryEscape(topic)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s: %s", address, response.Status, text)
	}
	return nil
}
