package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"errors"
	"time"
)

// sandboxOpts writes the options of C. image is NULL for a snapshot.
func (c *call) sandboxOpts(name string, cfg *SandboxConfig, image *C.struct_msb_image, noStart bool) *C.struct_msb_sandbox_opts {
	o := (*C.struct_msb_sandbox_opts)(c.alloc(C.sizeof_struct_msb_sandbox_opts))
	o.size = C.sizeof_struct_msb_sandbox_opts
	o.image = image
	o.name = c.opt("the name", name)
	o.hostname = c.opt("the hostname", cfg.Hostname)
	o.cpus = C.uint32_t(cfg.CPUs)
	o.accel, o.engine = C.int32_t(cfg.Accel), C.int32_t(cfg.Engine)
	o.memory_bytes = C.uint64_t(cfg.MemoryBytes)
	o.upper_bytes = C.uint64_t(cfg.UpperBytes)
	if cfg.UpperTmpfs {
		o.upper = C.MSB_UPPER_TMPFS
	}
	o.boot_timeout_ms = c.millis("the boot timeout", cfg.BootTimeout)
	o.max_duration_s = c.seconds("the maximum duration", cfg.MaxDuration)
	o.idle_timeout_s = c.seconds("the idle timeout", cfg.IdleTimeout)
	o.replace_timeout_ms = c.millis("the replace timeout", cfg.ReplaceFor)
	if cfg.RuntimeLog != nil {
		o.log_fd = C.int32_t(cfg.RuntimeLog.Fd())
	}
	o.log_level = c.opt("the log level", string(cfg.LogLevel))
	if name != "" && !cfg.Ephemeral {
		o.flags |= C.MSB_SANDBOX_KEEP
	}
	if cfg.Replace {
		o.flags |= C.MSB_SANDBOX_REPLACE
	}
	if noStart {
		o.flags |= C.MSB_SANDBOX_NO_START
	}
	c.sandboxCommands(o, cfg)
	o.snapshot = c.opt("the snapshot", cfg.Snapshot)
	o.mounts = c.mounts(cfg.Mounts)
	o.patches = c.patches(cfg.Patches)
	tls := cfg.TLS
	if tls == nil && cfg.Network != nil {
		tls = cfg.Network.TLS
	}
	o.network = c.network(cfg.Network, cfg.Ports, cfg.Vsock)
	o.secrets = c.secrets(cfg.Secrets)
	o.tls = c.tls(tls)
	return o
}

// sandboxCommands writes what the sandbox's commands get.
func (c *call) sandboxCommands(o *C.struct_msb_sandbox_opts, cfg *SandboxConfig) {
	o.labels = c.pairs("a label", cfg.Labels)
	o.env = c.pairs("the environment", cfg.Env)
	o.rlimits = c.strs("a limit", rlimitStrings(cfg.Rlimits))
	o.workdir = c.opt("the workdir", cfg.Workdir)
	o.user = c.opt("the user", cfg.User)
	o.entrypoint = c.ptr("the entrypoint", cfg.Entrypoint)
	o.shell = c.opt("the shell", cfg.Shell)
	o.scripts = c.pairs("a script", cfg.Scripts)
	if cfg.Init != nil {
		o.init = c.str("the init", cfg.Init.Cmd)
		o.init_args = c.strs("an argument of init", cfg.Init.Args)
		o.init_env = c.pairs("the environment of init", cfg.Init.Env)
	}
	if cfg.Command != nil {
		o.command = c.list("the command", cfg.Command)
	}
}

func configure(opts []SandboxOption) (*SandboxConfig, error) {
	cfg := &SandboxConfig{}
	for _, o := range opts {
		if o == nil {
			return nil, fail(ErrInvalidConfig, "an option is nil")
		}
		o(cfg)
	}
	if cfg.err != nil {
		return nil, cfg.err
	}
	if (cfg.Image == "") == (cfg.Snapshot == "") {
		return nil, fail(ErrInvalidConfig, "either an image or a snapshot is needed")
	}
	return cfg, nil
}

// check looks for wrong arguments before anything starts.
func (cfg *SandboxConfig) check(name string) error {
	c := newCall()
	defer c.recycle()
	_ = c.sandboxOpts(name, cfg, nil, false)
	return c.err
}

// image opens what the sandbox is made of; nil for a snapshot.
func (h *Home) image(ctx context.Context, cfg *SandboxConfig) (*handle, error) {
	if cfg.Image == "" {
		return nil, nil
	}
	return h.pull(ctx, cfg.Image, PullOptions{Policy: cfg.PullPolicy, Live: cfg.RootLive,
		Insecure: cfg.RegistryInsecure, CACertFile: cfg.RegistryCACertFile,
		Platform: cfg.Platform, Progress: cfg.Progress})
}

// CreateSandbox makes a sandbox and waits until it is ready: it pulls the image
// if that is not there, puts the sandbox on record, and boots its machine.
//
// One with a name stays on record with what was written in it until
// RemoveSandbox, so StartSandbox can start it again; WithEphemeral changes that.
// With an empty name it gets one, and nothing of it is left when it has ended.
//
// The machine is attached to this process, see Sandbox, unless WithDetached is
// given. When ctx ends before the machine is ready, nothing is left of it.
func (h *Home) CreateSandbox(ctx context.Context, name string, opts ...SandboxOption) (*Sandbox, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	p, err := h.create(ctx, name, cfg, false)
	if err != nil {
		return nil, err
	}
	sb := newSandbox(h, p)
	if err := h.settle(ctx, sb, cfg.Detached); err != nil {
		sb.abandon(ctx, name != "" && !cfg.Ephemeral)
		return nil, err
	}
	return sb, nil
}

// ConnectOrCreateSandbox gives the sandbox of that name as it is, whatever the
// options say: one that runs is connected to, one that does not is started. When
// there is none, one is made.
func (h *Home) ConnectOrCreateSandbox(ctx context.Context, name string, opts ...SandboxOption) (*Sandbox, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	var start []StartOption
	if cfg.Detached {
		start = append(start, WithStartDetached())
	}
	for try := 0; ; try++ {
		there, err := h.GetSandbox(ctx, name)
		if err == nil {
			return there.ConnectOrStart(ctx, start...)
		}
		if !IsKind(err, ErrNotFound) {
			return nil, err
		}
		sb, err := h.CreateSandbox(ctx, name, opts...)
		// Somebody else may have been faster.
		if try > 0 || !IsKind(err, ErrAlreadyExists) {
			return sb, err
		}
	}
}

// DefineSandbox puts a sandbox on record without starting it, for StartSandbox.
// It needs a name.
func (h *Home) DefineSandbox(ctx context.Context, name string, opts ...SandboxOption) (*SandboxHandle, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	if name == "" || cfg.Ephemeral {
		return nil, fail(ErrInvalidConfig, "a sandbox that is not started needs a name, and cannot be ephemeral")
	}
	if _, err := h.create(ctx, name, cfg, true); err != nil {
		return nil, err
	}
	return h.GetSandbox(ctx, name)
}

func (h *Home) create(ctx context.Context, name string, cfg *SandboxConfig, noStart bool) (*C.struct_msb_sandbox, error) {
	if err := load(); err != nil {
		return nil, err
	}
	if err := cfg.check(name); err != nil {
		return nil, err
	}
	image, err := h.image(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer image.close()
	handles := []*handle{h.handle()}
	if image != nil {
		handles = append(handles, image)
	}
	c, err := begin(ctx, aboutSandbox, handles...)
	if err != nil {
		return nil, err
	}
	defer c.end()
	var at *C.struct_msb_image
	if image != nil {
		at = (*C.struct_msb_image)(image.ptr)
	} else {
		c.about = aboutSnapshot
	}
	o := c.sandboxOpts(name, cfg, at, noStart)
	var p *C.struct_msb_sandbox
	err = c.do(func() C.int { return C.msb_sandbox_create(h.c(), o, &p, &c.error) })
	var e *Error
	if errors.As(err, &e) && e.Kind.base() == ErrAlreadyExists {
		e.Kind = ErrSandboxAlreadyExists
	}
	return p, err
}

// settle waits until a machine is ready, and detaches it where that is wanted.
func (h *Home) settle(ctx context.Context, sb *Sandbox, detached bool) error {
	if err := sb.WaitReady(ctx); err != nil {
		var e *Error
		if errors.As(err, &e) && (e.Kind == ErrBoot || e.Kind == ErrGone) {
			e.Console = sb.Console()
		}
		return err
	}
	if !detached {
		return nil
	}
	return sb.Detach(ctx)
}

// abandon ends a machine that nobody got to see. A sandbox whose creation was
// called off is also taken off the record.
func (s *Sandbox) abandon(ctx context.Context, kept bool) {
	_ = s.Close()
	if !kept || ctx.Err() == nil {
		return
	}
	limited, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	_ = s.home.RemoveSandbox(limited, s.id, WithForce())
}

// StartOption is an option of StartSandbox and RestartSandbox.
type StartOption func(*startConfig)

type startConfig struct {
	detached bool
	noMain   bool
	timeout  time.Duration
	secrets  []SecretEntry
}

// WithStartDetached lets the machine outlive this process.
func WithStartDetached() StartOption { return func(cfg *startConfig) { cfg.detached = true } }

// WithoutMainCommand does not run the main command that is on record.
func WithoutMainCommand() StartOption { return func(cfg *startConfig) { cfg.noMain = true } }

// WithStartSecrets gives values of secrets that are on record, by their
// variables; others come from this process's environment.
func WithStartSecrets(values map[string]string) StartOption {
	return func(cfg *startConfig) {
		for _, env := range sortedKeys(values) {
			cfg.secrets = append(cfg.secrets, Secret.Env(env, values[env], SecretEnvOptions{}))
		}
	}
}

// WithRestartTimeout is what commands get to end, in place of ten seconds.
func WithRestartTimeout(d time.Duration) StartOption {
	return func(cfg *startConfig) { cfg.timeout = d }
}

// StartSandbox starts the machine of a sandbox that is on record, by name or id,
// waits until it is ready, and runs its main command, if it has one. The machine
// is attached to this process, see Sandbox, unless WithStartDetached is given.
func (h *Home) StartSandbox(ctx context.Context, name string, opts ...StartOption) (*Sandbox, error) {
	return h.start(ctx, name, opts, func(c *call, name *C.char, _ *startConfig,
		o *C.struct_msb_start_opts, ret **C.struct_msb_sandbox) C.int {
		return C.msb_sandbox_start(h.c(), name, o, ret, &c.error)
	})
}

// RestartSandbox stops a sandbox, if it runs, and starts it again.
func (h *Home) RestartSandbox(ctx context.Context, name string, opts ...StartOption) (*Sandbox, error) {
	return h.start(ctx, name, opts, func(c *call, name *C.char, cfg *startConfig,
		o *C.struct_msb_start_opts, ret **C.struct_msb_sandbox) C.int {
		ms := c.millis("the restart timeout", cfg.timeout)
		if c.err != nil {
			return c.refuse()
		}
		return C.msb_sandbox_restart(h.c(), name, ms, o, ret, &c.error)
	})
}

func (h *Home) start(ctx context.Context, name string, opts []StartOption,
	fn func(*call, *C.char, *startConfig, *C.struct_msb_start_opts, **C.struct_msb_sandbox) C.int) (*Sandbox, error) {
	cfg := startConfig{timeout: defaultStopTimeout}
	for _, o := range opts {
		o(&cfg)
	}
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.str("the name", name)
	o := (*C.struct_msb_start_opts)(c.alloc(C.sizeof_struct_msb_start_opts))
	o.size = C.sizeof_struct_msb_start_opts
	o.secrets = c.secrets(cfg.secrets)
	var p *C.struct_msb_sandbox
	if err := c.do(func() C.int { return fn(c, cname, &cfg, o, &p) }); err != nil {
		return nil, err
	}
	sb := newSandbox(h, p)
	err = h.settle(ctx, sb, cfg.detached)
	if err == nil && !cfg.noMain {
		err = sb.RunMain(ctx)
	}
	if err != nil {
		_ = sb.Close()
		return nil, err
	}
	return sb, nil
}

// ConnectSandbox gives a handle of a sandbox that runs, by name or id, whoever
// started it: ErrSandboxNotRunning when it does not. It waits for one that is
// starting. Closing the handle leaves the machine alone.
func (h *Home) ConnectSandbox(ctx context.Context, name string) (*Sandbox, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.str("the name", name)
	var p *C.struct_msb_sandbox
	if err := c.do(func() C.int { return C.msb_sandbox_open(h.c(), cname, &p, &c.error) }); err != nil {
		return nil, err
	}
	sb := newSandbox(h, p)
	if err := sb.WaitReady(ctx); err != nil {
		_ = sb.Close()
		return nil, err
	}
	return sb, nil
}
