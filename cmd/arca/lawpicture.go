package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/law"
)

// The picture's measures, in pixels.
const (
	pictureWidth = 1400
	pictureLeft  = 190 // where the time axis begins
	pictureRight = 560 // where it ends; texts follow
	pictureRow   = 26
	pictureTop   = 60
)

var clockColours = map[law.ClockState]string{law.Pending: "#1f4e8c", law.Due: "#b36b00", law.Overdue: "#990000", law.Fulfilled: "#2e7d32", law.Ended: "#555555"}

// timeline draws an order's clocks: one row each, a dot where it is due, a line for now. Everything that comes from the order or the
// profile is escaped.
func timeline(c *lawChain, clocks []law.Clock, now time.Time) []byte {
	from, to := c.state.Decided, now
	for _, k := range clocks {
		if k.Due.After(to) && k.Name != law.ClockAccess {
			to = k.Due
		}
	}
	if !to.After(from) {
		to = from.Add(time.Hour)
	}
	x := func(t time.Time) int {
		t = slices.MinFunc([]time.Time{t, to}, time.Time.Compare)
		if t.Before(from) {
			return pictureLeft
		}
		return pictureLeft + int(float64(pictureRight-pictureLeft)*float64(t.Sub(from))/float64(to.Sub(from)))
	}
	var b strings.Builder
	height := pictureTop + pictureRow*len(clocks) + 30
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="clocks of an order" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui,sans-serif" font-size="12">`+"\n", pictureWidth, height, pictureWidth, height)
	write := func(x, y int, anchor, text string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(clean(text)))
	}
	write(10, 20, "start", fmt.Sprintf("%s, case %s, %s at %s", c.state.Profile, c.state.Case, c.state.Word(now), when(now)))
	write(pictureLeft, 42, "start", when(from))
	write(pictureRight, 42, "end", when(to))
	start, end := x(c.state.Capture.From), x(c.state.Capture.Until)
	fmt.Fprintf(&b, `<rect x="%d" y="48" width="%d" height="%d" fill="#dde6f2"><title>the measure</title></rect>`+"\n", start, max(end-start, 1), height-70)
	fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="48" y2="%d" stroke="#990000" stroke-dasharray="4 3"><title>now</title></line>`+"\n", x(now), x(now), height-22)
	for i, k := range clocks {
		y := pictureTop + pictureRow*i
		write(pictureLeft-10, y+4, "end", k.Name)
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#cccccc"/>`+"\n", pictureLeft, pictureRight, y, y)
		note := k.Article
		if k.Due.IsZero() {
			note = "waits for " + k.Awaits + ", " + note
		} else {
			fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="6" fill="%s"/>`+"\n", x(k.Due), y, clockColours[k.State])
			note = when(k.Due) + ", " + string(k.State) + ", " + note
		}
		write(pictureRight+15, y+4, "start", note)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
