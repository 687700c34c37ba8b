package local

import (
	"context"
	"embed"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	searchVersion = "3.8.0"
	copyPlugin    = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
)

//go:embed search/*.java
var searchJava embed.FS

// extension is a module or plugin of OpenSearch as its distribution has it: a folder with jars and a descriptor.
type extension struct {
	folder, class string
	extends       string   // the module whose jars it sees and must not repeat
	artifacts     []string // of group org.opensearch.plugin
}

// extensions are those that an index, a search, painless scripts and snapshots to S3 need.
var extensions = []extension{
	{"modules/lang-painless", "org.opensearch.painless.PainlessModulePlugin", "", []string{"lang-painless", "opensearch-scripting-painless-spi"}},
	{"modules/transport-netty4", "org.opensearch.transport.Netty4ModulePlugin", "", []string{"transport-netty4-client"}},
	{"modules/analysis-common", "org.opensearch.analysis.common.CommonAnalysisModulePlugin", "lang-painless", []string{"analysis-common"}},
	{"modules/ingest-common", "org.opensearch.ingest.common.IngestCommonModulePlugin", "lang-painless", []string{"ingest-common"}},
	{"modules/reindex", "org.opensearch.index.reindex.ReindexModulePlugin", "", []string{"reindex-client"}},
	{"modules/geo", "org.opensearch.geo.GeoModulePlugin", "", []string{"geo"}},
	{"modules/aggs-matrix-stats", "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin", "", []string{"aggs-matrix-stats-client"}},
	{"modules/mapper-extras", "org.opensearch.index.mapper.MapperExtrasModulePlugin", "", []string{"mapper-extras-client"}},
	{"modules/parent-join", "org.opensearch.join.ParentJoinModulePlugin", "", []string{"parent-join-client"}},
	{"modules/lang-mustache", "org.opensearch.script.mustache.MustacheModulePlugin", "", []string{"lang-mustache-client"}},
	{"modules/lang-expression", "org.opensearch.script.expression.ExpressionModulePlugin", "", []string{"lang-expression"}},
	{"plugins/repository-s3", "org.opensearch.repositories.s3.S3RepositoryPlugin", "", []string{"repository-s3"}},
}

// server is what the distribution has in lib/: OpenSearch and what its pom calls optional.
var server = []dependency{
	{"org.opensearch", "opensearch", searchVersion},
	{"org.opensearch", "opensearch-plugin-classloader", searchVersion},
	{"org.opensearch", "opensearch-agent-bootstrap", searchVersion},
	{"org.apache.logging.log4j", "log4j-core", "2.25.4"},
	{"org.locationtech.jts", "jts-core", "1.15.0"},
	{"org.locationtech.spatial4j", "spatial4j", "0.7"},
}

type dependency struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
}

// pom is a Maven project that has dependencies or modules, no more.
type pom struct {
	XMLName      xml.Name     `xml:"http://maven.apache.org/POM/4.0.0 project"`
	Model        string       `xml:"modelVersion"`
	Group        string       `xml:"groupId"`
	Artifact     string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Packaging    string       `xml:"packaging"`
	Modules      []string     `xml:"modules>module,omitempty"`
	Dependencies []dependency `xml:"dependencies>dependency,omitempty"`
}

// poms is one Maven project a folder of jars, and "" over them, so that one run of Maven fetches all.
func poms() map[string]pom {
	project := func(name string) pom {
		return pom{Model: "4.0.0", Group: "stepsiem", Artifact: name, Version: "1", Packaging: "pom"}
	}
	all, lib := project("all"), project("lib")
	lib.Dependencies = server
	all.Modules = []string{"lib"}
	made := map[string]pom{"lib": lib}
	for _, x := range extensions {
		p := project(filepath.Base(x.folder))
		for _, a := range x.artifacts {
			p.Dependencies = append(p.Dependencies, dependency{"org.opensearch.plugin", a, searchVersion})
		}
		all.Modules = append(all.Modules, x.folder)
		made[x.folder] = p
	}
	made[""] = all
	return made
}

// installSearch lays out an OpenSearch home (lib, modules, plugins) from its release jars, with what our Java sources
// compile to in classes and a keystore for the engine's S3.
func (c Config) installSearch(ctx context.Context) (home string, err error) {
	projects, err := json.Marshal(poms())
	if err != nil {
		return "", err
	}
	sources, err := sources()
	if err != nil {
		return "", err
	}
	parts := [][]byte{projects}
	for _, name := range []string{"Keystore.java", "ThaiStub.java"} {
		parts = append(parts, sources[name])
	}
	return cached(ctx, c.Cache, "opensearch-"+searchVersion+"-"+digest(parts...), func(dir string) error {
		if err := errors.Join(Check()...); err != nil {
			return err
		}
		c.Log("OpenSearch: fetching " + searchVersion + " from Maven Central (130 MB)")
		work := filepath.Join(dir, "work")
		if err := c.fetchJars(ctx, work); err != nil {
			return fmt.Errorf("fetch OpenSearch: %w", err)
		}
		if err := layOut(dir, work); err != nil {
			return fmt.Errorf("lay out OpenSearch: %w", err)
		}
		venv, err := c.installPython(ctx)
		if err != nil {
			return err
		}
		if err := compile(ctx, dir, work, java(venv), sources); err != nil {
			return fmt.Errorf("prepare OpenSearch: %w", err)
		}
		if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil { // OpenSearch wants to see one
			return err
		}
		return os.RemoveAll(work)
	})
}

func sources() (map[string][]byte, error) {
	made := map[string][]byte{}
	for _, name := range []string{"Keystore.java", "ThaiStub.java"} {
		text, err := searchJava.ReadFile("search/" + name)
		if err != nil {
			return nil, err
		}
		made[name] = text
	}
	return made, nil
}

// fetchJars leaves the jars of each project in work/PROJECT/target/dependency. The local repository is kept until it
// succeeds, so that an interrupted download goes on.
func (c Config) fetchJars(ctx context.Context, work string) error {
	for name, p := range poms() {
		text, err := xml.Marshal(p)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(work, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, name, "pom.xml"), text, 0o644); err != nil {
			return err
		}
	}
	repository := filepath.Join(c.Cache, "maven")
	mvn := exec.Command("mvn", "--quiet", "--batch-mode", "--no-transfer-progress", "--strict-checksums", "--threads", "4",
		"-Dmaven.repo.local="+repository, copyPlugin, "-DincludeScope=runtime")
	mvn.Dir = work
	if err := run(ctx, mvn); err != nil {
		return err
	}
	return os.RemoveAll(repository)
}

var (
	jarName     = regexp.MustCompile(`^(.+?)-\d[\w.]*(-\w+)?\.jar$`)
	foreignJar  = regexp.MustCompile(`osx|windows|aarch_64`)
	descriptors = "description=%[1]s\nname=%[1]s\nversion=%[2]s\nopensearch.version=%[2]s\nclassname=%[3]s\njava.version=21\nextended.plugins=%[4]s\nhas.native.controller=false\n"
)

// unversioned is a jar's name without its version.
func unversioned(jar string) string { return jarName.ReplaceAllString(jar, "$1$2") }

// layOut moves the jars from work to their places in home. OpenSearch refuses to start when an extension repeats a jar
// that it sees already.
func layOut(home, work string) error {
	lib, err := moveJars(filepath.Join(work, "lib"), filepath.Join(home, "lib"), nil)
	if err != nil {
		return err
	}
	moved := map[string]map[string]bool{"": {}}
	for _, x := range extensions {
		name := filepath.Base(x.folder)
		dir := filepath.Join(home, x.folder)
		jars, err := moveJars(filepath.Join(work, x.folder), dir, func(jar string) bool {
			return lib[unversioned(jar)] || moved[x.extends][unversioned(jar)] || foreignJar.MatchString(jar)
		})
		if err != nil {
			return err
		}
		moved[name] = jars
		text := fmt.Sprintf(descriptors, name, searchVersion, x.class, x.extends)
		if err := os.WriteFile(filepath.Join(dir, "plugin-descriptor.properties"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// moveJars moves the jars of a Maven project to dir but for those that skip names; it returns their unversioned names.
func moveJars(project, dir string, skip func(jar string) bool) (map[string]bool, error) {
	from := filepath.Join(project, "target/dependency")
	jars, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	moved := map[string]bool{}
	for _, j := range jars {
		if skip != nil && skip(j.Name()) {
			continue
		}
		moved[unversioned(j.Name())] = true
		if err := os.Rename(filepath.Join(from, j.Name()), filepath.Join(dir, j.Name())); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// compile makes home/classes and home/opensearch.keystore.
func compile(ctx context.Context, home, work, java string, sources map[string][]byte) error {
	classes := filepath.Join(home, "classes")
	services := filepath.Join(classes, "META-INF/services")
	if err := os.MkdirAll(services, 0o755); err != nil {
		return err
	}
	javac := exec.Command("javac", "--release", "17", "-d", classes)
	for name, text := range sources {
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
		javac.Args = append(javac.Args, path)
	}
	if err := run(ctx, javac); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(services, "java.text.spi.BreakIteratorProvider"), []byte("ThaiStub\n"), 0o644); err != nil {
		return err
	}
	return run(ctx, exec.Command(java, "-cp", classPath(home), "-Dopensearch.path.home="+home, "Keystore", home,
		"s3.client.default.access_key="+accessKey, "s3.client.default.secret_key="+accessKey))
}

func classPath(home string) string {
	return filepath.Join(home, "lib/*") + ":" + filepath.Join(home, "classes")
}

// search is one OpenSearch node.
type search struct {
	Home      string  `json:"home"` // the jars, shared by all stacks
	Java      string  `json:"java"`
	Heap      string  `json:"heap"`
	Dir       string  `json:"dir"` // configuration, data and snapshots of this stack
	Port      int     `json:"port"`
	Transport int     `json:"transport"`
	Process   process `json:"process"`
}

func (s *search) url() string { return "http://127.0.0.1:" + strconv.Itoa(s.Port) }

// pickPorts keeps the ports of an earlier start if they are free.
func (s *search) pickPorts() (err error) {
	if s.Port, err = port(s.Port); err != nil {
		return err
	}
	s.Transport, err = port(s.Transport)
	return err
}

// healthy wants the cluster green or yellow.
func (s *search) healthy(ctx context.Context) error {
	return answers(ctx, s.url()+"/_cluster/health", func(resp *http.Response) error {
		var health struct{ Status string }
		if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
			return fmt.Errorf("read cluster health: %w", err)
		}
		if health.Status == "red" {
			return errors.New("the cluster is red")
		}
		return nil
	})
}

// start starts the node on the data it finds and returns when it is healthy. s3 is the engine's endpoint for snapshots.
func (s *search) start(ctx context.Context, s3, log string, saved func() error) error {
	if err := s.configure(s3); err != nil {
		return fmt.Errorf("configure OpenSearch: %w", err)
	}
	cmd := exec.Command(s.Java, "-Xms"+s.Heap, "-Xmx"+s.Heap, "-Xss1m", "-XX:+UseG1GC", "-XX:G1ReservePercent=25",
		"-XX:InitiatingHeapOccupancyPercent=30", "-XX:+AlwaysPreTouch", "-XX:-OmitStackTraceInFastThrow",
		"-Dio.netty.allocator.type=unpooled", "-Dio.netty.allocator.numDirectArenas=0", "-Dio.netty.noKeySetOptimization=true",
		"-Dio.netty.recycler.maxCapacityPerThread=0", "-Djna.nosys=true", "-Djava.awt.headless=true", "-Dlog4j2.disable.jmx=true",
		"-Djava.locale.providers=SPI,CLDR", "-Djava.security.manager=allow", "-Dfile.encoding=UTF-8",
		"-Djava.io.tmpdir="+filepath.Join(s.Dir, "tmp"), "--enable-native-access=ALL-UNNAMED",
		"-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
		"-Dopensearch.path.home="+s.Home, "-Dopensearch.path.conf="+filepath.Join(s.Dir, "config"),
		"-Dopensearch.distribution.type=tar", "-Dopensearch.bundled_jdk=false",
		"-cp", classPath(s.Home), "org.opensearch.bootstrap.OpenSearch")
	cmd.Dir = s.Dir
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	p, ended, err := launch(cmd, log)
	if err != nil {
		return fmt.Errorf("start OpenSearch: %w", err)
	}
	s.Process = p
	if err := saved(); err != nil {
		return err
	}
	return await(ctx, "OpenSearch", log, ended, s.healthy)
}

// stop lets the node close its indices.
func (s *search) stop(ctx context.Context) error { return s.Process.stop(ctx, 20*time.Second) }

const searchLog = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// configure writes the node's settings and hands its folders to the user it runs as.
func (s *search) configure(s3 string) error {
	keystore, err := os.ReadFile(filepath.Join(s.Home, "opensearch.keystore"))
	if err != nil {
		return err
	}
	var settings strings.Builder
	for _, pair := range [][2]any{
		{"cluster.name", "stepsiem"}, {"node.name", "local"}, {"discovery.type", "single-node"}, {"network.host", "127.0.0.1"},
		{"http.port", s.Port}, {"transport.port", s.Transport}, {"path.data", filepath.Join(s.Dir, "data")},
		{"path.logs", filepath.Join(s.Dir, "tmp")}, {"path.repo", filepath.Join(s.Dir, "snapshots")},
		{"cluster.routing.allocation.disk.threshold_enabled", false}, {"s3.client.default.endpoint", s3},
		{"s3.client.default.protocol", "http"}, {"s3.client.default.path_style_access", true}, {"s3.client.default.region", region},
	} {
		v, err := json.Marshal(pair[1])
		if err != nil {
			return err
		}
		fmt.Fprintf(&settings, "%s: %s\n", pair[0], v) // JSON is YAML
	}
	for _, d := range []string{"config", "data", "snapshots", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, d), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"opensearch.yml": settings.String(), "log4j2.properties": searchLog, "opensearch.keystore": string(keystore)} {
		if err := os.WriteFile(filepath.Join(s.Dir, "config", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(s.Dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || path == s.Dir { // which stays ours, see reachable
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}
