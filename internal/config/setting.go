package config

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setting is one value that a user can give.
type setting struct {
	name        string // of the flag, without dashes
	key         string // in the TOML file
	placeholder string // for the value, in the help text; "" for a boolean
	usage       string // one line
	accepts     string // what values are taken, for error messages
	group       string
	def         string // default, as text; "" says nothing in the help text
	list        bool   // repeated flags accumulate
	duration    bool   // in the file, a whole number is milliseconds, as in nsqd
	hidden      bool   // the value is a secret, which no message repeats
	flagOnly    bool   // neither the environment nor the file is looked at
	source      string // where the value was given: "--name", "WEIR_NAME", "name in FILE"; "" for a default
	set         func(string) error
	value       func() any // what GET /config shows; nil shows nothing
	alias       string     // the key that NSQ's files and /config know; "" for key
}

// flagValue makes a setting a flag.Value.
type flagValue struct {
	in *Set
	st *setting
}

// String implements flag.Value; the flag package also calls it on a zero value.
func (v flagValue) String() string {
	if v.st == nil {
		return ""
	}
	return v.st.def
}

// Set implements flag.Value and keeps the error, which the flag package would only keep as text.
func (v flagValue) Set(text string) error {
	v.st.source = "--" + v.st.name
	if err := v.st.set(text); err != nil {
		v.in.failed = v.in.refuse("--"+v.st.name, text, v.st)
		return err
	}
	return nil
}

// IsBoolFlag lets a boolean stand without a value.
func (v flagValue) IsBoolFlag() bool { return v.st.placeholder == "" }

// errValue is what a setting's set returns for a value out of its range; the message comes from the setting's accepts.
var errValue = fmt.Errorf("value not accepted")

// String defines a setting of free text.
func (s *Set) String(p *string, name, placeholder, usage string) {
	s.add(&setting{name: name, placeholder: placeholder, usage: usage, accepts: "text", def: *p,
		value: func() any { return *p },
		set:   func(v string) error { *p = v; return nil }})
}

// OneOf defines a setting that takes one of a few words.
func (s *Set) OneOf(p *string, name string, words []string, usage string) {
	s.add(&setting{name: name, placeholder: strings.Join(words, "|"), usage: usage, def: *p,
		accepts: "one of " + strings.Join(words, ", "),
		value:   func() any { return *p },
		set: func(v string) error {
			for _, w := range words {
				if strings.EqualFold(v, w) {
					*p = w
					return nil
				}
			}
			return errValue
		}})
}

// Bool defines a setting that is true or false; the bare flag means true.
func (s *Set) Bool(p *bool, name, usage string) {
	s.add(&setting{name: name, usage: usage, accepts: "true or false", def: strconv.FormatBool(*p),
		value: func() any { return *p },
		set: func(v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return errValue
			}
			*p = b
			return nil
		}})
}

// Ignored defines a flag without a meaning that stands alone or with any value.
func (s *Set) Ignored(name, usage string) {
	s.add(&setting{name: name, usage: usage, accepts: "anything", def: "false", set: func(string) error { return nil }})
}

// Version defines --version. It asks for something else than a run, so only the command line can; images often have a
// variable WEIR_VERSION that holds one.
func (s *Set) Version(p *bool) {
	s.Bool(p, "version", "print the version")
	st := s.byName["version"]
	st.flagOnly, st.value = true, nil
	delete(s.byKey, st.key)
}

// Int defines a setting that is a whole number from lowest to highest.
func (s *Set) Int(p *int, name string, lowest, highest int, usage string) {
	s.add(&setting{name: name, placeholder: "N", usage: usage, def: strconv.Itoa(*p),
		accepts: fmt.Sprintf("a whole number from %d to %d", lowest, highest),
		value:   func() any { return *p },
		set: func(v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < lowest || n > highest {
				return errValue
			}
			*p = n
			return nil
		}})
}

// Duration defines a setting that is a duration from lowest to highest.
func (s *Set) Duration(p *time.Duration, name string, lowest, highest time.Duration, usage string) {
	s.add(&setting{name: name, placeholder: "DURATION", usage: usage, def: durationText(*p), duration: true,
		value:   func() any { return *p },
		accepts: fmt.Sprintf("a duration from %s to %s such as 250ms, 90s or 1h30m", durationText(lowest), durationText(highest)),
		set: func(v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < lowest || d > highest {
				return errValue
			}
			*p = d
			return nil
		}})
}

// Size defines a setting that is a number of bytes from lowest to highest: a whole number, or one with a unit (KiB, MiB, GiB,
// TiB; K, M, G, T mean the same).
func (s *Set) Size(p *int64, name string, lowest, highest int64, usage string) {
	s.add(&setting{name: name, placeholder: "SIZE", usage: usage, def: sizeText(*p),
		value:   func() any { return *p },
		accepts: fmt.Sprintf("a size from %s to %s such as 1048576, 512KiB, 64MiB or 2GiB", sizeText(lowest), sizeText(highest)),
		set: func(v string) error {
			n, err := parseSize(v)
			if err != nil || n < lowest || n > highest {
				return errValue
			}
			*p = n
			return nil
		}})
}

// List defines a setting that may be repeated; its values accumulate. In the environment they are separated by commas, in
// the file they are an array.
func (s *Set) List(p *[]string, name, placeholder, usage string) {
	s.add(&setting{name: name, placeholder: placeholder, usage: usage, accepts: "text", list: true,
		value: func() any { return append([]string{}, *p...) },
		set:   func(v string) error { *p = append(*p, v); return nil }})
}

// Floats defines a setting that is a list of numbers above lowest and at most highest. It may be repeated, and a value may hold several
// with commas between.
func (s *Set) Floats(p *[]float64, name string, lowest, highest float64, usage string) {
	s.add(&setting{name: name, placeholder: "NUMBER", usage: usage, list: true,
		accepts: fmt.Sprintf("numbers above %v and at most %v, with commas between", lowest, highest),
		value:   func() any { return append([]float64{}, *p...) },
		set: func(v string) error {
			for part := range strings.SplitSeq(v, ",") {
				f, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
				if err != nil || !(f > lowest && f <= highest) {
					return errValue
				}
				*p = append(*p, f)
			}
			return nil
		}})
}

// Func defines a setting with a parser of its own; an error of set means that the value is not accepted.
func (s *Set) Func(name, placeholder, def, accepts, usage string, set func(string) error) {
	text := def
	s.add(&setting{name: name, placeholder: placeholder, usage: usage, accepts: accepts, def: def,
		value: func() any { return text },
		set: func(v string) error {
			if err := set(v); err != nil {
				return err
			}
			text = v
			return nil
		}})
}

// Values returns what the settings are, under the keys of NSQ's files: string, bool, a number (durations in ns) or a slice.
func (s *Set) Values() map[string]any {
	values := make(map[string]any, len(s.settings))
	for _, st := range s.settings {
		if st.value != nil {
			values[cmp.Or(st.alias, st.key)] = st.value()
		}
	}
	return values
}

// shows replaces what Values returns for a setting, where that is not the text that was given.
func (s *Set) shows(name string, value func() any) { s.byName[name].value = value }

// parseSize reads a number of bytes with an optional unit.
func parseSize(v string) (int64, error) {
	number := strings.TrimRight(v, "KMGTkmgtiB")
	shift, ok := map[string]uint{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.ToUpper(
		strings.TrimSuffix(strings.TrimSuffix(v[len(number):], "B"), "i"))]
	if !ok {
		return 0, errValue
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return 0, errValue
	}
	return n << shift, nil
}

// sizeText writes a number of bytes with the largest unit that divides it.
func sizeText(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		size := int64(1) << (40 - 10*i)
		if n != 0 && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// durationText writes a duration without trailing zero units: 1m, not 1m0s.
func durationText(d time.Duration) string {
	t := d.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return t
}
