package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxCell bounds a cell's characters.
const maxCell = 200

// table prints aligned columns; numbers stand on the right. Cells may hold text that an attacker chose.
func table(w io.Writer, header []string, rows [][]string) {
	if header != nil {
		rows = append([][]string{header}, rows...)
	}
	var widths []int
	var numeric []bool
	for n, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell, maxCell)
			if i == len(widths) {
				widths, numeric = append(widths, 0), append(numeric, true)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			if n > 0 || header == nil {
				_, err := strconv.ParseFloat(row[i], 64)
				numeric[i] = numeric[i] && (err == nil || row[i] == "")
			}
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if numeric[i] {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// printable makes text safe for a terminal: what does not print is escaped, and no more than limit bytes are shown.
func printable(text string, limit int) string {
	cut := len(text) > limit
	if cut {
		text = text[:limit]
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && text[i] != 0xEF:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n' || r == '\t' || !unicode.IsPrint(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// progress is a bar on a terminal, and now and then a line elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	shown    time.Time
	last     string
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

const (
	barWidth  = 24
	barEvery  = 200 * time.Millisecond
	lineEvery = 5 * time.Second
	eraseLine = "\r\x1b[K"
)

// show draws done of total and a text.
func (p *progress) show(done, total int, text string) {
	if total > 0 {
		full := barWidth * done / total
		text = fmt.Sprintf("[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), text)
	}
	wait := lineEvery
	if p.terminal {
		wait = barEvery
	}
	if text == p.last || time.Since(p.shown) < wait && done < total {
		return
	}
	p.last, p.shown = text, time.Now()
	if p.terminal {
		fmt.Fprint(p.w, eraseLine+text)
	} else {
		fmt.Fprintln(p.w, text)
	}
}

// end leaves the bar.
func (p *progress) end() {
	if p.terminal && p.last != "" {
		fmt.Fprintln(p.w)
	}
	p.last = ""
}
