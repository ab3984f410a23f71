package recovery

// SwapImage has the books compared with another image than the one the rows are from.
func SwapImage(s *Salvage, url string) { s.image = url }
