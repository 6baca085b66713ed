package httpdoor

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

const (
	// compressFrom is the size in bytes of the first write from which on an answer is worth compressing.
	compressFrom = 4 << 10
	// compressAtOnce bounds the processors that compress; whoever finds them taken is answered uncompressed.
	compressAtOnce = 2
)

// Compressed returns a handler that compresses next's large answers in JSON for clients that say they read gzip.
func Compressed(next http.Handler) http.Handler {
	c := &compressor{slotC: make(chan struct{}, compressAtOnce)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !TakesGzip(r) || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		cw := &compressedWriter{ResponseWriter: w, by: c}
		defer cw.close()
		next.ServeHTTP(cw, r)
		if cw.held != 0 {
			cw.begin(0)
		}
	})
}

// TakesGzip reports whether the client says that it can read gzip.
func TakesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		quality = strings.ReplaceAll(quality, " ", "")
		if (coding == "gzip" || coding == "*") && quality != "q=0" && quality != "q=0.0" {
			return true
		}
	}
	return false
}

// compressor keeps what answers are compressed with.
type compressor struct {
	slotC   chan struct{} // holds one for each answer that is being compressed
	writers sync.Pool
}

// compressedWriter holds the status of an answer in JSON back until its first write shows how large it is.
type compressedWriter struct {
	http.ResponseWriter
	by   *compressor
	held int          // the status that is held back; 0 if none is
	to   *gzip.Writer // nil: not compressed
}

// Unwrap is for http.ResponseController.
func (w *compressedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *compressedWriter) WriteHeader(status int) {
	h := w.Header()
	if status == http.StatusOK && strings.HasPrefix(h.Get("Content-Type"), "application/json") && h.Get("Content-Encoding") == "" {
		w.held = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *compressedWriter) Write(p []byte) (int, error) {
	if w.held != 0 {
		w.begin(len(p))
	}
	if w.to != nil {
		return w.to.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// begin sends the status that was held back, and decides.
func (w *compressedWriter) begin(size int) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if size >= compressFrom {
		select {
		case w.by.slotC <- struct{}{}:
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			w.to, _ = w.by.writers.Get().(*gzip.Writer)
			if w.to == nil {
				w.to, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
			}
			w.to.Reset(w.ResponseWriter)
		default:
		}
	}
	w.ResponseWriter.WriteHeader(w.held)
	w.held = 0
}

// close ends the compression, also after a panic.
func (w *compressedWriter) close() {
	if w.to != nil {
		w.to.Close() // the client is gone if it fails
		w.by.writers.Put(w.to)
		<-w.by.slotC
	}
}
