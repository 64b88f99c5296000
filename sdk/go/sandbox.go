package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"sync"
	"time"
	"unsafe"
)

const defaultStopTimeout = 10 * time.Second

// Sandbox is a machine that runs. It may be used by many goroutines at once.
//
// One that CreateSandbox or StartSandbox gave is attached: it ends when Close
// is called, when the collector finds that nobody has it any more, and when this
// process ends, however it ends; unless Detach was called. One that
// ConnectSandbox gave lives on.
type Sandbox struct {
	h    *handle
	home *Home
	name string
	id   string

	mu   sync.Mutex
	last *Metrics // the sample before, for rates
}

func newSandbox(home *Home, p *C.struct_msb_sandbox) *Sandbox {
	return &Sandbox{
		h: newHandle(unsafe.Pointer(p), func(p unsafe.Pointer) {
			C.msb_sandbox_free((*C.struct_msb_sandbox)(p))
		}),
		home: home,
		name: C.GoString(C.msb_sandbox_name(p)),
		id:   C.GoString(C.msb_sandbox_id(p)),
	}
}

func (s *Sandbox) handle() *handle {
	if s == nil {
		return nil
	}
	return s.h
}

func (s *Sandbox) c() *C.struct_msb_sandbox { return (*C.struct_msb_sandbox)(s.h.ptr) }

// call begins, makes and ends a call of the sandbox.
func (s *Sandbox) call(ctx context.Context, about subject, fn func(c *call) C.int) error {
	c, err := begin(ctx, about, s.handle())
	if err != nil {
		return err
	}
	defer c.end()
	return c.do(func() C.int { return fn(c) })
}

// Name is the sandbox's name.
func (s *Sandbox) Name() string { return s.name }

// ID is 16 hex digits that no other sandbox has or had.
func (s *Sandbox) ID() string { return s.id }

// FS is the sandbox's files.
func (s *Sandbox) FS() *SandboxFs { return &SandboxFs{s} }

func wait(ctx context.Context, about subject, sb *Sandbox) error {
	return sb.call(ctx, about, func(c *call) C.int {
		return C.msb_sandbox_wait_ready(sb.c(), -1, &c.error)
	})
}

// WaitReady waits until the machine is ready, which CreateSandbox has done.
func (s *Sandbox) WaitReady(ctx context.Context) error { return wait(ctx, aboutSandbox, s) }

// State is what the sandbox does now. It does not wait.
func (s *Sandbox) State() (State, error) {
	state := StateStopped
	err := s.call(context.Background(), aboutSandbox, func(*call) C.int {
		state = State(C.msb_sandbox_state(s.c()))
		return 0
	})
	return state, err
}

// StopOption is an option of Stop.
type StopOption func(*stopConfig)

type stopConfig struct{ timeout time.Duration }

// WithStopTimeout is what commands get to end, in place of ten seconds.
func WithStopTimeout(d time.Duration) StopOption {
	return func(cfg *stopConfig) { cfg.timeout = d }
}

// Stop shuts the machine down: commands get SIGTERM, data is written, and what
// is left after ten seconds is killed. One that has ended is fine. When ctx ends
// before, the machine goes on to stop.
func (s *Sandbox) Stop(ctx context.Context, opts ...StopOption) error {
	cfg := stopConfig{timeout: defaultStopTimeout}
	for _, o := range opts {
		o(&cfg)
	}
	return s.call(ctx, aboutSandbox, func(c *call) C.int {
		ms := c.millis("the stop timeout", cfg.timeout)
		if c.err != nil {
			return c.refuse()
		}
		return C.msb_sandbox_stop(s.c(), ms, &c.error)
	})
}

// requestTime is enough to ask a machine to end, however busy the host.
const requestTime = 200 * time.Millisecond

// RequestStop begins to stop it, and does not wait for the end.
func (s *Sandbox) RequestStop(ctx context.Context) error {
	return request(ctx, func() error { return s.Stop(context.Background()) })
}

// request starts a stop and gives it the time to reach the machine, so that this
// process may end then.
func request(ctx context.Context, stop func() error) error {
	done := make(chan error, 1)
	go func() { done <- stop() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return cancelled(ctx)
	case <-time.After(requestTime):
		return nil
	}
}

// Restart stops it if it runs, and starts it again; this handle is of the
// machine before.
func (s *Sandbox) Restart(ctx context.Context, opts ...StartOption) (*Sandbox, error) {
	return s.home.RestartSandbox(ctx, s.id, opts...)
}

// WaitForStatus waits until it is in that state.
func (s *Sandbox) WaitForStatus(ctx context.Context, status SandboxStatus) (*SandboxHandle, error) {
	h, err := s.home.GetSandbox(ctx, s.id)
	if err != nil {
		return nil, err
	}
	return h.WaitForStatus(ctx, status)
}

// Destroy kills it if it runs, and takes it off the record.
func (s *Sandbox) Destroy(ctx context.Context) error { return s.Remove(ctx, WithForce()) }

// Kill ends the machine at once, without a word to its commands.
func (s *Sandbox) Kill(ctx context.Context) error {
	return s.call(ctx, aboutSandbox, func(c *call) C.int {
		return C.msb_sandbox_kill(s.c(), &c.error)
	})
}

// Wait waits for the machine's end, however it comes.
func (s *Sandbox) Wait(ctx context.Context) error {
	return s.call(ctx, aboutSandbox, func(c *call) C.int {
		return C.msb_sandbox_wait(s.c(), -1, &c.error)
	})
}

// Detach lets the machine outlive this process and this handle.
func (s *Sandbox) Detach(ctx context.Context) error {
	return s.call(ctx, aboutSandbox, func(c *call) C.int {
		return C.msb_sandbox_detach(s.c(), &c.error)
	})
}

// Close gives the handle back. An attached machine is killed, and gone when
// Close returns; calls that wait on it end with ErrInvalidHandle. Twice is fine.
func (s *Sandbox) Close() error {
	s.handle().close()
	return nil
}

// Touch says that the sandbox is still wanted: its idle time starts anew.
func (s *Sandbox) Touch(ctx context.Context) error {
	return s.call(ctx, aboutSandbox, func(c *call) C.int {
		return C.msb_sandbox_touch(s.c(), &c.error)
	})
}

// Ping asks the guest's agent for an answer, and tells how long it took. A
// context without a deadline has five seconds.
func (s *Sandbox) Ping(ctx context.Context) (time.Duration, error) {
	limit := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Until(deadline), time.Millisecond)
	}
	var ns C.uint64_t
	err := s.call(ctx, aboutSandbox, func(c *call) C.int {
		return C.msb_sandbox_ping(s.c(), waitMillis(limit), &ns, &c.error)
	})
	return time.Duration(ns), err
}

// RunMain runs the main command of the sandbox's record in the background;
// StartSandbox has done it.
func (s *Sandbox) RunMain(ctx context.Context) error {
	return s.call(ctx, aboutCommand, func(c *call) C.int {
		return C.msb_sandbox_run_main(s.c(), &c.error)
	})
}

// Console is the last lines of the console of a machine that failed or crashed.
func (s *Sandbox) Console() string {
	return s.text(func() *C.char { return C.msb_sandbox_console(s.c()) })
}

// Engine is "kvm" or "qemu"; "" while it is not known.
func (s *Sandbox) Engine() string {
	return s.text(func() *C.char { return C.msb_sandbox_engine(s.c()) })
}

// Accel is "kvm" or "tcg"; "" while it is not known.
func (s *Sandbox) Accel() string {
	return s.text(func() *C.char { return C.msb_sandbox_accel(s.c()) })
}

// Warning is what the user should know about a machine like this, or "".
func (s *Sandbox) Warning() string {
	return s.text(func() *C.char { return C.msb_sandbox_warning(s.c()) })
}

func (s *Sandbox) text(fn func() *C.char) string {
	out := ""
	_ = s.call(context.Background(), aboutSandbox, func(*call) C.int {
		out = C.GoString(fn())
		return 0
	})
	return out
}

// Walls tells what holds the machine's processes: "user-namespace", "seccomp"...
func (s *Sandbox) Walls() []string {
	var out []string
	_ = s.call(context.Background(), aboutSandbox, func(*call) C.int {
		out = goStrings(C.msb_sandbox_walls(s.c()))
		return 0
	})
	return out
}

// Times is when what happened, since the sandbox was asked for; 0: it has not.
type Times struct {
	Launched time.Duration // its process was started
	Spawned  time.Duration // the engine was started
	Init     time.Duration // the guest's first program ran
	Ready    time.Duration // the agent answered
}

// Times tells how the start went.
func (s *Sandbox) Times() (Times, error) {
	t := C.struct_msb_sandbox_times{size: C.sizeof_struct_msb_sandbox_times}
	err := s.call(context.Background(), aboutSandbox, func(*call) C.int {
		C.msb_sandbox_times(s.c(), &t)
		return 0
	})
	since := func(ns C.uint64_t) time.Duration {
		if ns == 0 || t.create_ns == 0 {
			return 0
		}
		return time.Duration(ns - t.create_ns)
	}
	return Times{Launched: since(t.launched_ns), Spawned: since(t.spawn_ns),
		Init: since(t.init_ns), Ready: since(t.ready_ns)}, err
}

// Changed is readable, for poll(2), when the state may have changed. The
// descriptor belongs to the sandbox.
func (s *Sandbox) Changed() (uintptr, error) {
	fd := ^uintptr(0)
	err := s.call(context.Background(), aboutSandbox, func(*call) C.int {
		fd = uintptr(C.msb_sandbox_fd(s.c()))
		return 0
	})
	return fd, err
}

// Info is what is on record about the sandbox.
func (s *Sandbox) Info(ctx context.Context) (*SandboxInfo, error) {
	return s.home.InspectSandbox(ctx, s.id)
}

// Modify changes the sandbox; see Home.ModifySandbox.
func (s *Sandbox) Modify(ctx context.Context, opts ModifyOptions) ([]Change, error) {
	return s.home.ModifySandbox(ctx, s.id, opts)
}

// Ports tells the published ports.
func (s *Sandbox) Ports(ctx context.Context) ([]PublishedPort, error) {
	return s.home.Ports(ctx, s.id)
}

// NetExplain says which rule decides about a connection; see Home.NetExplain.
func (s *Sandbox) NetExplain(ctx context.Context, host string, port uint16, protocol string) (*NetVerdict, error) {
	return s.home.NetExplain(ctx, s.id, host, port, protocol)
}

// NetRules tells the sandbox's rules.
func (s *Sandbox) NetRules(ctx context.Context) (*NetPolicyInfo, error) {
	return s.home.NetRules(ctx, s.id)
}

// Logs tells what the sandbox's commands wrote; see Home.Logs.
func (s *Sandbox) Logs(ctx context.Context, opts LogOptions) ([]LogEntry, error) {
	return s.home.Logs(ctx, s.id, opts)
}

// LogStream follows the logs; see Home.LogStream.
func (s *Sandbox) LogStream(ctx context.Context, opts LogOptions) (*LogStream, error) {
	return s.home.LogStream(ctx, s.id, opts)
}

// Commit makes an image of what was written; see Home.CommitSandbox.
func (s *Sandbox) Commit(ctx context.Context, reference string, opts CommitOptions) (string, error) {
	return s.home.CommitSandbox(ctx, s.id, reference, opts)
}

// Snapshot keeps what was written under a name. The sandbox must not run:
// ErrSnapshotSandboxRunning. Stop it before; the handle is of use for that.
func (s *Sandbox) Snapshot(ctx context.Context, name string, opts ...SnapshotOptions) (*Snapshot, error) {
	return s.home.CreateSnapshot(ctx, s.id, name, one(opts))
}

// Remove takes the sandbox off the record, with all that was written in it.
func (s *Sandbox) Remove(ctx context.Context, opts ...RemoveOption) error {
	return s.home.RemoveSandbox(ctx, s.id, opts...)
}
