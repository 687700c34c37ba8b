// Package kibana holds the index templates of OpenSearch and installs them.
//
// A template per log type matches cwl-<type>-* and is composed of components, one a concern; component/*.json and
// template/*.json are what OpenSearch gets, under the names cwl-<file>. README.md maps the old names to the fields.
package kibana

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed component/*.json template/*.json
var files embed.FS

// Client sends one request to OpenSearch; search.Client is one.
type Client interface {
	Do(ctx context.Context, method, path string, body []byte, out any) error
}

// Params are what an installation chooses of an index's settings. Zero shards, interval or codec mean what
// component/settings.json says.
type Params struct {
	Shards          int           // of a day's index, each good for 2,147,483,519 documents
	Replicas        int           // of each shard
	RefreshInterval time.Duration // how long until a document can be found, in whole milliseconds
	Codec           string        // default or best_compression
}

// Install puts the components, then the templates. What is there under their names is replaced, so it may run at every
// deployment; an index that exists keeps its mapping, the next day's has the new one.
func Install(ctx context.Context, c Client, p Params) error {
	for _, kind := range []struct{ folder, endpoint string }{
		{"component", "/_component_template/cwl-"},
		{"template", "/_index_template/cwl-"},
	} {
		list, err := fs.ReadDir(files, kind.folder)
		if err != nil {
			return fmt.Errorf("list %ss: %w", kind.folder, err)
		}
		for _, f := range list {
			body, err := p.read(path.Join(kind.folder, f.Name()))
			if err != nil {
				return err
			}
			name := strings.TrimSuffix(f.Name(), ".json")
			if err := c.Do(ctx, http.MethodPut, kind.endpoint+name, body, nil); err != nil {
				return fmt.Errorf("install %s %s: %w", kind.folder, name, err)
			}
		}
	}
	return nil
}

// read returns a file as it is, but for the settings, which get the parameters.
func (p Params) read(name string) ([]byte, error) {
	text, err := files.ReadFile(name)
	if err != nil || name != "component/settings.json" {
		return text, err
	}
	var component struct {
		Template struct {
			Settings map[string]any `json:"settings"`
		} `json:"template"`
		Version int            `json:"version"`
		Meta    map[string]any `json:"_meta"`
	}
	if err := json.Unmarshal(text, &component); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	settings := component.Template.Settings
	settings["index.number_of_replicas"] = p.Replicas
	if p.Shards != 0 {
		settings["index.number_of_shards"] = p.Shards
	}
	if p.RefreshInterval != 0 {
		settings["index.refresh_interval"] = fmt.Sprintf("%dms", p.RefreshInterval.Milliseconds())
	}
	if p.Codec != "" {
		settings["index.codec"] = p.Codec
	}
	return json.Marshal(component)
}
