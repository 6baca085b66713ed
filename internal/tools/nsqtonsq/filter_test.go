package nsqtonsq

import "testing"

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		filter     Filter
		body, want string // want "-": nothing is passed on; "!": an error
	}{
		{Filter{}, "not JSON", "not JSON"},
		{Filter{RequireField: "a"}, `{"a":null}`, `{"a":null}`},
		{Filter{RequireField: "a"}, `{"b":1}`, "-"},
		{Filter{RequireField: "a"}, `not JSON`, "!"},
		{Filter{RequireField: "a"}, `[1]`, "!"},
		{Filter{RequireField: "a", RequireValue: "x"}, `{"a": "x", "b" : 2}`, `{"a": "x", "b" : 2}`},
		{Filter{RequireField: "a", RequireValue: "x"}, `{"a":"y"}`, "-"},
		{Filter{RequireField: "a", RequireValue: "x"}, `{}`, "-"},
		{Filter{RequireField: "a", RequireValue: "5"}, `{"a":5.0}`, `{"a":5.0}`},
		{Filter{RequireField: "a", RequireValue: "5"}, `{"a":"5"}`, `{"a":"5"}`},
		{Filter{RequireField: "a", RequireValue: "5"}, `{"a":6}`, "-"},
		{Filter{RequireField: "a", RequireValue: "true"}, `{"a":true}`, "-"},
		{Filter{Fields: []string{"b", "a", "z"}}, `{"a":1,"c":2,"b":{"d":[1]}}`, `{"a":1,"b":{"d":[1]}}`},
		{Filter{Fields: []string{"a"}}, `{"a":9007199254740993}`, `{"a":9007199254740993}`}, // more digits than a float64 has
		{Filter{Fields: []string{"a"}}, `{"b":1}`, `{}`},
		{Filter{RequireField: "k", RequireValue: "v", Fields: []string{"a"}}, `{"k":"v","a":1}`, `{"a":1}`},
	} {
		passed, ok, err := c.filter.apply([]byte(c.body))
		got := string(passed)
		switch {
		case err != nil:
			got = "!"
		case !ok:
			got = "-"
		}
		if got != c.want {
			t.Errorf("%+v of %s: got %s, want %s", c.filter, c.body, got, c.want)
		}
	}
}
