package server_test

import (
	"strings"
	"testing"

	"loanserve/server"
)

func TestParseKey(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		header, want string
		bad          bool
	}{
		"bare":                   {header: "k-1", want: "k-1"},
		"quoted is the same key": {header: `"k-1"`, want: "k-1"},
		"quoted with a blank":    {header: `"k 1"`, want: "k 1"},
		"quoted with escapes":    {header: `"a\"b\\c"`, want: `a"b\c`},
		"the longest":            {header: strings.Repeat("k", 255), want: strings.Repeat("k", 255)},
		"one character too long": {header: strings.Repeat("k", 256), bad: true},
		"empty":                  {header: "", bad: true},
		"empty in quotes":        {header: `""`, bad: true},
		"blank in quotes":        {header: `" "`, bad: true},
		"a lone quote":           {header: `"`, bad: true},
		"not closed":             {header: `"k`, bad: true},
		"not opened":             {header: `k"`, bad: true},
		"a quote inside":         {header: `"a"b"`, bad: true},
		"an escape of nothing":   {header: `"a\"`, bad: true},
		"an escape of a letter":  {header: `"a\b"`, bad: true},
		"bare with a blank":      {header: "k 1", bad: true},
		"two keys in one header": {header: "k1, k2", bad: true},
		"with a parameter":       {header: `"k";x=1`, bad: true},
		"not ASCII":              {header: "schlüssel", bad: true},
		"a control character":    {header: "a\tb", bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := server.ParseKey(tt.header)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("parseKey(%q) = %q, %v; want %q, an error: %v", tt.header, got, err, tt.want, tt.bad)
			}
		})
	}
}
