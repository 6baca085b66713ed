package nsqtonsq

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Filter chooses messages that are JSON objects by one of their fields, and reduces them to some. The zero Filter lets every
// message through as it is.
type Filter struct {
	// RequireField is a field that a message must have; empty: none.
	RequireField string
	// RequireValue is what that field must hold: a string equal to it, or a number of the same value. Empty: anything.
	RequireValue string
	// Fields are the fields that are passed on; none: the message as it is.
	Fields []string
}

// apply returns what is passed on of a message, or false if nothing is. A message that is not a JSON object is an error unless the
// filter lets everything through.
func (f *Filter) apply(body []byte) (passed []byte, ok bool, err error) {
	if f.RequireField == "" && len(f.Fields) == 0 {
		return body, true, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, false, fmt.Errorf("not a JSON object: %w", err)
	}
	if f.RequireField != "" && !f.holds(object[f.RequireField]) {
		return nil, false, nil
	}
	if len(f.Fields) == 0 {
		return body, true, nil
	}
	reduced := make(map[string]json.RawMessage, len(f.Fields))
	for _, field := range f.Fields {
		if value, there := object[field]; there {
			reduced[field] = value
		}
	}
	passed, err = json.Marshal(reduced)
	return passed, err == nil, err
}

// holds reports whether a field's value, nil if there is no such field, is the required one.
func (f *Filter) holds(value json.RawMessage) bool {
	if value == nil || f.RequireValue == "" {
		return value != nil
	}
	var v any
	if json.Unmarshal(value, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case string:
		return v == f.RequireValue
	case float64:
		number, err := strconv.ParseFloat(f.RequireValue, 64)
		return err == nil && number == v
	}
	return false
}
