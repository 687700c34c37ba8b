package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// pythonProbe ends with 0 on a Python that the engine runs on and that can make virtual environments.
const pythonProbe = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))"

// Check says which of the programs that a set-up needs are missing, and what to install.
func Check() []error {
	var missing []error
	for name, install := range map[string]string{
		"go":  "install Go 1.26 or later (https://go.dev/dl)",
		"mvn": "install Apache Maven 3.8 or later (package maven)",
	} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Errorf("%s is not on the PATH: %s", name, install))
		}
	}
	if err := checkJavac(); err != nil {
		missing = append(missing, fmt.Errorf("%w: install a JDK 17 or later (package openjdk-17-jdk)", err))
	}
	if _, err := exec.LookPath("uv"); err != nil && python() == "" {
		missing = append(missing, errors.New("there is no Python 3.13, on the PATH or under ~/.pyenv: install it (package python3.13-venv, pyenv install 3.13) or uv"))
	}
	slices.SortFunc(missing, func(a, b error) int { return len(a.Error()) - len(b.Error()) })
	return missing
}

var javacVersion = regexp.MustCompile(`javac (\d+)`)

func checkJavac() error {
	out, err := exec.Command("javac", "-version").CombinedOutput()
	if err != nil {
		return errors.New("javac does not run")
	}
	m := javacVersion.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("javac says %q", out)
	}
	if v, _ := strconv.Atoi(string(m[1])); v < 17 {
		return fmt.Errorf("javac is of Java %s", m[1])
	}
	return nil
}

// python finds a Python 3.13, or "".
func python() string {
	candidates := []string{"python3.13", "python3"}
	if home, err := os.UserHomeDir(); err == nil {
		found, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions/3.13*/bin/python3.13")) // the pattern is good
		candidates = append(candidates, found...)
	}
	for _, c := range candidates {
		if exec.Command(c, "-c", pythonProbe).Run() == nil {
			return c
		}
	}
	return ""
}

// uvPython has uv install a Python 3.13 under dir.
func uvPython(ctx context.Context, dir string) (string, error) {
	env := append(os.Environ(), "UV_PYTHON_INSTALL_DIR="+dir)
	install := exec.Command("uv", "python", "install", "--no-bin", "3.13")
	install.Env = env
	if err := run(ctx, install); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, "cpython-3.13.*/bin/python3.13"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("find Python 3.13 in %s: uv left none", dir)
	}
	return found[len(found)-1], nil
}
