package replication

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a place in the write-ahead log: how many bytes come before it.
type LSN uint64

const half = 32 // bits on each side of the slash

// ParseLSN reads a place as the server writes it: 16/B374D848.
func ParseLSN(text string) (LSN, error) {
	high, low, ok := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, half)
	if err == nil && ok {
		var l uint64
		if l, err = strconv.ParseUint(low, 16, half); err == nil {
			return LSN(h<<half | l), nil
		}
	}
	return 0, fmt.Errorf("%q is no place in the WAL", text)
}

// String writes it as the server does.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>half, uint32(l)) }

// Floor is the last multiple of n up to it.
func (l LSN) Floor(n int64) LSN { return l - l%LSN(n) }
