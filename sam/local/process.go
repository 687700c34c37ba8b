package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that outlives us, as the state file remembers it. A pid alone may be anybody's by now, so it only
// counts together with the time its process was started.
type process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// launch starts cmd in a session of its own with its output appended to the file at log. The channel is closed when it ends.
func launch(cmd *exec.Cmd, log string) (process, <-chan struct{}, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return process{}, nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return process{}, nil, err
	}
	p := process{cmd.Process.Pid, started(cmd.Process.Pid)}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	return p, ended, nil
}

func (p process) alive() bool { return p.PID != 0 && p.Started != "" && started(p.PID) == p.Started }

// stop asks the process to end, waits for grace and then ends its whole session.
func (p process) stop(ctx context.Context, grace time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	gone := func() bool { return !p.alive() }
	poll(ctx, 50*time.Millisecond, gone) // a late one is killed
	if err := syscall.Kill(-p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, gone)
}

// poll returns when done is, or with the context's error.
func poll(ctx context.Context, every time.Duration, done func() bool) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}

// started tells when a process was started, in whatever unit the system uses; "" when there is none.
func started(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		return startedStat(stat)
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		return ""
	}
	out, _ := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output() // no such process: no output
	state, time, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(time)
}

// startedStat reads field 22 of proc(5)'s stat; a zombie counts as gone. The name in field 2 may hold blanks and brackets.
func startedStat(stat []byte) string {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return ""
	}
	return string(f[19])
}

// run runs a command to its end; the error holds the end of its output.
func run(ctx context.Context, cmd *exec.Cmd) error {
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(out.Bytes(), 30))
	}
	return nil
}

// tail is the last lines of text.
func tail(text []byte, lines int) string {
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
