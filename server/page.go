package server

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Page says which part of a list is wanted. Lists are paged by key: what is
// added meanwhile neither repeats nor hides an item.
type Page struct {
	Limit  int32  `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"100" doc:"The next_cursor of the page before."`
}

// cursorVersion begins every cursor, so that one whose meaning has changed can
// be told from a new one.
const cursorVersion = "1."

// cursorText packs the key of a page's last item. Clients are not to look inside.
func cursorText(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorVersion + key))
}

// after returns the key in the cursor, and false when there is no cursor.
func (p Page) after() (key string, ok bool, err error) {
	if p.Cursor == "" {
		return "", false, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(p.Cursor)
	key, known := strings.CutPrefix(string(text), cursorVersion)
	if err != nil || !known {
		return "", false, badCursor()
	}
	return key, true, nil
}

// afterNumber is after for keys that are numbers; it is 0 without a cursor.
func (p Page) afterNumber(bits int) (int64, error) {
	key, ok, err := p.after()
	if err != nil || !ok {
		return 0, err
	}
	n, err := strconv.ParseInt(key, 10, bits)
	if err != nil || n < 0 {
		return 0, badCursor()
	}
	return n, nil
}

// beforeID is after for lists that begin with the latest, by ids that are in
// order of time; it is above every id without a cursor.
func (p Page) beforeID() (uuid.UUID, error) {
	key, ok, err := p.after()
	if err != nil || !ok {
		return uuid.Max, err
	}
	id, err := uuid.Parse(key)
	if err != nil {
		return uuid.Max, badCursor()
	}
	return id, nil
}

func badCursor() *problem {
	return invalid(inParameter("cursor", "must be the next_cursor of the page before"))
}

// linkToNext returns the Link header (RFC 8288) of a page that is not the last.
func (p Page) linkToNext(path, cursor string, more url.Values) string {
	query := url.Values{"limit": {strconv.Itoa(int(p.Limit))}, "cursor": {cursor}}
	maps.Copy(query, more)
	return "<" + path + "?" + query.Encode() + `>; rel="next"`
}

// filters are the parameters of a list that have a value, for the address of its next
// page; given as pairs of name and value.
func filters(pairs ...string) url.Values {
	given := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if name, value := pair[0], pair[1]; value != "" {
			given.Set(name, value)
		}
	}
	return given
}

// cut shortens rows, of which one more than the limit was asked for, to the
// limit, and returns the key of the last one when there are more.
func cut[T any](rows []T, limit int32, key func(T) string) (kept []T, next string) {
	if len(rows) <= int(limit) {
		return rows, ""
	}
	kept = rows[:limit]
	return kept, cursorText(key(kept[limit-1]))
}
