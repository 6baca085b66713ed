package upstream

import (
	"strconv"
	"strings"
)

// release is the numbers and the pre-release of a semantic version; build metadata does not count.
type release struct {
	numbers [3]int
	pre     string
}

// parseRelease reads a version such as 1.3.0, v1.3.0-rc.1 or 1.3.0+weir.0.1.0. What is none is 0.0.0.
func parseRelease(text string) release {
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "v"), "+")
	core, pre, _ := strings.Cut(text, "-")
	r := release{pre: pre}
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return release{}
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return release{}
		}
		r.numbers[i] = n
	}
	return r
}

// less reports whether r came before s. Pre-releases of one version are ordered as texts, which serves to show them.
func (r release) less(s release) bool {
	for i, n := range r.numbers {
		if n != s.numbers[i] {
			return n < s.numbers[i]
		}
	}
	return r.pre != "" && (s.pre == "" || r.pre < s.pre)
}

// markOutOfDate marks the nodes whose version is older than the newest.
func markOutOfDate(nodes []*Node) {
	var newest release
	for _, n := range nodes {
		if r := parseRelease(n.Version); newest.less(r) {
			newest = r
		}
	}
	for _, n := range nodes {
		n.OutOfDate = n.Down == nil && parseRelease(n.Version).less(newest)
	}
}
