package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/load"
)

// measure runs the loads and reports. xs are a series' values, one for each load.
func (b *bench) measure(ctx context.Context, p process, loads []load.Load, xs []float64) error {
	var results []*load.Result
	var points []load.Point
	failed := 0
	for i, l := range loads {
		for range b.runs {
			show := newProgress(p, l.Name)
			r, err := b.run(ctx, l, show.show)
			show.end()
			if err != nil {
				return fmt.Errorf("weir bench: %s: %w", l.Name, err)
			}
			for _, text := range r.Errors {
				fmt.Fprintf(p.err, "weir bench: %s: %s\n", l.Name, text)
			}
			if r.Err() != nil {
				failed++
			}
			if results = append(results, r); xs != nil {
				points = append(points, load.Point{X: xs[i], Result: r})
			}
			if b.json {
				if err := json.NewEncoder(p.out).Encode(r); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return fmt.Errorf("weir bench: stopped during %s", l.Name)
			}
		}
	}
	if err := b.report(p, results, points); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("weir bench: %d of %d runs had errors, see above", failed, len(results))
	}
	return nil
}

// report writes the table, and the picture of a series or else the histograms.
func (b *bench) report(p process, results []*load.Result, points []load.Point) error {
	if !b.json {
		if err := load.WriteTable(p.out, results); err != nil {
			return err
		}
		for _, r := range results {
			if points == nil {
				load.WriteHistogram(p.out, r)
			}
		}
	}
	if b.plot == "" || points == nil {
		return nil
	}
	file, err := os.Create(b.plot)
	if err != nil {
		return err
	}
	return errors.Join(load.WritePlot(file, b.describeSeries(points), b.over, points), file.Close())
}

// describeSeries says what stays the same in a series.
func (b *bench) describeSeries(points []load.Point) string {
	l := points[0].Load
	var parts []string
	for _, part := range []struct{ name, text string }{
		{"connections", fmt.Sprintf("%d connections", l.Connections)},
		{"", fmt.Sprintf("window %d", l.Window)},
		{"", fmt.Sprintf("batch %d", l.Batch)},
		{"body-size", fmt.Sprintf("%d byte bodies", l.BodyBytes)},
		{"topics", fmt.Sprintf("%d topics", l.Topics)},
	} {
		if part.name != b.over && !strings.HasPrefix(part.text, "1 ") && part.text != "batch 1" {
			parts = append(parts, part.text)
		}
	}
	if b.embedded {
		parts = append(parts, "--sync="+b.sync)
	}
	return "weir bench scale: " + strings.Join(parts, ", ")
}

// progress shows how a run goes on, on stderr: on a terminal by a line that changes, else by a line of JSON each second.
type progress struct {
	p        process
	name     string
	terminal bool
	last     load.Progress
}

func newProgress(p process, name string) *progress {
	return &progress{p: p, name: name, terminal: terminal(p.err) != nil}
}

// show is called a few times a second.
func (s *progress) show(now load.Progress) {
	since := now.Elapsed - s.last.Elapsed
	if !s.terminal && since < time.Second {
		return
	}
	published, delivered := float64(now.Published-s.last.Published)/since.Seconds(), float64(now.Delivered-s.last.Delivered)/since.Seconds()
	s.last = now
	if s.terminal {
		line := fmt.Sprintf("%s  %.1f s  %d acked  %s/s", s.name, now.Elapsed.Seconds(), now.Published, load.Rate(published))
		if now.Delivered > 0 {
			line += fmt.Sprintf("  %d delivered  %s/s", now.Delivered, load.Rate(delivered))
		}
		fmt.Fprintf(s.p.err, "\r\x1b[K%s  %d errors", line, now.Errors)
		return
	}
	_ = json.NewEncoder(s.p.err).Encode(map[string]any{ // progress that cannot be shown stops nothing
		"load": s.name, "elapsed": now.Elapsed.Seconds(), "published": now.Published, "publish_rate": published,
		"delivered": now.Delivered, "delivery_rate": delivered, "errors": now.Errors,
	})
}

// end clears the line.
func (s *progress) end() {
	if s.terminal {
		fmt.Fprint(s.p.err, "\r\x1b[K")
	}
}
