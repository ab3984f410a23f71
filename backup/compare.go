package backup

import (
	"fmt"
	"slices"
)

// comparison holds a restored database against the manifest.
type comparison struct {
	m   *Manifest
	got *contents
	v   *Verification
}

func (c *comparison) differs(format string, args ...any) {
	c.v.Findings = append(c.v.Findings, fmt.Sprintf(format, args...))
}

func (c *comparison) equal(format string, args ...any) {
	c.v.Compared = append(c.v.Compared, fmt.Sprintf(format, args...))
}

func (c *comparison) schema() {
	want, got := c.m.Schema, c.got.Schema
	if got.Version != want.Version {
		c.differs("the schema is of version %d and should be of %d", got.Version, want.Version)
	}
	switch {
	case c.got.Database.Major() != c.m.Database.Major():
		c.equal("schema: not compared, the scratch server is PostgreSQL %d and the backup of %d",
			c.got.Database.Major(), c.m.Database.Major())
	case got.Method != want.Method:
		c.equal("schema: not compared, its fingerprint was made by another version of the program")
	case got.Fingerprint != want.Fingerprint:
		c.differs("the schema has the fingerprint %.12s and should have %.12s", got.Fingerprint, want.Fingerprint)
	default:
		c.equal("schema: version %d, fingerprint %.12s", want.Version, want.Fingerprint)
	}
}

// tables compares rows. A table that changed while a physical backup was made is
// not exactly what it was at either end: there the number of rows must lie between.
func (c *comparison) tables() {
	found := map[string]Table{}
	for _, t := range c.got.Tables {
		found[t.Name] = t
	}
	var rows int64
	var exact int
	var moving []string
	for _, want := range c.m.Tables {
		got, there := found[want.Name]
		delete(found, want.Name)
		switch {
		case !there:
			c.differs("table %s is missing", want.Name)
		case want.settled() && got.CheckedRows != want.CheckedRows:
			c.differs("table %s has %d rows and should have %d", want.Name, got.CheckedRows, want.CheckedRows)
		case want.settled() && got.Checksum != want.Checksum:
			c.differs("table %s has other rows than it should have (checksum %s, not %s)",
				want.Name, got.Checksum, want.Checksum)
		case got.CheckedRows < want.KeptRows || got.CheckedRows > want.CheckedRows:
			c.differs("table %s has %d rows and should have %d to %d",
				want.Name, got.CheckedRows, want.KeptRows, want.CheckedRows)
		case want.settled():
			exact++
			rows += got.CheckedRows
		default:
			moving = append(moving, want.Name)
		}
	}
	for name := range found {
		c.differs("table %s should not be there", name)
	}
	c.equal("rows: %d in %d tables, by number and checksum", rows, exact)
	if len(moving) > 0 {
		c.equal("rows: only by number in %d tables that changed during the backup: %v", len(moving), moving)
	}
}

// sequences must not be behind: they would give numbers out again.
func (c *comparison) sequences() {
	found := map[string]int64{}
	for _, s := range c.got.Sequences {
		found[s.Name] = s.LastValue
	}
	for _, want := range c.m.Sequences {
		if got, there := found[want.Name]; !there || got < want.LastValue {
			c.differs("sequence %s stands at %d and should not stand before %d", want.Name, got, want.LastValue)
		}
	}
}

// figures are compared where the restored database is exactly what was read: in a
// physical backup of a database at work, later rows are in it as well.
func (c *comparison) figures() {
	if c.m.Kind == Physical && !c.identical() {
		c.equal("figures: not compared, the copy holds later rows as well")
		return
	}
	for _, want := range c.m.Figures {
		i := slices.IndexFunc(c.got.Figures, func(f Figure) bool { return f.Name == want.Name })
		switch {
		case i < 0:
			c.equal("%s: this program does not ask for it", want.Name)
		case c.got.Figures[i].Value != want.Value:
			c.differs("%s is %s and should be %s", want.Name, c.got.Figures[i].Value, want.Value)
		default:
			c.equal("%s: %s", want.Name, want.Value)
		}
	}
}

// identical says whether the tables hold the rows of the manifest and no others.
func (c *comparison) identical() bool {
	for i, want := range c.m.Tables {
		if i >= len(c.got.Tables) || !want.settled() || want.CheckedRows != want.Rows || c.got.Tables[i].Rows != want.Rows {
			return false
		}
	}
	return len(c.v.Findings) == 0
}
