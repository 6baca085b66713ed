// Package contract compares what a server answers with docs/openapi.yaml. For tests only.
package contract

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is the description of an API.
type Contract struct {
	doc *openapi3.T

	mu   sync.Mutex
	seen map[string]bool // "GET /path" of the answers that were compared
}

// Load reads the description, and fails the test if it is not well-formed itself.
func Load(t *testing.T, file string) *Contract {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &Contract{doc: doc, seen: map[string]bool{}}
}

// Paths fails the test unless the description has exactly these paths and methods below a prefix.
func (c *Contract) Paths(t *testing.T, prefix string, served map[string][]string) {
	t.Helper()
	var described, actual []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, prefix) {
				described = append(described, method+" "+path)
			}
		}
	}
	for path, methods := range served {
		for _, method := range methods {
			if strings.HasPrefix(path, prefix) {
				actual = append(actual, method+" "+path)
			}
		}
	}
	slices.Sort(described)
	slices.Sort(actual)
	for _, operation := range described {
		if !slices.Contains(actual, operation) {
			t.Errorf("%s is described and not served", operation)
		}
	}
	for _, operation := range actual {
		if !slices.Contains(described, operation) {
			t.Errorf("%s is served and not described", operation)
		}
	}
}

// Answer fails the test unless an answer is as described for the path (a pattern of the description) and method.
func (c *Contract) Answer(t *testing.T, method, path string, status int, body []byte) {
	t.Helper()
	item := c.doc.Paths.Find(path)
	if item == nil || item.GetOperation(method) == nil {
		t.Errorf("%s %s is not described", method, path)
		return
	}
	c.mu.Lock()
	c.seen[method+" "+path] = c.seen[method+" "+path] || status == 200
	c.mu.Unlock()
	responses := item.GetOperation(method).Responses
	response := responses.Status(status)
	if response == nil {
		response = responses.Default()
	}
	if response == nil {
		t.Errorf("%s %s: status %d is not described", method, path, status)
		return
	}
	if content := response.Value.Content.Get("application/json"); content != nil {
		c.value(t, method+" "+path, content.Schema, body)
	}
}

// Schema fails the test unless JSON is as a named schema describes it.
func (c *Contract) Schema(t *testing.T, name string, body []byte) {
	t.Helper()
	schema := c.doc.Components.Schemas[name]
	if schema == nil {
		t.Errorf("no schema %s is described", name)
		return
	}
	c.value(t, name, schema, body)
}

func (c *Contract) value(t *testing.T, what string, schema *openapi3.SchemaRef, body []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Errorf("%s: %v in %q", what, err, body)
		return
	}
	if err := schema.Value.VisitJSON(value); err != nil {
		t.Errorf("%s: %v\n%s", what, err, body)
	}
}

// Complete fails the test unless a 200 of every operation below a prefix was compared.
func (c *Contract) Complete(t *testing.T, prefix string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, prefix) && !c.seen[method+" "+path] {
				t.Errorf("no answer of %s %s was compared", method, path)
			}
		}
	}
}
