package ops

import "strings"

// What somebody is shown may name what he may not see: a finding names a loan. He is
// told of it, but not led there.

// sees says whether he may see the page.
func (v *visitor) sees(target string) bool {
	for _, group := range menu {
		for _, item := range group.Items {
			if item.URL != Root+"/" && strings.HasPrefix(target, item.URL) {
				return v.may(item.scope)
			}
		}
	}
	return true
}

func (t *table) unlink(v *visitor) {
	for _, row := range t.Rows {
		for i := range row {
			if !v.sees(row[i].URL) {
				row[i].URL = ""
			}
		}
	}
}

func (l *listPage) unlink(v *visitor) { l.Table.unlink(v) }

func (d *detail) unlink(v *visitor) {
	for i := range d.Facts {
		if !v.sees(d.Facts[i].Cell.URL) {
			d.Facts[i].Cell.URL = ""
		}
	}
	for i := range d.Sections {
		d.Sections[i].Table.unlink(v)
		if !v.sees(d.Sections[i].More.URL) {
			d.Sections[i].More = link{}
		}
	}
}
