package load

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// Point is one measurement of a series: what came of a load at a value of what the series grows.
type Point struct {
	X float64
	*Result
}

// curve is one line of a panel.
type curve struct {
	name, colour string
	y            func(p Point) float64
}

// panel is one diagram: curves over the same x, with an axis of their own from zero to a round number.
type panel struct {
	title  string
	unit   func(y float64) string
	curves []curve
}

// The picture's measures, in the SVG's units.
const (
	plotWidth, plotHeight   = 460.0, 260.0
	plotLeft, plotTop       = 80.0, 90.0
	panelWidth, panelHeight = plotLeft + plotWidth + 40, plotTop + plotHeight + 60
)

// WritePlot draws a series as an SVG of two panels side by side: throughput and the server's memory, over x in powers of ten.
// Points of the same X are runs of the same load: their median is drawn.
func WritePlot(w io.Writer, title, axis string, points []Point) error {
	points = medians(points)
	throughput := panel{title: "Throughput", unit: func(y float64) string { return Rate(y) + "/s" }}
	if has(points, func(p Point) float64 { return p.PublishRate }) {
		throughput.curves = append(throughput.curves, curve{"messages published", "#1f6fb4", func(p Point) float64 { return p.PublishRate }})
	}
	if has(points, func(p Point) float64 { return p.DeliveryRate }) {
		throughput.curves = append(throughput.curves, curve{"deliveries", "#c05a00", func(p Point) float64 { return p.DeliveryRate }})
	}
	panels := []panel{throughput}
	if axis == "body-size" {
		panels = append(panels, panel{title: "Volume", unit: func(y float64) string { return fmt.Sprintf("%g MB/s", y) }, curves: []curve{
			{"bodies", "#1f6fb4", func(p Point) float64 { return max(p.PublishRate, p.DeliveryRate) * float64(p.BodyBytes) / 1e6 }}}})
	}
	if peak := func(p Point) float64 { return peakMiB(p.Server) }; has(points, peak) {
		panels = append(panels, panel{title: "Memory of the server", unit: func(y float64) string { return fmt.Sprintf("%g MiB", y) }, curves: []curve{
			{"resident, at most", "#2e8540", peak}}})
	}
	var b strings.Builder
	width := panelWidth * float64(len(panels))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="13" fill="#222">`+"\n", width, panelHeight)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/><text x="%g" y="30" font-size="17">%s</text>`+"\n", width, panelHeight, plotLeft, html.EscapeString(title))
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%g 0)">`+"\n", panelWidth*float64(i))
		p.draw(&b, axis, points)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// draw draws a panel: its title and legend, the two axes, the curves.
func (p *panel) draw(b *strings.Builder, axis string, points []Point) {
	most, lowest, highest := 0.0, math.Inf(1), math.Inf(-1)
	for _, point := range points {
		x := math.Log10(max(point.X, 1))
		lowest, highest = min(lowest, x), max(highest, x)
		for _, c := range p.curves {
			most = max(most, c.y(point))
		}
	}
	step := roundStep(most / 4)
	top := max(math.Ceil(most/step), 1) * step
	fmt.Fprintf(b, `<text x="%g" y="62" font-weight="bold">%s</text>`+"\n", plotLeft, p.title)
	for i, c := range p.curves {
		x := plotLeft + 165*float64(i)
		fmt.Fprintf(b, `<line x1="%g" x2="%g" y1="76" y2="76" stroke="%s" stroke-width="3"/><text x="%g" y="80" font-size="12">%s</text>`+"\n", x, x+18, c.colour, x+24, c.name)
	}
	for y := 0.0; y <= top*1.001; y += step {
		at := plotTop + plotHeight*(1-y/top)
		label := "0"
		if y > 0 {
			label = p.unit(y)
		}
		fmt.Fprintf(b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end" font-size="12">%s</text>`+"\n",
			plotLeft, plotLeft+plotWidth, at, at, plotLeft-8, at+4, label)
	}
	place := func(x float64) float64 {
		if highest == lowest {
			return plotLeft + plotWidth/2
		}
		return plotLeft + 15 + (plotWidth-30)*(math.Log10(max(x, 1))-lowest)/(highest-lowest)
	}
	for _, point := range points {
		x := place(point.X)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%g" y2="%g" stroke="#888"/><text x="%.1f" y="%g" text-anchor="middle" font-size="12">%s</text>`+"\n",
			x, x, plotTop+plotHeight, plotTop+plotHeight+5, x, plotTop+plotHeight+20, amount(axis, point.X))
	}
	for _, c := range p.curves {
		var line []string
		for _, point := range points {
			x, y := place(point.X), plotTop+plotHeight*(1-c.y(point)/top)
			line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, c.colour)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(line, " "), c.colour)
	}
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", plotLeft+plotWidth/2, plotTop+plotHeight+45, html.EscapeString(axis))
}

// roundStep returns the least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below y.
func roundStep(y float64) float64 {
	if y <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(y)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= y {
			return m * power
		}
	}
	return 10 * power
}

// amount writes a value of what a series grows.
func amount(axis string, x float64) string {
	switch {
	case axis != "body-size":
		return fmt.Sprintf("%g", x)
	case x < 1<<10:
		return fmt.Sprintf("%g B", x)
	case x < 1<<20:
		return fmt.Sprintf("%.3g KiB", x/(1<<10))
	default:
		return fmt.Sprintf("%.3g MiB", x/(1<<20))
	}
}

// has reports whether a value is not 0 anywhere.
func has(points []Point, y func(Point) float64) bool {
	return slices.ContainsFunc(points, func(p Point) bool { return y(p) != 0 })
}

// medians returns for each X, in order, the point with the median of the rates.
func medians(points []Point) (m []Point) {
	points = slices.Clone(points)
	rate := func(p Point) float64 { return max(p.PublishRate, p.DeliveryRate) }
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(rate(a), rate(b))) })
	for i := 0; i < len(points); {
		n := 1
		for i+n < len(points) && points[i+n].X == points[i].X {
			n++
		}
		m = append(m, points[i+n/2])
		i += n
	}
	return m
}

// peakMiB returns the most memory that a server used, or its heap, in MiB.
func peakMiB(use *ServerUse) float64 {
	if use == nil {
		return 0
	}
	return float64(max(use.PeakBytes, use.HeapBytes)) / (1 << 20)
}
