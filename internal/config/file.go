package config

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// parseFile reads the TOML file into the settings that neither a flag nor the environment gave. Every key must be known, used
// or not, so that a misspelt one is found.
func (s *Set) parseFile(path string) error {
	var values map[string]any
	if _, err := toml.DecodeFile(path, &values); err != nil {
		if _, statErr := os.Stat(path); statErr != nil {
			return &UsageError{Command: s.command, Where: s.byName["config"].source,
				Problem: "cannot be read: " + statErr.Error()}
		}
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			message := strings.Join(strings.Fields(syntax.Message), " ") // it may quote the end of a line
			return &UsageError{Command: s.command, Where: fmt.Sprintf("%s line %d", path, syntax.Position.Line),
				Problem: "is not TOML: " + message}
		}
		return fmt.Errorf("%s: read %s: %w", s.command, path, err)
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		st := s.byKey[key]
		if st == nil || key == "config" {
			return &UsageError{Command: s.command, Where: fmt.Sprintf("key %s in %s", key, path),
				Problem: "is unknown", Accepts: s.keyNames()}
		}
		if st.source != "" {
			continue
		}
		if err := s.setFromFile(st, key, path, values[key]); err != nil {
			return err
		}
	}
	return nil
}

// setFromFile applies one key. Strings, numbers and booleans are taken as their text, arrays only by lists. As in nsqd's files, a
// whole number that stands for a duration is in milliseconds, and a list may be one string with commas.
func (s *Set) setFromFile(st *setting, key, path string, value any) error {
	where := fmt.Sprintf("%s in %s", key, path)
	elements, isArray := value.([]any)
	joined, isString := value.(string)
	switch {
	case st.list && isString:
		for part := range strings.SplitSeq(joined, ",") {
			elements = append(elements, strings.TrimSpace(part))
		}
	case !isArray:
		elements = []any{value}
	case !st.list:
		return &UsageError{Command: s.command, Where: where, Problem: "takes no array", Accepts: st.accepts}
	}
	for _, e := range elements {
		text := fmt.Sprint(e)
		switch e.(type) {
		case int64:
			if st.duration {
				text += "ms"
			}
		case string, float64, bool:
		default:
			return s.refuse(where, text, st)
		}
		if err := st.set(text); err != nil {
			return s.refuse(where, text, st)
		}
	}
	st.source = where
	return nil
}

func (s *Set) keyNames() string {
	names := make([]string, 0, len(s.byKey))
	for key := range s.byKey {
		if key != "config" {
			names = append(names, key)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
