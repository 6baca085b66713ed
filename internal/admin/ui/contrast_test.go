package ui

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// textContrast and shapeContrast are WCAG 2's minimum contrasts, level AA: of text, and of what must be seen but not read.
const textContrast, shapeContrast = 4.5, 3.0

// TestPaletteHasContrast checks every pair of colours that the styles put on each other, light and dark.
func TestPaletteHasContrast(t *testing.T) {
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`).FindAllStringSubmatch(read(t, "style/tokens.css"), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	grounds := []string{"page", "surface", "raised", "hover"}
	pairs := []struct {
		front    string
		grounds  []string
		contrast float64
	}{
		{"text", append(grounds, "accent-soft", "warn-soft", "bad-soft"), textContrast},
		{"muted", append(grounds, "accent-soft"), textContrast},
		{"accent", append(grounds, "accent-soft"), textContrast},
		{"good", grounds, textContrast},
		{"warn", append(grounds, "warn-soft"), textContrast},
		{"bad", append(grounds, "bad-soft"), textContrast},
		{"on-accent", []string{"accent"}, textContrast},
		{"on-bad", []string{"bad"}, textContrast},
		{"edge", grounds, shapeContrast},
		{"focus", grounds, shapeContrast},
		{"series-1", []string{"surface"}, shapeContrast},
		{"series-2", []string{"surface"}, shapeContrast},
		{"series-3", []string{"surface"}, shapeContrast},
		{"series-4", []string{"surface"}, shapeContrast},
	}
	for _, p := range pairs {
		for _, ground := range p.grounds {
			for i, scheme := range []string{"light", "dark"} {
				front, back := colours[p.front][i], colours[ground][i]
				if front == "" || back == "" {
					t.Fatalf("tokens.css has no colour %s or %s", p.front, ground)
				}
				if got := contrast(t, front, back); got < p.contrast {
					t.Errorf("%s: %s (%s) on %s (%s) has contrast %.2f, wanted %.1f", scheme, p.front, front, ground, back, got, p.contrast)
				}
			}
		}
	}
}

// contrast is defined in WCAG 2.2 under "contrast ratio".
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
