package httpdoor

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLargeJSONIsCompressedWhenAsked(t *testing.T) {
	large, small := `["`+strings.Repeat("abc", 40_000)+`"]`, `{}`
	for _, c := range []struct {
		name, accept, contentType, body, method string
		status                                  int
		compressed                              bool
	}{
		{"large", "gzip, br", "application/json; charset=utf-8", large, "GET", 200, true},
		{"small", "gzip", "application/json", small, "GET", 200, false},
		{"not asked", "", "application/json", large, "GET", 200, false},
		{"refused", "gzip;q=0", "application/json", large, "GET", 200, false},
		{"an error", "gzip", "application/json", large, "GET", 500, false},
		{"a body", "gzip", "application/octet-stream", large, "GET", 200, false},
		{"a stream", "gzip", "text/event-stream", large, "GET", 200, false},
		{"head", "gzip", "application/json", large, "HEAD", 200, false},
	} {
		h := Compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.contentType)
			w.WriteHeader(c.status)
			for part := c.body; part != ""; { // as io.Copy does
				n := min(len(part), 32<<10)
				io.WriteString(w, part[:n])
				part = part[n:]
			}
		}))
		r, w := httptest.NewRequest(c.method, "/", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", c.accept)
		h.ServeHTTP(w, r)
		got, body := w.Header().Get("Content-Encoding") == "gzip", io.Reader(w.Body)
		sent := w.Body.Len()
		if got {
			body, _ = gzip.NewReader(w.Body)
		}
		text, err := io.ReadAll(body)
		if got != c.compressed || string(text) != c.body || w.Code != c.status || err != nil {
			t.Errorf("%s: compressed %v, %d, %d bytes, %v", c.name, got, w.Code, len(text), err)
		}
		if got && sent > len(c.body)/20 {
			t.Errorf("%s: %d bytes of %d", c.name, sent, len(c.body))
		}
	}
}

func TestAnswerWithoutBodyKeepsItsStatus(t *testing.T) {
	h := Compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	}))
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.Header.Set("Accept-Encoding", "gzip")
	h.ServeHTTP(w, r)
	if w.Code != 200 || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestOnlySoManyAnswersAreCompressedAtATime: the others are answered all the same.
func TestOnlySoManyAnswersAreCompressedAtATime(t *testing.T) {
	goC, begunC := make(chan struct{}), make(chan struct{}, compressAtOnce+1)
	large := strings.Repeat("x", compressFrom)
	server := httptest.NewServer(Compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, large)
		begunC <- struct{}{}
		<-goC
	})))
	defer server.Close()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableCompression: true}}
	var asking sync.WaitGroup
	encodingC := make(chan string, compressAtOnce+1)
	ask := func() {
		asking.Go(func() {
			r, _ := http.NewRequest("GET", server.URL, nil)
			r.Header.Set("Accept-Encoding", "gzip")
			answer, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			encodingC <- answer.Header.Get("Content-Encoding")
		})
		<-begunC
	}
	for range compressAtOnce + 1 {
		ask()
	}
	close(goC)
	asking.Wait()
	close(encodingC)
	plain := 0
	for encoding := range encodingC {
		if encoding == "" {
			plain++
		}
	}
	if plain != 1 {
		t.Errorf("%d were not compressed", plain)
	}
}
