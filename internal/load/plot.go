package load

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Point is one measurement of a series: a rate at a value of what the series grows.
type Point struct{ X, Rate float64 }

// WritePlot draws a series as an SVG: x in powers of ten, messages a second from zero. Points are in the order of X.
func WritePlot(w io.Writer, title, axis string, points []Point) error {
	const left, top, width, height = 90, 50, 560, 300
	lowest, highest, most := math.Inf(1), math.Inf(-1), 1.0
	for _, p := range points {
		x := math.Log10(max(p.X, 1))
		lowest, highest, most = min(lowest, x), max(highest, x), max(most, p.Rate)
	}
	span := max(highest-lowest, 1e-9)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 420" font-family="sans-serif" font-size="13">`+"\n")
	fmt.Fprintf(&b, `<rect width="700" height="420" fill="white"/><text x="%d" y="28" font-size="16">%s</text>`+"\n", left, html.EscapeString(title))
	for i := range 5 {
		y := top + height*float64(4-i)/4
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, left+width, y, y, left-8, y+4, rate(most*float64(i)/4))
	}
	var line []string
	for _, p := range points {
		x := left + width*(math.Log10(max(p.X, 1))-lowest)/span
		y := top + height*(1-p.Rate/most)
		line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="#06c"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n",
			x, y, x, top+height+20, p.X)
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#06c" stroke-width="2"/>`+"\n", strings.Join(line, " "))
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n</svg>\n", left+width/2, top+height+45, html.EscapeString(axis))
	_, err := io.WriteString(w, b.String())
	return err
}
