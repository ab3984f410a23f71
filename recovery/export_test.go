package recovery

import (
	"io"
	"slices"
)

// SwapImage has the books compared with another image than the one the rows are from.
func SwapImage(s *Salvage, url string) { s.image = url }

// ReadWAL reads what pg_waldump says, of a database with these files of tables.
func ReadWAL(out io.Reader, database uint32, files map[uint32]string, now uint64) ([]Taking, error) {
	r := &walReader{
		watched: &watched{database: database, files: files, now: now}, open: map[uint32]*Taking{},
	}
	err := r.read(out)
	return slices.Clip(r.done), err
}
