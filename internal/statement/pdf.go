package statement

import (
	"bytes"
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// Lengths of a Letter page, in points.
const (
	pageWidth  = 612.0
	pageHeight = 792.0
	margin     = 48.0
	textWidth  = pageWidth - 2*margin
	bottom     = pageHeight - 54.0
	fontName   = "go"
)

// Sizes of text, in points.
const (
	sizeText    = 10.0
	sizeSmall   = 8.6
	sizeTable   = 8.8
	sizeHeading = 13.5
	sizeTitle   = 18.0
	sizeFigure  = 22.0
	leading     = 1.35
)

// Colors, as red, green and blue.
type color struct{ r, g, b int }

var (
	ink  = color{27, 31, 36}
	soft = color{87, 96, 106}
	rule = color{201, 209, 217}
	fill = color{238, 243, 248}
	main = color{11, 79, 138}
	// lines are those of a picture's series.
	lines = [...]color{main, {180, 83, 9}, soft}
)

// pdfEpoch stands for the moment a PDF was made: what is in it says when.
var pdfEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// PDF writes the statement as PDF, on Letter pages. Its fonts are part of it, and
// the same statement gives the same bytes.
func (s *Statement) PDF() ([]byte, error) {
	page, err := s.Page()
	if err != nil {
		return nil, err
	}
	d := newDrawing(&page, s.LoanNumber)
	d.head(&page)
	for i := range page.Sections {
		d.section(&page.Sections[i])
	}
	var out bytes.Buffer
	if err := d.Output(&out); err != nil {
		return nil, fmt.Errorf("write PDF: %w", err)
	}
	return out.Bytes(), nil
}

// drawing is a PDF under way. It breaks pages itself: y is where the next line goes.
type drawing struct {
	*fpdf.Fpdf

	y float64
}

func newDrawing(p *Page, loanNumber string) *drawing {
	d := &drawing{Fpdf: fpdf.New("P", "pt", "Letter", "")}
	d.SetCreationDate(pdfEpoch)
	d.SetModificationDate(pdfEpoch)
	d.SetCatalogSort(true)
	d.SetProducer("LoanServe", false)
	d.SetTitle(p.Title, true)
	d.SetAuthor(p.Servicer.Name, true)
	d.SetLang("en-US")
	d.AddUTF8FontFromBytes(fontName, "", goregular.TTF)
	d.AddUTF8FontFromBytes(fontName, "B", gobold.TTF)
	d.SetMargins(margin, margin, margin)
	d.SetCellMargin(0)
	d.SetAutoPageBreak(false, 0)
	d.AliasNbPages("{nb}")
	d.SetFooterFunc(func() {
		d.font("", sizeSmall, soft)
		d.SetXY(margin, pageHeight-40)
		d.CellFormat(textWidth/2, 12, p.Servicer.Name+" \u00b7 Loan "+loanNumber, "", 0, "L", false, 0, "")
		// The width of what stands for the number of pages is not that of the number.
		d.SetX(pageWidth - margin - d.GetStringWidth("Page 9 of 9"))
		d.CellFormat(0, 12, fmt.Sprintf("Page %d of {nb}", d.PageNo()), "", 0, "L", false, 0, "")
	})
	d.newPage()
	return d
}

func (d *drawing) newPage() {
	d.AddPage()
	d.y = margin
}

// room begins a new page unless so much fits on this one.
func (d *drawing) room(height float64) {
	if d.y+height > bottom && d.y > margin {
		d.newPage()
	}
}

func (d *drawing) font(style string, size float64, c color) {
	d.SetFont(fontName, style, size)
	d.SetTextColor(c.r, c.g, c.b)
}

// wrap breaks a text into lines of a width, in the present font. A word that is
// wider than a line is cut.
func (d *drawing) wrap(s string, width float64) []string {
	if s == "" {
		return []string{""}
	}
	return d.SplitText(s, width)
}

// write sets a text in lines, and moves down behind it.
func (d *drawing) write(s, style string, size, indent float64, c color) {
	d.font(style, size, c)
	line := size * leading
	for _, text := range d.wrap(s, textWidth-indent) {
		d.room(line)
		d.font(style, size, c) // A new page has set its own.
		d.at(margin+indent, d.y, textWidth-indent, line, text, "L")
		d.y += line
	}
}

// at sets one line of text in a box.
func (d *drawing) at(x, y, width, height float64, s, align string) {
	d.SetXY(x, y)
	d.CellFormat(width, height, s, "", 0, align+"M", false, 0, "")
}

func (d *drawing) stroke(c color, width float64) {
	d.SetDrawColor(c.r, c.g, c.b)
	d.SetLineWidth(width)
}

// head draws what stands above the sections.
func (d *drawing) head(p *Page) {
	d.write(p.Servicer.Name, "B", 11, 0, ink)
	for _, s := range []string{p.Servicer.Address, p.Servicer.Phone} {
		if s != "" {
			d.write(s, "", sizeSmall, 0, soft)
		}
	}
	d.y += 12
	d.write(p.Title, "B", sizeTitle, 0, ink)
	d.y += 4
	d.facts(p.Facts)
	d.stroke(main, 2)
	d.Line(margin, d.y+4, pageWidth-margin, d.y+4)
	d.y += 14
	d.write(p.Lead, "", sizeText, 0, ink)
	d.y += 10
	d.figures(p.Figures)
}

// facts sets names and values in two columns.
func (d *drawing) facts(facts []Fact) {
	const gap = 18.0
	width := (textWidth - gap) / 2
	for i := 0; i < len(facts); i += 2 {
		height := 0.0
		for k, f := range facts[i:min(i+2, len(facts))] {
			x := margin + float64(k)*(width+gap)
			d.font("", sizeSmall, soft)
			d.at(x, d.y, width, sizeSmall*leading, f.Name, "L")
			d.font("", sizeText, ink)
			y := d.y + sizeSmall*leading
			for _, line := range d.wrap(f.Value, width) {
				d.at(x, y, width, sizeText*leading, line, "L")
				y += sizeText * leading
			}
			height = max(height, y-d.y)
		}
		d.y += height + 4
	}
}

// figures draws the large numbers, side by side.
func (d *drawing) figures(figures []Figure) {
	const gap, pad = 12.0, 10.0
	columns := min(len(figures), 2)
	if columns == 0 {
		return
	}
	width := (textWidth - gap*float64(columns-1)) / float64(columns)
	inner := width - 2*pad - 4
	for i := 0; i < len(figures); i += columns {
		group := figures[i:min(i+columns, len(figures))]
		d.font("", sizeSmall, soft)
		notes := 0
		for _, f := range group {
			notes = max(notes, len(d.wrap(f.Note, inner)))
		}
		height := 2*pad + sizeText*leading + sizeFigure*leading + float64(notes)*sizeSmall*leading
		d.room(height)
		for k, f := range group {
			x := margin + float64(k)*(width+gap)
			d.SetFillColor(fill.r, fill.g, fill.b)
			d.Rect(x, d.y, width, height, "F")
			d.SetFillColor(main.r, main.g, main.b)
			d.Rect(x, d.y, 4, height, "F")
			y := d.y + pad
			d.font("", sizeText, ink)
			d.at(x+pad+4, y, inner, sizeText*leading, f.Name, "L")
			y += sizeText * leading
			d.font("B", sizeFigure, ink)
			d.at(x+pad+4, y, inner, sizeFigure*leading, f.Value, "L")
			y += sizeFigure * leading
			d.font("", sizeSmall, soft)
			for _, line := range d.wrap(f.Note, inner) {
				d.at(x+pad+4, y, inner, sizeSmall*leading, line, "L")
				y += sizeSmall * leading
			}
		}
		d.y += height + gap
	}
}

// section draws a section. Its heading stays with what follows it.
func (d *drawing) section(s *Section) {
	d.y += 12
	d.room(sizeHeading*leading + 6 + d.height(&s.Blocks[0]))
	d.write(s.Heading, "B", sizeHeading, 0, main)
	d.y += 4
	for i := range s.Blocks {
		d.block(&s.Blocks[i])
	}
}

// height is how much room the beginning of a block needs: what stays together of a
// table, all of a picture, and a few lines of text.
func (d *drawing) height(b *Block) float64 {
	switch {
	case b.Table != nil:
		return d.measure(b.Table)
	case b.Picture != nil:
		return pictureHeight + 20
	default:
		return 3 * sizeText * leading
	}
}

func (d *drawing) block(b *Block) {
	switch {
	case b.Table != nil:
		d.table(b.Table)
	case b.Picture != nil:
		d.picture(b.Picture)
	case len(b.List) > 0:
		for _, item := range b.List {
			d.room(sizeText * leading)
			d.font("", sizeText, ink)
			d.at(margin+4, d.y, 10, sizeText*leading, "\u2022", "L")
			d.write(item, "", sizeText, 14, ink)
			d.y += 2
		}
		d.y += 4
	default:
		d.write(b.Text, "", sizeText, 0, ink)
		d.y += 6
	}
}
