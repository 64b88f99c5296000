package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

// command is a stream that the driver has open.
type command struct {
	handle *microsandbox.ExecHandle
	stdin  *microsandbox.ExecSink
}

type execArgs struct {
	Sandbox   string            `json:"sandbox" need:"1"`
	Argv      []string          `json:"argv"`
	Script    *string           `json:"script"`
	Env       map[string]string `json:"env"`
	Cwd       string            `json:"cwd"`
	User      string            `json:"user"`
	Rlimits   []string          `json:"rlimits"`
	Stdin     *data             `json:"stdin"`
	TTY       bool              `json:"tty"`
	TimeoutMs *uint32           `json:"timeout_ms"`
	Max       uint64            `json:"max"`
}

func (a execArgs) on() string { return a.Sandbox }

func (a *execArgs) options() ([]microsandbox.ExecOption, error) {
	rlimits, err := limits(a.Rlimits)
	if err != nil {
		return nil, err
	}
	opts := []microsandbox.ExecOption{microsandbox.WithExecEnv(a.Env), microsandbox.WithExecCwd(a.Cwd),
		microsandbox.WithExecUser(a.User), microsandbox.WithExecRlimits(rlimits...),
		microsandbox.WithExecMaxOutput(a.Max)}
	if a.Stdin != nil {
		opts = append(opts, microsandbox.WithExecStdin(*a.Stdin))
	}
	if a.TTY {
		opts = append(opts, microsandbox.WithExecTTY())
	}
	if a.TimeoutMs != nil {
		opts = append(opts, microsandbox.WithExecTimeout(span(a.TimeoutMs, 0)))
	}
	return opts, nil
}

// split is a command and its arguments.
func split(argv []string) (string, []string) {
	if len(argv) == 0 {
		return "", nil
	}
	return argv[0], argv[1:]
}

func outputOf(o *microsandbox.ExecOutput, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	cutOut, cutErr := o.Truncated()
	return object{"exit_code": o.ExitCode(), "signal": o.Signal(), "stdout": data(o.StdoutBytes()),
		"stderr": data(o.StderrBytes()), "success": o.Success(), "truncated": cutOut || cutErr}, nil
}

type startArgs struct {
	As      string            `json:"as" need:"1"`
	Sandbox string            `json:"sandbox" need:"1"`
	Argv    []string          `json:"argv" need:"1"`
	Stdin   bool              `json:"stdin"`
	Env     map[string]string `json:"env"`
	Cwd     string            `json:"cwd"`
	User    string            `json:"user"`
	Rlimits []string          `json:"rlimits"`
	TTY     bool              `json:"tty"`
	Rows    uint16            `json:"rows"`
	Cols    uint16            `json:"cols"`
	Shell   bool              `json:"shell"`
}

func (a *startArgs) start(ctx context.Context, sb *microsandbox.Sandbox) (*microsandbox.ExecHandle, error) {
	rlimits, err := limits(a.Rlimits)
	if err != nil {
		return nil, err
	}
	opts := []microsandbox.ExecOption{microsandbox.WithExecEnv(a.Env), microsandbox.WithExecCwd(a.Cwd),
		microsandbox.WithExecUser(a.User), microsandbox.WithExecRlimits(rlimits...),
		microsandbox.WithExecSize(a.Rows, a.Cols)}
	if a.Stdin {
		opts = append(opts, microsandbox.WithExecStdinPipe())
	}
	if a.TTY {
		opts = append(opts, microsandbox.WithExecTTY())
	}
	cmd, rest := split(a.Argv)
	if a.Shell {
		return sb.ShellStream(ctx, cmd, opts...)
	}
	return sb.ExecStream(ctx, cmd, rest, opts...)
}

type execHandle struct {
	Exec      string  `json:"exec" need:"1"`
	TimeoutMs *uint32 `json:"timeout_ms"`
	Data      data    `json:"data"`
	Signal    int     `json:"signal"`
	Rows      uint16  `json:"rows"`
	Cols      uint16  `json:"cols"`
}

func (d *driver) exec(as string) (*command, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.execs[as]
	if !ok {
		return nil, invalid("there is no command %q", as)
	}
	return x, nil
}

func (d *driver) keepExec(as string, h *microsandbox.ExecHandle, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.execs[as] = &command{h, h.TakeStdin()}
	return nil, nil
}

// running registers a call of a command.
func running(name string, fn func(ctx context.Context, x *command, a execHandle) (any, error)) {
	on(name, func(ctx context.Context, d *driver, a execHandle) (any, error) {
		x, err := d.exec(a.Exec)
		if err != nil {
			return nil, err
		}
		ctx, stop := limited(ctx, a.TimeoutMs)
		defer stop()
		return fn(ctx, x, a)
	})
}

func eventOf(ev *microsandbox.ExecEvent) object {
	if ev.Kind == microsandbox.ExecEventDone {
		return object{"kind": nil}
	}
	out := object{"kind": ev.Kind.String(), "pid": ev.PID, "data": data(ev.Data),
		"exit_code": ev.ExitCode, "signal": ev.Signal, "message": ""}
	if ev.Failure != nil {
		out["message"] = ev.Failure.Message
	}
	return out
}

func init() {
	live("exec", func(ctx context.Context, sb *microsandbox.Sandbox, a execArgs) (any, error) {
		opts, err := a.options()
		if err != nil {
			return nil, err
		}
		cmd, rest := split(a.Argv)
		return outputOf(sb.Exec(ctx, cmd, rest, opts...))
	})
	live("shell", func(ctx context.Context, sb *microsandbox.Sandbox, a execArgs) (any, error) {
		opts, err := a.options()
		if err != nil {
			return nil, err
		}
		if a.Script == nil {
			return nil, invalid("no script")
		}
		return outputOf(sb.Shell(ctx, *a.Script, opts...))
	})
	on("exec.start", func(ctx context.Context, d *driver, a startArgs) (any, error) {
		sb, err := d.sandbox(a.Sandbox)
		if err != nil {
			return nil, err
		}
		h, err := a.start(ctx, sb)
		return d.keepExec(a.As, h, err)
	})
	on("exec.attach", func(ctx context.Context, d *driver, a struct {
		As      string `json:"as" need:"1"`
		Sandbox string `json:"sandbox" need:"1"`
		Session uint64 `json:"session"`
	}) (any, error) {
		sb, err := d.sandbox(a.Sandbox)
		if err != nil {
			return nil, err
		}
		h, err := sb.AttachSession(ctx, a.Session)
		return d.keepExec(a.As, h, err)
	})
	running("exec.next", func(ctx context.Context, x *command, _ execHandle) (any, error) {
		ev, err := x.handle.Recv(ctx)
		if err != nil {
			return nil, err
		}
		return eventOf(ev), nil
	})
	running("exec.write", func(ctx context.Context, x *command, a execHandle) (any, error) {
		if x.stdin == nil {
			return nil, invalid("the command has no input")
		}
		_, err := x.stdin.WriteContext(ctx, a.Data)
		return nil, err
	})
	running("exec.close_stdin", func(_ context.Context, x *command, _ execHandle) (any, error) {
		if x.stdin == nil {
			return nil, invalid("the command has no input")
		}
		return nil, x.stdin.Close()
	})
	running("exec.detach", func(ctx context.Context, x *command, _ execHandle) (any, error) {
		return nil, x.handle.Detach(ctx)
	})
	running("exec.signal", func(ctx context.Context, x *command, a execHandle) (any, error) {
		return nil, x.handle.Signal(ctx, a.Signal)
	})
	running("exec.resize", func(ctx context.Context, x *command, a execHandle) (any, error) {
		return nil, x.handle.Resize(ctx, a.Rows, a.Cols)
	})
	running("exec.wait", func(ctx context.Context, x *command, _ execHandle) (any, error) {
		code, err := x.handle.Wait(ctx)
		return object{"exit_code": code}, err
	})
	running("exec.session", func(_ context.Context, x *command, _ execHandle) (any, error) {
		return object{"session": x.handle.Session()}, nil
	})
	on("exec.close", func(_ context.Context, d *driver, a execHandle) (any, error) {
		x, err := d.exec(a.Exec)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		delete(d.execs, a.Exec)
		d.mu.Unlock()
		return nil, x.handle.Close()
	})
	live("fs.read_stream", readStream)
	live("fs.write_stream", writeStream)
}

func readStream(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
	r, err := sb.FS().ReadStream(ctx, a.Path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	return object{"bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))}, err
}

func writeStream(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
	w, err := sb.FS().WriteStream(ctx, a.Path)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	to := io.MultiWriter(w, sum)
	piece := make([]byte, 64*251)
	for i := range piece {
		piece[i] = byte(i % 251)
	}
	for left := int(a.Bytes); left > 0; left -= len(piece) {
		if _, err := to.Write(piece[:min(left, len(piece))]); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return object{"sha256": hex.EncodeToString(sum.Sum(nil))}, w.Close()
}
