// Package httpdoor is the manner of NSQ's HTTP APIs, without any endpoint: how paths and methods are matched, how answers and errors
// are written, and how long and how many clients may keep a server busy. The doors that serve such an API put their endpoints
// into a Door's Routes.
//
// An error is JSON {"message":"WORD"}; a text is plain; a wrong method is 405 with Allow; a slash too many or too few at the end
// of a path is redirected. Parameters come from the query string only.
//
// Concurrency: a Door is not changed once it serves; handlers run on net/http's goroutines.
package httpdoor

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
)

// Error is an answer other than 200: a status, and a word that programs compare.
type Error struct {
	Status int
	Word   string
}

// NewError returns an Error.
func NewError(status int, word string) *Error { return &Error{status, word} }

// Error returns the word.
func (e *Error) Error() string { return e.Word }

// Routes are handlers by path, then method. A path that ends with a colon stands for all with one more word in its place, which
// handlers get as r.PathValue("word").
type Routes map[string]Methods

// find returns the handlers of a path, nil if there is no such endpoint.
func (routes Routes) find(r *http.Request, path string) Methods {
	if methods := routes[path]; methods != nil {
		return methods
	}
	slash := strings.LastIndexByte(path, '/') + 1
	if slash == len(path) {
		return nil
	}
	r.SetPathValue("word", path[slash:])
	return routes[path[:slash]+":"]
}

// Methods are the handlers of one path by method.
type Methods map[string]http.HandlerFunc

// Get and Post return the handlers of a path that takes one method.
func Get(h http.HandlerFunc) Methods { return Methods{http.MethodGet: h} }

// Post is Get for POST.
func Post(h http.HandlerFunc) Methods { return Methods{http.MethodPost: h} }

// Door serves an API.
type Door struct {
	Routes Routes
	// Translate returns the answer for an error that is not an *Error, nil if it has none: that is 500 INTERNAL_ERROR, and goes
	// to the log. May be nil.
	Translate func(error) *Error
	Logger    *slog.Logger
}

// ServeHTTP finds the endpoint.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			d.Logger.Error("request failed by a bug; please report it", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			d.Fail(w, &Error{http.StatusInternalServerError, "INTERNAL_ERROR"})
		}
	}()
	handlers := d.Routes.find(r, r.URL.Path)
	if handlers == nil {
		d.redirectOrRefuse(w, r)
		return
	}
	if handler := handlers[r.Method]; handler != nil {
		handler(w, r)
		return
	}
	methods := []string{http.MethodOptions}
	for m := range handlers {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	w.Header().Set("Allow", strings.Join(methods, ", "))
	if r.Method != http.MethodOptions {
		d.Fail(w, &Error{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"})
	}
}

// redirectOrRefuse forgives a slash too many or too few at the end of the path.
func (d *Door) redirectOrRefuse(w http.ResponseWriter, r *http.Request) {
	other := r.URL.Path + "/"
	if strings.HasSuffix(r.URL.Path, "/") {
		other = strings.TrimSuffix(r.URL.Path, "/")
	}
	if d.Routes.find(r, other)[r.Method] == nil {
		d.Fail(w, &Error{http.StatusNotFound, "NOT_FOUND"})
		return
	}
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	target := *r.URL
	target.Path = other
	http.Redirect(w, r, target.RequestURI(), status)
}

// Text makes a handler of a function that answers with a text, empty or not, or an error.
func (d *Door) Text(answer func(*http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := answer(r)
		if err != nil {
			d.Fail(w, err)
			return
		}
		w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
		if text != "" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, text)
	}
}

// JSON makes a handler of a function that answers with a value to be encoded, or an error.
func (d *Door) JSON(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := answer(r)
		if err != nil {
			d.Fail(w, err)
			return
		}
		d.WriteJSON(w, http.StatusOK, value)
	}
}

// WriteJSON answers with a value that can be encoded.
func (d *Door) WriteJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types: ServeHTTP reports it
	}
	w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

// Fail answers with an error.
func (d *Door) Fail(w http.ResponseWriter, err error) {
	answer := d.answer(err)
	d.WriteJSON(w, answer.Status, struct {
		Message string `json:"message"`
	}{answer.Word})
}

func (d *Door) answer(err error) *Error {
	var answer *Error
	if errors.As(err, &answer) {
		return answer
	}
	if d.Translate != nil {
		if answer := d.Translate(err); answer != nil {
			return answer
		}
	}
	d.Logger.Error("request failed", "error", err)
	return &Error{http.StatusInternalServerError, "INTERNAL_ERROR"}
}

// Query returns the parameters, which come from the query string only.
func Query(r *http.Request) (url.Values, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &Error{http.StatusBadRequest, "INVALID_REQUEST"}
	}
	return params, nil
}
