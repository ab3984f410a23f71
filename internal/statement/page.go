package statement

import "loanserve/mortgage"

// Page is a statement laid out, before anything is drawn: what stands above what.
type Page struct {
	Title    string
	Servicer Servicer
	Facts    []Fact   // to whom, about what
	Lead     string   // what this is
	Figures  []Figure // what matters most, large
	Sections []Section
}

// Fact is a small thing to know: Loan number, 12345.
type Fact struct{ Name, Value string }

// Figure is a large number with what it means.
type Figure struct {
	Name  string
	Value string
	Note  string
}

// Section is a part with a heading.
type Section struct {
	ID      string // names it in the page
	Heading string
	Blocks  []Block
}

// Block is a paragraph, a table or a picture: one of them is there.
type Block struct {
	Text    string
	List    []string
	Table   *Table
	Picture *Picture
}

// Table is a table with a caption and headed columns. Its first column names each
// row; columns with numbers are set to the right.
type Table struct {
	Caption string
	Columns []Column
	Rows    []Row
	Note    string // below it
}

// Column is the head of a column.
type Column struct {
	Head   string
	Number bool // of what is counted: set to the right
	Whole  bool // its cells are not broken into lines
	Weight int  // of the width
}

// Row is one row of a table.
type Row struct {
	Cells  []string
	Strong bool // a sum, or the row to look at
}

// Picture shows balances month by month.
type Picture struct {
	Title  string
	About  string // the same in words, for who does not see it
	Months []string
	Series []Series
}

// Series is one line of a picture. Values that are not known are left out at its
// beginning, First of them, and at its end.
type Series struct {
	Name   string
	First  int
	Values []mortgage.Cents
}

func text(s string) Block          { return Block{Text: s} }
func list(items []string) Block    { return Block{List: items} }
func table(t Table) Block          { return Block{Table: &t} }
func picture(p Picture) Block      { return Block{Picture: &p} }
func label(head string) Column     { return Column{Head: head, Weight: 2} }
func whole(head string) Column     { return Column{Head: head, Whole: true} }
func number(head string) Column    { return Column{Head: head, Number: true, Whole: true, Weight: 2} }
func (c Column) wide(n int) Column { c.Weight = n; return c }

func row(cells ...string) Row    { return Row{Cells: cells} }
func strong(cells ...string) Row { return Row{Cells: cells, Strong: true} }
