// Command siem is the operator's command. It works on the local stack at --home, or on AWS with --stack NAME.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"stepsiem/sam/local"
)

// command is one entry of the table: "siem NAME ARGS". A name may have two words.
type command struct {
	name, args, summary string
	run                 func(ctx context.Context, c *call, args []string) error
}

var commands = []command{
	{"demo", "", "set up, ingest sample logs, show executions, ledger and searches", cmdDemo},
	{"up", "", "bring the local stack up", cmdUp},
	{"down", "", "stop the local stack and discard its data", cmdDown},
	{"status", "", "where things are and whether they are well", cmdStatus},
	{"parse", "FILE...", "documents of log files as NDJSON, without any server", cmdParse},
	{"ingest", "PATH...", "upload files and follow them into the index", cmdIngest},
	{"executions", "", "executions of the state machines", cmdExecutions},
	{"show", "NAME", "an execution: objects, states, error, ledger", cmdShow},
	{"rerun", "NAME... | --failed", "run failed executions on, or again", cmdRerun},
	{"quarantine list", "", "what was set aside, by batch", cmdQuarantineList},
	{"quarantine show", "BATCH", "what was set aside of a batch, and why", cmdQuarantineShow},
	{"quarantine replay", "BATCH... | --all", "ingest batches once more, after a fix", cmdQuarantineReplay},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run runs the command that args name.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd, rest := find(args)
	if cmd == nil {
		return overview(args, stdout, stderr)
	}
	c := newCall(cmd, stdout, stderr)
	err := cmd.run(ctx, c, rest)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, flag.ErrHelp):
		c.help(stdout)
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "siem %s: %s\nSee siem %[1]s --help\n", cmd.name, usage)
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "siem %s: interrupted; what was started goes on, see siem executions\n", cmd.name)
		return exitFailed
	}
	fmt.Fprintf(stderr, "siem %s: %s\n", cmd.name, printable(err.Error(), 4000))
	return exitFailed
}

func find(args []string) (cmd *command, rest []string) {
	for i := range commands {
		words := strings.Fields(commands[i].name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == commands[i].name {
			return &commands[i], args[len(words):]
		}
	}
	return nil, nil
}

// overview answers what names no command: the list of commands, or of a group such as quarantine.
func overview(args []string, stdout, stderr io.Writer) int {
	w, code := stderr, exitUsage
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		help := slices.Contains([]string{"help", "-h", "-help", "--help"}, a)
		if help {
			w, code = stdout, exitDone
		}
		return help
	})
	group := strings.Join(args, " ")
	var rows [][]string
	for _, cmd := range commands {
		if group == "" || strings.HasPrefix(cmd.name, group+" ") {
			rows = append(rows, []string{"siem " + cmd.name + " " + cmd.args, cmd.summary})
		}
	}
	if rows == nil {
		fmt.Fprintf(stderr, "siem: there is no command %q. See siem --help\n", printable(group, 100))
		return exitUsage
	}
	table(w, nil, rows)
	fmt.Fprintln(w, "\nEach takes --help, --json, --home DIR for another local stack, and --stack NAME for one on AWS.")
	return code
}

// usageError says what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// call is one run of a command: its flags, and where answers and progress go.
type call struct {
	cmd         *command
	out, err    io.Writer
	flags       *flag.FlagSet
	json        bool
	home, stack string
}

func newCall(cmd *command, stdout, stderr io.Writer) *call {
	c := &call{cmd: cmd, out: stdout, err: stderr, flags: flag.NewFlagSet(cmd.name, flag.ContinueOnError)}
	c.flags.SetOutput(io.Discard)
	c.flags.BoolVar(&c.json, "json", false, "print one JSON object")
	c.flags.StringVar(&c.home, "home", local.DefaultHome(), "`DIR` of the local stack")
	c.flags.StringVar(&c.stack, "stack", "", "`NAME` of a stack on AWS, with the usual credentials")
	return c
}

// parse reads flags wherever they stand, and gives the other arguments: at least least, at most most unless that is -1.
func (c *call) parse(args []string, least, most int) (rest []string, err error) {
	for {
		if err := c.flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, usageError(err.Error())
		}
		left := c.flags.Args()
		if len(left) == 0 {
			break
		}
		if read := len(args) - len(left); read > 0 && args[read-1] == "--" {
			rest = append(rest, left...)
			break
		}
		rest, args = append(rest, left[0]), left[1:]
	}
	if len(rest) < least || most >= 0 && len(rest) > most {
		return nil, usagef("expects %s", strings.TrimSpace(c.cmd.args+" and flags"))
	}
	return rest, nil
}

func (c *call) help(w io.Writer) {
	fmt.Fprintf(w, "siem %s\n%s\n\n", strings.TrimSpace(c.cmd.name+" "+c.cmd.args), c.cmd.summary)
	c.flags.SetOutput(w)
	c.flags.PrintDefaults()
}

// print writes the answer: v as one JSON object, or text for people.
func (c *call) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(c.out)
		return nil
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "%s\n", raw)
	return err
}

// note tells what is going on.
func (c *call) note(format string, args ...any) {
	fmt.Fprintln(c.err, printable(fmt.Sprintf(format, args...), 4000))
}
