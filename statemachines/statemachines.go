// Package statemachines embeds the machines' definitions, the single truth of the order of tasks.
package statemachines

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed *.asl.json
var files embed.FS

const suffix = ".asl.json"

// Names lists the machines: "ingest" is ingest.asl.json.
func Names() []string {
	names, _ := fs.Glob(files, "*"+suffix) // the pattern is well formed
	for i, n := range names {
		names[i] = strings.TrimSuffix(n, suffix)
	}
	return names
}

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// Definition returns a machine's definition with its placeholders replaced as CloudFormation does.
func Definition(name string, substitutions map[string]string) (string, error) {
	raw, err := files.ReadFile(name + suffix)
	if err != nil {
		return "", fmt.Errorf("read machine: %w", err)
	}
	var missing []string
	text := placeholder.ReplaceAllStringFunc(string(raw), func(p string) string {
		v, ok := substitutions[p[2:len(p)-1]]
		if !ok {
			missing = append(missing, p)
		}
		return v
	})
	if missing != nil {
		return "", fmt.Errorf("substitute in machine %s: no value for %s", name, strings.Join(missing, ", "))
	}
	return text, nil
}

// Placeholders lists the names that a machine wants substituted, once each.
func Placeholders(name string) ([]string, error) {
	raw, err := files.ReadFile(name + suffix)
	if err != nil {
		return nil, fmt.Errorf("read machine: %w", err)
	}
	var names []string
	seen := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(string(raw), -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			names = append(names, m[1])
		}
	}
	return names, nil
}
