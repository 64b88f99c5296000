package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"
	"unsafe"
)

// ExecOutput is all that a command wrote, and how it ended. A command that ends
// with another code than 0 is no error.
type ExecOutput struct {
	stdout, stderr []byte
	code           int
	signal         int
	outCut, errCut bool
}

// Stdout is what it wrote there, as a string.
func (o *ExecOutput) Stdout() string { return string(o.stdout) }

// StdoutBytes is what it wrote there.
func (o *ExecOutput) StdoutBytes() []byte { return o.stdout }

// Stderr is what it wrote there, as a string.
func (o *ExecOutput) Stderr() string { return string(o.stderr) }

// StderrBytes is what it wrote there.
func (o *ExecOutput) StderrBytes() []byte { return o.stderr }

// ExitCode is from 0 to 255; of a command that signal n killed it is 128+n.
func (o *ExecOutput) ExitCode() int { return exitCode(o.code, o.signal) }

// Signal is the number of the signal that killed the command, else 0.
func (o *ExecOutput) Signal() int { return o.signal }

// Success says whether the command ended with 0.
func (o *ExecOutput) Success() bool { return o.code == 0 && o.signal == 0 }

// Truncated says whether more was written than the limit, see WithExecMaxOutput.
func (o *ExecOutput) Truncated() (stdout, stderr bool) { return o.outCut, o.errCut }

func exitCode(code, signal int) int {
	if signal != 0 {
		return 128 + signal
	}
	return code
}

// ExecConfig is what the options of Exec fill.
type ExecConfig struct {
	Args       []string // more of them
	Cwd        string
	Env        map[string]string
	User       string
	Rlimits    []Rlimit
	Entrypoint *string
	Timeout    time.Duration // 0: no limit
	StdinPipe  bool          // of streams: TakeStdin will be used
	Stdin      []byte        // all of its input
	HasStdin   bool
	MaxOutput  int64 // bytes of each stream; 0: 64 MiB
	TTY        bool
	Rows, Cols uint16
	NoLog      bool
	Main       bool

	flags C.uint32_t
	err   error
}

// ExecOption is an option of Exec and its like.
type ExecOption func(*ExecConfig)

// WithExecCwd sets the folder where the command begins.
func WithExecCwd(path string) ExecOption { return func(cfg *ExecConfig) { cfg.Cwd = path } }

// WithExecEnv adds to the command's environment.
func WithExecEnv(env map[string]string) ExecOption {
	return func(cfg *ExecConfig) { cfg.Env = merged(cfg.Env, env) }
}

// WithExecUser sets whom the command runs as: NAME, UID, NAME:GROUP, UID:GID.
func WithExecUser(user string) ExecOption { return func(cfg *ExecConfig) { cfg.User = user } }

// WithExecRlimits limits the command.
func WithExecRlimits(limits ...Rlimit) ExecOption {
	return func(cfg *ExecConfig) { cfg.Rlimits = append(cfg.Rlimits, limits...) }
}

// WithExecArgs are arguments for ExecDefault, in place of the image's CMD.
func WithExecArgs(args ...string) ExecOption {
	return func(cfg *ExecConfig) { cfg.Args = append(cfg.Args, args...) }
}

// WithExecEntrypoint replaces the image's ENTRYPOINT, for ExecDefault.
func WithExecEntrypoint(entrypoint string) ExecOption {
	return func(cfg *ExecConfig) { cfg.Entrypoint = &entrypoint }
}

// WithExecTimeout kills the command after this time: ErrExecTimeout. What it
// wrote until then is given all the same.
func WithExecTimeout(d time.Duration) ExecOption { return func(cfg *ExecConfig) { cfg.Timeout = d } }

// WithExecStdinPipe lets a stream's input be written: ExecHandle.TakeStdin.
func WithExecStdinPipe() ExecOption { return func(cfg *ExecConfig) { cfg.StdinPipe = true } }

// WithExecStdin gives the command all of its input.
func WithExecStdin(input []byte) ExecOption {
	return func(cfg *ExecConfig) { cfg.Stdin, cfg.HasStdin = input, true }
}

// WithExecMaxOutput bounds what is kept of each stream; more is dropped, and
// ExecOutput.Truncated says so. It is 64 MiB unless set.
func WithExecMaxOutput[T integer](n T) ExecOption {
	return func(cfg *ExecConfig) {
		if n < 0 || uint64(n) > math.MaxInt64 {
			cfg.err = fail(ErrInvalidConfig, "maximum output: %d is out of range", n)
			return
		}
		cfg.MaxOutput = int64(n)
	}
}

// WithExecTTY gives the command a terminal; all of its output is then Stdout.
func WithExecTTY() ExecOption { return func(cfg *ExecConfig) { cfg.TTY = true } }

// WithExecSize sets the terminal's size; it is 24 by 80 unless set.
func WithExecSize(rows, cols uint16) ExecOption {
	return func(cfg *ExecConfig) { cfg.Rows, cfg.Cols = rows, cols }
}

// WithExecNoLog keeps the command's output out of the sandbox's logs.
func WithExecNoLog() ExecOption { return func(cfg *ExecConfig) { cfg.NoLog = true } }

// WithExecMain makes it the sandbox's main command: once ExecHandle.Detach has
// let go of it, the machine ends with it.
func WithExecMain() ExecOption { return func(cfg *ExecConfig) { cfg.Main = true } }

func execConfig(opts []ExecOption, flags C.uint32_t) (*ExecConfig, error) {
	cfg := &ExecConfig{flags: flags}
	for _, o := range opts {
		if o == nil {
			return nil, fail(ErrInvalidConfig, "an option is nil")
		}
		o(cfg)
	}
	if cfg.Timeout < 0 {
		return nil, fail(ErrInvalidConfig, "the time limit %v is negative", cfg.Timeout)
	}
	if cfg.MaxOutput < 0 {
		return nil, fail(ErrInvalidConfig, "maximum output: %d is negative", cfg.MaxOutput)
	}
	return cfg, cfg.err
}

// execOpts writes the options of C.
func (c *call) execOpts(argv []string, cfg *ExecConfig) *C.struct_msb_exec_opts {
	o := (*C.struct_msb_exec_opts)(c.alloc(C.sizeof_struct_msb_exec_opts))
	o.size = C.sizeof_struct_msb_exec_opts
	o.flags = cfg.flags
	if cfg.TTY {
		o.flags |= C.MSB_EXEC_TTY
	}
	if cfg.NoLog {
		o.flags |= C.MSB_EXEC_NO_LOG
	}
	if cfg.Main {
		o.flags |= C.MSB_EXEC_MAIN
	}
	o.rows, o.cols = C.uint16_t(cfg.Rows), C.uint16_t(cfg.Cols)
	o.argv = c.strs("an argument", argv)
	o.env = c.pairs("the environment", cfg.Env)
	o.rlimits = c.strs("a limit", rlimitStrings(cfg.Rlimits))
	o.entrypoint = c.ptr("the entrypoint", cfg.Entrypoint)
	o.cwd = c.opt("the cwd", cfg.Cwd)
	o.user = c.opt("the user", cfg.User)
	return o
}

// Exec runs a command to its end and collects what it writes. When ctx ends
// before, the command is killed.
func (s *Sandbox) Exec(ctx context.Context, cmd string, args []string, opts ...ExecOption) (*ExecOutput, error) {
	argv, err := command(cmd, args)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, argv, 0, opts)
}

// Shell is Exec for a script of the sandbox's shell.
func (s *Sandbox) Shell(ctx context.Context, script string, opts ...ExecOption) (*ExecOutput, error) {
	return s.run(ctx, []string{script}, C.MSB_EXEC_SHELL, opts)
}

// ExecDefault is Exec for the image's own command, by docker's rules about
// ENTRYPOINT and CMD; those of WithExecArgs take the place of CMD.
func (s *Sandbox) ExecDefault(ctx context.Context, opts ...ExecOption) (*ExecOutput, error) {
	return s.run(ctx, nil, C.MSB_EXEC_IMAGE_COMMAND, opts)
}

func command(cmd string, args []string) ([]string, error) {
	if cmd == "" {
		return nil, fail(ErrInvalidConfig, "the command is empty")
	}
	argv := make([]string, 0, 1+len(args))
	return append(append(argv, cmd), args...), nil
}

func (s *Sandbox) run(ctx context.Context, argv []string, flags C.uint32_t, opts []ExecOption) (*ExecOutput, error) {
	cfg, err := execConfig(opts, flags)
	if err != nil {
		return nil, err
	}
	if cfg.StdinPipe {
		return nil, fail(ErrInvalidConfig, "a pipe is for streams: give the input with WithExecStdin")
	}
	c, err := begin(ctx, aboutCommand, s.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	o := c.execOpts(append(argv, cfg.Args...), cfg)
	if cfg.HasStdin {
		o.flags |= C.MSB_EXEC_STDIN
	}
	var p *C.struct_msb_output
	err = c.do(func() C.int {
		return C.msb_exec_run(s.c(), o, unsafe.Pointer(unsafe.SliceData(cfg.Stdin)),
			C.size_t(len(cfg.Stdin)), C.size_t(cfg.MaxOutput), waitMillis(cfg.Timeout), &p, &c.error)
	})
	var out *ExecOutput
	if p != nil {
		out = &ExecOutput{stdout: goBytes(p.out, p.out_len), stderr: goBytes(p.err, p.err_len),
			code: int(p.code), signal: int(p.signal),
			outCut: p.truncated&1 != 0, errCut: p.truncated&2 != 0}
		C.msb_output_free(p)
	}
	return out, staged(err)
}

var stages = []string{"user", "cwd", "rlimit", "pty", "exec", "fork"}

// staged takes the stage from the front of the message of a command that never ran.
func staged(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Kind != ErrExecFailed {
		return err
	}
	for _, stage := range stages {
		if strings.HasPrefix(e.Message, stage+": ") {
			e.Stage = stage
		}
	}
	return err
}
