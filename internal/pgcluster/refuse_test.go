package pgcluster_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// A directory that Start did not expect holds what someone needs: it is
// refused, and afterwards it is as it was.
func TestStartRefuses(t *testing.T) {
	t.Parallel()

	b := needServer(t)
	tests := map[string]struct {
		files    map[string]string
		binaries pgcluster.Binaries
	}{
		"a version nobody has": {
			files: map[string]string{"PG_VERSION": "9999\n", "base": "23 loans"},
		},
		"a version older than versions were whole numbers": {
			files: map[string]string{"PG_VERSION": "9.6\n", "base": "23 loans"},
		},
		"a version other than the given programs'": {
			files:    map[string]string{"PG_VERSION": strconv.Itoa(b.Major+1) + "\n", "base": "23 loans"},
			binaries: b,
		},
		"a directory of something else": {
			files: map[string]string{"report.csv": "loan_id\n23\n"},
		},
		"a hidden file": {
			files: map[string]string{".keep": ""},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := tempDir(t)
			for name, text := range tt.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			before := snapshot(t, dir)
			_, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: dir, Binaries: tt.binaries})
			require.ErrorContains(t, err, dir)
			require.Equal(t, before, snapshot(t, dir))
		})
	}
}

func TestStartRefusesAFile(t *testing.T) {
	t.Parallel()

	needServer(t)
	file := filepath.Join(tempDir(t), "file")
	require.NoError(t, os.WriteFile(file, []byte("23 loans"), 0o644))
	_, err := pgcluster.Start(t.Context(), pgcluster.Options{Dir: file})
	require.ErrorContains(t, err, file)
	require.FileExists(t, file)
}
