package pgcluster_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/pgcluster"
)

// install puts a server of the version into dir.
func install(t *testing.T, dir, version string) {
	t.Helper()
	packed := archive(t, program("package/bin/postgres", version), program("package/bin/initdb", version))
	require.NoError(t, pgcluster.UnpackNPM(bytes.NewReader(packed), dir))
}

func TestFind(t *testing.T) {
	t.Parallel()

	root := tempDir(t)
	for _, dir := range []string{"9", "15", "17", "18"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	install(t, filepath.Join(root, "9"), "9.6.24")
	install(t, filepath.Join(root, "15"), "15.18 (Debian 15.18-0+deb12u1)")
	install(t, filepath.Join(root, "17"), "17beta1") // "18" stays empty.
	all := filepath.Join(root, "*", "bin")
	bin := func(version string) string { return filepath.Join(root, version, "bin") }

	tests := map[string]struct {
		search pgcluster.Search
		major  int
		want   string // "" for ErrNotFound.
	}{
		"the highest version that runs":    {pgcluster.Search{System: []string{bin("18"), all}}, 0, "17"},
		"the version asked for":            {pgcluster.Search{System: []string{all}}, 15, "15"},
		"too old a version":                {pgcluster.Search{System: []string{all}}, 9, ""},
		"nothing where it looks":           {pgcluster.Search{System: []string{bin("18")}}, 0, ""},
		"what the user names goes first":   {pgcluster.Search{Override: bin("15"), System: []string{all}}, 0, "15"},
		"what the user names goes alone":   {pgcluster.Search{Override: bin("15"), System: []string{all}}, 17, ""},
		"the user names a version too old": {pgcluster.Search{Override: bin("9"), System: []string{all}}, 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b, err := tt.search.Find(tt.major)
			if tt.want == "" {
				require.ErrorIs(t, err, pgcluster.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, bin(tt.want), b.Dir)
		})
	}
}

func TestFindSaysWhatIsWrongWithTheUsersChoice(t *testing.T) {
	t.Parallel()

	missing := filepath.Join(t.TempDir(), "bin")
	_, err := pgcluster.Search{Override: missing}.Find(0)
	require.ErrorContains(t, err, missing)
}
