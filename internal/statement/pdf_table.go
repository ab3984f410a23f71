package statement

// Lengths within a table, in points.
const (
	cellPad  = 4.0
	cellLine = sizeTable * 1.25
	rowPad   = 2.0

	// keepWhole is how high a table may be that is not torn apart, and keepRows how
	// many rows of a higher one stay with its head.
	keepWhole = (bottom - margin) / 2
	keepRows  = 4
)

// widths divides the width of the page among the columns: as much as the longest
// word and the longest number of each need, and the rest by weight.
func (d *drawing) widths(t *Table) []float64 {
	least := make([]float64, len(t.Columns))
	left, weights := textWidth, 0
	for i, c := range t.Columns {
		d.font("B", sizeTable, ink)
		least[i] = d.longestWord(c.Head)
		for _, r := range t.Rows {
			if c.Whole {
				least[i] = max(least[i], d.GetStringWidth(r.Cells[i]))
			}
		}
		least[i] += 2 * cellPad
		left -= least[i]
		weights += c.Weight
	}
	for i, c := range t.Columns {
		least[i] += max(left, 0) * float64(c.Weight) / float64(weights)
	}
	return least
}

func (d *drawing) longestWord(s string) float64 {
	widest, start := 0.0, 0
	for i, r := range s + " " {
		if r == ' ' {
			widest = max(widest, d.GetStringWidth(s[start:i]))
			start = i + 1
		}
	}
	return widest
}

// cells breaks a row into lines, and returns the most that a cell has.
func (d *drawing) cells(cells []string, widths []float64, style string) (lines [][]string, most int) {
	d.font(style, sizeTable, ink)
	lines = make([][]string, len(cells))
	for i, c := range cells {
		lines[i] = d.wrap(c, widths[i]-2*cellPad)
		most = max(most, len(lines[i]))
	}
	return lines, most
}

func heads(t *Table) []string {
	heads := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		heads[i] = c.Head
	}
	return heads
}

func style(r *Row) string {
	if r.Strong {
		return "B"
	}
	return ""
}

// measure returns how much room a table needs to begin: all of it, or as much as
// stays together of a high one.
func (d *drawing) measure(t *Table) float64 {
	widths := d.widths(t)
	_, most := d.cells(heads(t), widths, "B")
	height := sizeText*leading + 4 + float64(most)*cellLine + 2*rowPad
	least := height
	for i := range t.Rows {
		_, most := d.cells(t.Rows[i].Cells, widths, style(&t.Rows[i]))
		height += float64(most)*cellLine + 2*rowPad
		if i < keepRows {
			least = height
		}
	}
	if height > keepWhole {
		return least
	}
	if t.Note != "" {
		d.font("", sizeSmall, soft)
		height += 4 + float64(len(d.wrap(t.Note, textWidth)))*sizeSmall*leading
	}
	return height
}

// table draws a table. One that is torn apart repeats its head on each page.
func (d *drawing) table(t *Table) {
	d.room(d.measure(t))
	d.write(t.Caption, "B", sizeText, 0, ink)
	d.y += 4
	widths := d.widths(t)
	d.tableHead(t, widths)
	for i := range t.Rows {
		d.tableRow(t, i, widths)
	}
	if t.Note != "" {
		d.y += 4
		d.write(t.Note, "", sizeSmall, 0, soft)
	}
	d.y += 12
}

func (d *drawing) tableHead(t *Table, widths []float64) {
	lines, most := d.cells(heads(t), widths, "B")
	height := float64(most)*cellLine + 2*rowPad
	for i := range lines { // They stand at the bottom.
		for len(lines[i]) < most {
			lines[i] = append([]string{""}, lines[i]...)
		}
	}
	d.font("B", sizeTable, ink)
	d.draw(t, lines, widths)
	d.y += height
	d.stroke(ink, 1)
	d.Line(margin, d.y, pageWidth-margin, d.y)
}

func (d *drawing) tableRow(t *Table, i int, widths []float64) {
	r := &t.Rows[i]
	lines, most := d.cells(r.Cells, widths, style(r))
	height := float64(most)*cellLine + 2*rowPad
	if d.y+height > bottom {
		d.newPage()
		d.tableHead(t, widths)
	}
	if r.Strong {
		d.SetFillColor(fill.r, fill.g, fill.b)
		d.Rect(margin, d.y, textWidth, height, "F")
	}
	d.font(style(r), sizeTable, ink)
	d.draw(t, lines, widths)
	d.y += height
	d.stroke(rule, 0.6)
	d.Line(margin, d.y, pageWidth-margin, d.y)
}

// draw sets the lines of a row's cells.
func (d *drawing) draw(t *Table, lines [][]string, widths []float64) {
	x := margin
	for i, cell := range lines {
		align := "L"
		if t.Columns[i].Number {
			align = "R"
		}
		for k, line := range cell {
			d.at(x+cellPad, d.y+rowPad+float64(k)*cellLine, widths[i]-2*cellPad, cellLine, line, align)
		}
		x += widths[i]
	}
}
