package ops

import (
	"html/template"
	"strconv"
	"strings"
	"time"
)

// htmlText is text that a template has made, with everything in it escaped.
type htmlText = template.HTML

// functions are what the templates call.
func (p *Pages) functions() template.FuncMap {
	return template.FuncMap{"asset": p.assetURL, "middle": p.middle}
}

// dollars writes cents as people write money: -1234567 is -$12,345.67.
func dollars(cents int64) string {
	sign := ""
	digits := strconv.FormatInt(cents, 10)
	if cents < 0 {
		sign, digits = "-", digits[1:]
	}
	for len(digits) < 3 {
		digits = "0" + digits
	}
	return sign + "$" + grouped(digits[:len(digits)-2]) + "." + digits[len(digits)-2:]
}

// grouped puts a comma before each three digits.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// number writes a count.
func number(n int64) string {
	if n < 0 {
		return "-" + number(-n)
	}
	return grouped(strconv.FormatInt(n, 10))
}

// percent writes a rate in millionths: 68750 is 6.875 %.
func percent(ppm int64) string {
	text := strconv.FormatFloat(float64(ppm)/10_000, 'f', 4, 64)
	text = strings.TrimRight(text, "0")
	return strings.TrimSuffix(text, ".") + " %"
}

// words writes the name of a value as words: next_installment is "next installment".
func words(value string) string { return strings.ReplaceAll(value, "_", " ") }

// age writes for how long something lasts, in its two largest units.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "less than a second"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < day:
		return strconv.Itoa(int(d.Hours())) + " h " + strconv.Itoa(int(d.Minutes())%60) + " min"
	default:
		return strconv.Itoa(int(d/day)) + " d " + strconv.Itoa(int(d.Hours())%24) + " h"
	}
}

// size writes a number of bytes.
func size(bytes int64) string {
	const kilo = 1000
	switch {
	case bytes < kilo:
		return number(bytes) + " B"
	case bytes < kilo*kilo:
		return number(bytes/kilo) + " kB"
	default:
		return number(bytes/kilo/kilo) + " MB"
	}
}

// initial makes the first letter of a text a capital one.
func initial(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
