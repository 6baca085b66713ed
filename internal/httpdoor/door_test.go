package httpdoor

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPathsAndMethods(t *testing.T) {
	errOwn := errors.New("own")
	d := &Door{Logger: slog.New(slog.DiscardHandler), Translate: func(err error) *Error {
		if err == errOwn {
			return &Error{http.StatusConflict, "OWN"}
		}
		return nil
	}}
	d.Routes = Routes{
		"/text":   Post(d.Text(func(*http.Request) (string, error) { return "done", nil })),
		"/value":  Get(d.JSON(func(*http.Request) (any, error) { return []int{1}, nil })),
		"/own":    Get(d.JSON(func(*http.Request) (any, error) { return nil, errOwn })),
		"/other":  Get(d.JSON(func(*http.Request) (any, error) { return nil, errors.New("x") })),
		"/panic":  Get(d.JSON(func(*http.Request) (any, error) { panic("x") })),
		"/query":  Get(d.JSON(func(r *http.Request) (any, error) { return Query(r) })),
		"/word/:": Get(d.JSON(func(r *http.Request) (any, error) { return r.PathValue("word"), nil })),
		"/dir/":   Get(d.Text(func(*http.Request) (string, error) { return "", nil })),
	}
	for _, c := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"POST", "/text", 200, "done"},
		{"POST", "/text/", 307, ""},
		{"GET", "/text", 405, `{"message":"METHOD_NOT_ALLOWED"}`},
		{"OPTIONS", "/text", 200, ""},
		{"GET", "/value", 200, "[1]"},
		{"GET", "/dir?x=1", 301, "<a href=\"/dir/?x=1\">Moved Permanently</a>.\n\n"},
		{"GET", "/word/x", 200, `"x"`},
		{"GET", "/word/x/", 301, "<a href=\"/word/x\">Moved Permanently</a>.\n\n"},
		{"GET", "/word/", 404, `{"message":"NOT_FOUND"}`},
		{"GET", "/word", 404, `{"message":"NOT_FOUND"}`},
		{"GET", "/own", 409, `{"message":"OWN"}`},
		{"GET", "/other", 500, `{"message":"INTERNAL_ERROR"}`},
		{"GET", "/panic", 500, `{"message":"INTERNAL_ERROR"}`},
		{"GET", "/query?a=%zz", 400, `{"message":"INVALID_REQUEST"}`},
		{"GET", "/nothing", 404, `{"message":"NOT_FOUND"}`},
	} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.target, w.Code, w.Body, c.status, c.body)
		}
		if c.status == 405 && w.Header().Get("Allow") != "OPTIONS, POST" {
			t.Errorf("Allow: %s", w.Header().Get("Allow"))
		}
	}
}
