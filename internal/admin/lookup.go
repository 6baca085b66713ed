package admin

import (
	"maps"
	"net/http"
	"slices"
)

// lookup is GET /api/v1/lookup: what lookup services know and no node produces.
func (s *Server) lookup(r *http.Request) (any, error) {
	type entry struct {
		Topic    string   `json:"topic"`
		Channels []string `json:"channels"`
	}
	inactive, failures := s.inactive(r.Context())
	answer := struct {
		Lookupds []string `json:"lookupds"`
		Topics   []entry  `json:"topics"`
		Warnings []string `json:"warnings"`
	}{notNil(*s.lookupds.Load()), []entry{}, failures.Texts()}
	for _, topic := range slices.Sorted(maps.Keys(inactive)) {
		answer.Topics = append(answer.Topics, entry{topic, inactive[topic]})
	}
	return answer, nil
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
