package geo

import (
	_ "embed"
	"strings"
)

// country is what an ISO 3166-1 code alone tells.
type country struct{ name, continent string }

//go:embed countries.tsv
var countriesTSV string

// countries by ISO 3166-1 alpha-2 code, for databases that hold codes only.
var countries = parseCountries(countriesTSV)

var continents = map[string]string{"AF": "Africa", "AN": "Antarctica", "AS": "Asia", "EU": "Europe", "NA": "North America",
	"OC": "Oceania", "SA": "South America"}

// parseCountries reads lines of code, continent code and name, tabs between.
func parseCountries(tsv string) map[string]country {
	out := make(map[string]country, 256)
	for line := range strings.Lines(tsv) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			out[f[0]] = country{name: f[2], continent: f[1]}
		}
	}
	return out
}
