package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// EnvPrefix begins the name of every variable that is read.
const EnvPrefix = "WEIR_"

// A Set is the settings of one command. Define them, then call Parse once.
type Set struct {
	command    string // as the user types it: "weir serve"
	flags      *flag.FlagSet
	settings   []*setting          // in order of definition
	byName     map[string]*setting // by flag name
	byKey      map[string]*setting // by key of the TOML file
	file       string              // value of --config
	group      string              // of the settings being defined
	positional bool
	failed     error        // of the flag that the flag package just refused
	finish     func() error // judges the settings together, after all are read; may be nil
}

// NewSet returns an empty set for a command, as the user types it.
func NewSet(command string) *Set {
	s := &Set{
		command: command,
		flags:   flag.NewFlagSet(command, flag.ContinueOnError),
		byName:  make(map[string]*setting),
		byKey:   make(map[string]*setting),
	}
	s.flags.SetOutput(io.Discard) // errors and help are printed by the caller
	s.flags.Usage = func() {}
	return s
}

// Group puts the settings defined from here on under a heading of the help text.
func (s *Set) Group(heading string) { s.group = heading }

// File defines --config, the TOML file. Without it the command reads no file.
func (s *Set) File() {
	s.add(&setting{
		name: "config", placeholder: "FILE", accepts: "the path of a TOML file",
		usage: "TOML file with settings; a key is the flag's name with _ for -",
		set:   func(v string) error { s.file = v; return nil },
	})
}

// Positional makes Parse accept arguments that are not flags; Args returns them.
func (s *Set) Positional() { s.positional = true }

// Args returns the arguments that are not flags.
func (s *Set) Args() []string { return s.flags.Args() }

// add registers a setting as a flag and as a key of the file.
func (s *Set) add(st *setting) {
	st.group = s.group
	st.key = strings.ReplaceAll(st.name, "-", "_")
	s.settings = append(s.settings, st)
	s.byName[st.name] = st
	s.byKey[st.key] = st
	s.flags.Var(flagValue{s, st}, st.name, st.usage)
}

// alias adds a second key of the file for a setting; NSQ's files have a few.
func (s *Set) alias(name, key string) {
	s.byKey[key] = s.byName[name]
	s.byName[name].alias = key
}

// Parse reads the arguments, then the environment, then the file, into the bound fields. lookupEnv is os.LookupEnv, or what
// a test puts in its place. It returns flag.ErrHelp if help was asked for, a *UsageError for what the user has to change,
// and any other error if the file cannot be read.
func (s *Set) Parse(args []string, lookupEnv func(string) (string, bool)) error {
	if err := s.parseFlags(args); err != nil {
		return err
	}
	for _, st := range s.settings {
		if st.flagOnly {
			continue
		}
		variable := EnvPrefix + strings.ToUpper(st.key)
		v, ok := lookupEnv(variable)
		if !ok || st.source != "" {
			continue
		}
		values := []string{v}
		if st.list {
			values = strings.Split(v, ",")
		}
		for _, value := range values {
			if err := st.set(value); err != nil {
				return s.refuse(variable, value, st)
			}
		}
		st.source = variable
	}
	if s.file != "" {
		if err := s.parseFile(s.file); err != nil {
			return err
		}
	}
	if s.finish != nil {
		return s.finish()
	}
	return nil
}

func (s *Set) parseFlags(args []string) error {
	err := s.flags.Parse(args)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		return flag.ErrHelp
	case s.failed != nil:
		return s.failed
	default:
		return s.flagError(err)
	}
	if rest := s.flags.Args(); len(rest) > 0 && !s.positional {
		accepts := "no argument"
		if len(s.settings) > 0 {
			accepts = "flags only: " + s.flagNames()
		}
		return &UsageError{Command: s.command, Where: fmt.Sprintf("argument %q", rest[0]), Problem: "is not expected", Accepts: accepts}
	}
	return nil
}

// flagError words the errors that the flag package finds by itself. It reports them as text only.
func (s *Set) flagError(err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return &UsageError{Command: s.command, Where: "--" + name, Problem: "is unknown", Accepts: s.flagNames()}
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return &UsageError{Command: s.command, Where: "--" + name, Problem: "needs a value",
			Accepts: s.byName[name].accepts}
	}
	return &UsageError{Command: s.command, Where: "arguments", Problem: text, Accepts: s.flagNames()}
}

// refuse returns the error for a value that a setting does not take.
func (s *Set) refuse(where, value string, st *setting) error {
	problem := fmt.Sprintf("does not take %q", value)
	if st.hidden {
		problem = "does not take this value"
	}
	return &UsageError{Command: s.command, Where: where, Problem: problem, Accepts: st.accepts}
}

// Refuse returns a UsageError about a setting whose value can only be judged beside others. It names the place where the
// value was given.
func (s *Set) Refuse(name, problem, accepts string) error {
	where := s.byName[name].source
	if where == "" {
		where = "--" + name
	}
	return &UsageError{Command: s.command, Where: where, Problem: problem, Accepts: accepts}
}

func (s *Set) flagNames() string {
	names := make([]string, 0, len(s.settings))
	for _, st := range s.settings {
		names = append(names, "--"+st.name)
	}
	return strings.Join(names, " ")
}
