package ops

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDollars(t *testing.T) {
	t.Parallel()

	for cents, want := range map[int64]string{
		0: "$0.00", 5: "$0.05", -5: "-$0.05", 100: "$1.00", 123456: "$1,234.56", -100000000: "-$1,000,000.00",
		math.MaxInt64: "$92,233,720,368,547,758.07", math.MinInt64: "-$92,233,720,368,547,758.08",
	} {
		require.Equal(t, want, dollars(cents))
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()

	for ppm, want := range map[int64]string{68750: "6.875 %", 0: "0 %", 30000: "3 %", 1: "0.0001 %", 1000000: "100 %"} {
		require.Equal(t, want, percent(ppm))
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()

	for typed, want := range map[string]int64{
		"1": 100, "1.05": 105, "1,234.56": 123456, "$12": 1200, "1234567": 123456700, "0.01": 1, "1,000,000.00": 100000000,
	} {
		got, err := field{kind: "cents"}.read(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got, typed)
	}
	for _, typed := range []string{
		"", "x", "1.5", ".50", "1,23.00", "1e3", "-1", "+1", " 1", "१", "1.000",
		"12345678901234",
	} {
		_, err := field{kind: "cents"}.read(typed)
		require.Error(t, err, typed)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()

	for of, want := range map[time.Duration]string{
		0: "less than a second", 59 * time.Second: "59 s", 90 * time.Second: "1 min", 100 * time.Minute: "1 h 40 min",
		50 * time.Hour: "2 d 2 h",
	} {
		require.Equal(t, want, age(of))
	}
}
