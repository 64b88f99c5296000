package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

// ExecEventKind says what an ExecEvent is about.
type ExecEventKind int

// Kinds of events. A stream ends with Exited or Failed, then Done.
const (
	ExecEventStarted ExecEventKind = 1 + iota // PID
	ExecEventStdout                           // Data
	ExecEventStderr                           // Data
	ExecEventFailed                           // Failure: the command never ran
	ExecEventExited                           // ExitCode, Signal
	ExecEventDone                             // there is nothing more
)

var eventNames = []string{"", "started", "stdout", "stderr", "failed", "exited", "done"}

// String is the kind's name, as "stdout".
func (k ExecEventKind) String() string { return name(eventNames, int(k)) }

// ExecEvent is something that happened to a command.
type ExecEvent struct {
	Kind     ExecEventKind
	PID      uint32
	Data     []byte
	ExitCode int // 128+n for signal n
	Signal   int
	Failure  *Error
}

// streamMax is how much of a command's output is kept for who does not read it
// yet; then the command waits.
const streamMax = 1 << 20

// ExecHandle is a command that runs. Its methods may be called by many
// goroutines at once. Close ends the session, and kills the command if it still
// runs; the collector does so, too, when nobody has the handle any more.
type ExecHandle struct {
	*execState
	sandbox *Sandbox // whoever has the command does not lose its machine
}

// execState is the handle's part that its goroutine knows, which must not keep
// the handle itself alive.
type execState struct {
	h     *handle
	poll  *poller
	tty   bool
	id    uint64
	calls sync.Mutex // the C handle is for one thread at a time

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when something below changes
	queue    []ExecEvent
	queued   int // bytes of data in queue
	pipes    [2]*execPipe
	drop     bool // nobody wants output any more
	writable int  // how often the window opened
	started  bool
	over     bool // nothing comes any more
	last     ExecEvent
	err      error
	closing  bool
	detached bool
	sink     bool // TakeStdin has been called, or there is none
	timedOut bool
	timer    *time.Timer
}

// ExecStream starts a command whose output comes as events, and whose input may
// be written (WithExecStdinPipe). It does not wait for the command; ctx is only
// for the start. Close the handle.
func (s *Sandbox) ExecStream(ctx context.Context, cmd string, args []string, opts ...ExecOption) (*ExecHandle, error) {
	argv, err := command(cmd, args)
	if err != nil {
		return nil, err
	}
	return s.stream(ctx, argv, 0, opts)
}

// ShellStream is ExecStream for a script of the sandbox's shell; with "" it is
// the shell itself.
func (s *Sandbox) ShellStream(ctx context.Context, script string, opts ...ExecOption) (*ExecHandle, error) {
	var argv []string
	if script != "" {
		argv = []string{script}
	}
	return s.stream(ctx, argv, C.MSB_EXEC_SHELL, opts)
}

// ExecDefaultStream is ExecStream for the image's own command; see ExecDefault.
func (s *Sandbox) ExecDefaultStream(ctx context.Context, opts ...ExecOption) (*ExecHandle, error) {
	return s.stream(ctx, nil, C.MSB_EXEC_IMAGE_COMMAND, opts)
}

func (s *Sandbox) stream(ctx context.Context, argv []string, flags C.uint32_t, opts []ExecOption) (*ExecHandle, error) {
	cfg, err := execConfig(opts, flags)
	if err != nil {
		return nil, err
	}
	c, err := begin(ctx, aboutCommand, s.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	o := c.execOpts(append(argv, cfg.Args...), cfg)
	if cfg.StdinPipe || cfg.HasStdin {
		o.flags |= C.MSB_EXEC_STDIN
	}
	var p *C.struct_msb_exec
	if err := c.do(func() C.int { return C.msb_exec_start(s.c(), o, &p, &c.error) }); err != nil {
		return nil, err
	}
	x, err := newExec(s, p, cfg.StdinPipe)
	if err != nil {
		return nil, err
	}
	if cfg.HasStdin {
		go x.execState.feed(cfg.Stdin)
	}
	if cfg.Timeout > 0 {
		x.limit(cfg.Timeout)
	}
	return x, nil
}

// AttachSession takes a detached command back, by its session, or the main
// command for 0: its events come to this handle, from now on.
func (s *Sandbox) AttachSession(ctx context.Context, session uint64) (*ExecHandle, error) {
	c, err := begin(ctx, aboutNothing, s.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	var p *C.struct_msb_exec
	if err := c.do(func() C.int {
		return C.msb_exec_attach(s.c(), C.uint64_t(session), &p, &c.error)
	}); err != nil {
		return nil, err
	}
	return newExec(s, p, true)
}

func newExec(s *Sandbox, p *C.struct_msb_exec, stdin bool) (*ExecHandle, error) {
	h := newHandle(unsafe.Pointer(p), func(p unsafe.Pointer) {
		C.msb_exec_free((*C.struct_msb_exec)(p))
	})
	poll, err := newPoller(int(C.msb_exec_fd(p)))
	if err != nil {
		h.close()
		return nil, err
	}
	state := &execState{h: h, poll: poll, changed: make(chan struct{}), sink: !stdin,
		id: uint64(C.msb_exec_session(p)), tty: C.msb_exec_is_tty(p) != 0}
	x := &ExecHandle{state, s}
	runtime.SetFinalizer(x, func(x *ExecHandle) { go x.execState.close() })
	go state.pump()
	return x, nil
}

func (x *execState) c() *C.struct_msb_exec { return (*C.struct_msb_exec)(x.h.ptr) }

// call makes a call of the C handle.
func (x *execState) call(ctx context.Context, fn func(c *call) C.int) (int, error) {
	c, err := begin(ctx, aboutCommand, x.h)
	if err != nil {
		return 0, err
	}
	defer c.end()
	x.calls.Lock()
	defer x.calls.Unlock()
	return c.run(func() C.int { return fn(c) })
}

// notify tells who waits that something has changed; x.mu is held.
func (x *execState) notify() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// await waits until ready(), called with x.mu held, is true; then x.mu is held.
func (x *execState) await(ctx context.Context, ready func() bool) error {
	x.mu.Lock()
	for !ready() {
		changed := x.changed
		x.mu.Unlock()
		select {
		case <-ctx.Done():
			return cancelled(ctx)
		case <-changed:
		}
		x.mu.Lock()
	}
	return nil
}

// pump takes all events in, while there is room for them.
func (x *execState) pump() {
	c, err := begin(context.Background(), aboutCommand, x.h)
	if err != nil {
		x.finish(err)
		return
	}
	defer c.end()
	ev := (*C.struct_msb_exec_event)(c.alloc(C.sizeof_struct_msb_exec_event))
	for {
		_ = x.await(context.Background(), x.room)
		x.mu.Unlock()
		r := 0
		if !x.poll.until(func() bool {
			r, err = x.next(c, ev)
			return r != 0 || err != nil
		}) {
			x.finish(fail(ErrInvalidHandle, "the command's handle is closed"))
			return
		}
		if err != nil {
			x.finish(err)
			return
		}
		if x.take(ev) {
			x.finish(nil)
			return
		}
	}
}

// room says whether more output may come; x.mu is held. Where streams are read
// as pipes, only those count.
func (x *execState) room() bool {
	for _, p := range x.pipes {
		if p != nil && len(p.data) >= streamMax {
			return x.closing
		}
	}
	return x.queued < streamMax || x.drop || x.closing || x.piped()
}

func (x *execState) next(c *call, ev *C.struct_msb_exec_event) (int, error) {
	x.calls.Lock()
	defer x.calls.Unlock()
	ev.size = C.sizeof_struct_msb_exec_event
	return c.run(func() C.int { return C.msb_exec_next(x.c(), 0, ev, &c.error) })
}

// take keeps an event; true for the last one.
func (x *execState) take(ev *C.struct_msb_exec_event) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer x.notify()
	switch ev.kind {
	case C.MSB_EXEC_STARTED:
		x.started = true
		x.queue = append(x.queue, ExecEvent{Kind: ExecEventStarted, PID: uint32(ev.pid)})
	case C.MSB_EXEC_STDOUT:
		x.output(ExecEventStdout, goBytes(ev.data, ev.len))
	case C.MSB_EXEC_STDERR:
		x.output(ExecEventStderr, goBytes(ev.data, ev.len))
	case C.MSB_EXEC_WRITABLE:
		x.writable++
	case C.MSB_EXEC_FAILED:
		e := fail(ErrExecFailed, "%s: %s", C.GoString(ev.stage), C.GoString(ev.message))
		e.Stage, e.Errno = C.GoString(ev.stage), int(ev.error_no)
		x.last = ExecEvent{Kind: ExecEventFailed, Failure: e}
		x.queue = append(x.queue, x.last)
		return true
	case C.MSB_EXEC_EXITED:
		x.last = ExecEvent{Kind: ExecEventExited, Signal: int(ev.signal),
			ExitCode: exitCode(int(ev.code), int(ev.signal))}
		x.queue = append(x.queue, x.last)
		return true
	}
	return false
}

// output keeps data where its reader looks for it; x.mu is held.
func (x *execState) output(kind ExecEventKind, data []byte) {
	which := int(kind - ExecEventStdout)
	if p := x.pipes[which]; p != nil {
		if !p.closed {
			p.data = append(p.data, data...)
		}
		return
	}
	if x.drop || x.piped() && x.queued+len(data) > streamMax {
		return
	}
	x.queue = append(x.queue, ExecEvent{Kind: kind, Data: data})
	x.queued += len(data)
}

func (x *execState) piped() bool { return x.pipes[0] != nil || x.pipes[1] != nil }

func (x *execState) finish(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if !x.detached {
		x.err = err
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	x.notify()
}

// limit kills the command when its time is up.
func (x *ExecHandle) limit(d time.Duration) {
	state := x.execState
	state.mu.Lock()
	defer state.mu.Unlock()
	state.timer = time.AfterFunc(d, func() {
		state.mu.Lock()
		state.timedOut = !state.over
		state.mu.Unlock()
		_ = state.signal(context.Background(), 9)
	})
}

// Session is a number of the command's own, as the logs and AttachSession know it.
func (x *ExecHandle) Session() uint64 { return x.id }

// ID is the session as text.
func (x *ExecHandle) ID() (string, error) { return strconv.FormatUint(x.id, 10), nil }

// IsTTY says whether the command has a terminal.
func (x *ExecHandle) IsTTY() bool { return x.tty }

// Recv gives the next event. After the last one it gives ExecEventDone, always.
// An error tells why there will be no more: the machine has ended, for example.
func (x *ExecHandle) Recv(ctx context.Context) (*ExecEvent, error) {
	defer runtime.KeepAlive(x)
	if err := x.await(ctx, func() bool { return len(x.queue) > 0 || x.over }); err != nil {
		return nil, err
	}
	defer x.mu.Unlock()
	if len(x.queue) == 0 {
		if x.err != nil {
			return nil, x.err
		}
		return &ExecEvent{Kind: ExecEventDone}, nil
	}
	ev := x.queue[0]
	x.queue[0] = ExecEvent{}
	x.queue = x.queue[1:]
	x.queued -= len(ev.Data)
	x.notify()
	return &ev, nil
}

// Events is Recv for range loops of Go 1.23 and later; it ends after the last
// event, or with an error.
func (x *ExecHandle) Events(ctx context.Context) func(yield func(*ExecEvent, error) bool) {
	return func(yield func(*ExecEvent, error) bool) {
		for {
			ev, err := x.Recv(ctx)
			if err == nil && ev.Kind == ExecEventDone || !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// ended waits for the command's end; x.mu is held when there is no error.
func (x *ExecHandle) ended(ctx context.Context) error {
	if err := x.await(ctx, func() bool { return x.over }); err != nil {
		return err
	}
	err := x.err
	switch {
	case err != nil:
	case x.timedOut:
		err = fail(ErrExecTimeout, "the command was killed: its time limit passed")
	case x.last.Kind == ExecEventFailed:
		err = x.last.Failure
	case x.detached:
		err = fail(ErrInvalidHandle, "the command was detached")
	}
	if err != nil {
		x.mu.Unlock()
	}
	return err
}

// Wait waits for the command's end and gives its exit code. Output that nobody
// has taken by Recv is dropped; readers of Stdout and Stderr get all of theirs.
func (x *ExecHandle) Wait(ctx context.Context) (int, error) {
	defer runtime.KeepAlive(x)
	x.mu.Lock()
	x.drop = true
	for _, ev := range x.queue {
		x.queued -= len(ev.Data)
	}
	x.queue = nil
	x.notify()
	x.mu.Unlock()
	if err := x.ended(ctx); err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.last.ExitCode, nil
}

// Collect waits for the command's end and gives what it wrote, but for what
// was taken before. It keeps at most 64 MiB of each stream.
func (x *ExecHandle) Collect(ctx context.Context) (*ExecOutput, error) {
	defer runtime.KeepAlive(x)
	const most = 64 << 20
	out := &ExecOutput{}
	add := func(to *[]byte, cut *bool, data []byte) {
		n := min(len(data), most-len(*to))
		*to = append(*to, data[:n]...)
		*cut = *cut || n < len(data)
	}
	for {
		ev, err := x.Recv(ctx)
		if err != nil {
			return nil, err
		}
		switch ev.Kind {
		case ExecEventStdout:
			add(&out.stdout, &out.outCut, ev.Data)
		case ExecEventStderr:
			add(&out.stderr, &out.errCut, ev.Data)
		case ExecEventDone:
			if err := x.ended(ctx); err != nil {
				return out, err
			}
			defer x.mu.Unlock()
			out.signal = x.last.Signal
			out.code = x.last.ExitCode
			if out.signal != 0 {
				out.code = 0
			}
			return out, nil
		}
	}
}

// Signal sends a signal to the command's process group.
func (x *ExecHandle) Signal(ctx context.Context, signal int) error {
	defer runtime.KeepAlive(x)
	return x.execState.signal(ctx, signal)
}

func (x *execState) signal(ctx context.Context, signal int) error {
	if signal < 1 || signal > 64 {
		return fail(ErrInvalidConfig, "%d is no signal", signal)
	}
	_, err := x.call(ctx, func(c *call) C.int {
		return C.msb_exec_signal(x.c(), C.int(signal), &c.error)
	})
	return err
}

// Kill sends SIGKILL.
func (x *ExecHandle) Kill(ctx context.Context) error { return x.Signal(ctx, 9) }

// Resize sets the size of the command's terminal.
func (x *ExecHandle) Resize(ctx context.Context, rows, cols uint16) error {
	defer runtime.KeepAlive(x)
	_, err := x.call(ctx, func(c *call) C.int {
		return C.msb_exec_resize(x.c(), C.uint16_t(rows), C.uint16_t(cols), &c.error)
	})
	return err
}

// Detach lets go of the command: it goes on without this process, its output
// goes to the logs, and AttachSession takes it back. It waits until the command
// has started. The handle is of no use after it.
func (x *ExecHandle) Detach(ctx context.Context) error {
	defer runtime.KeepAlive(x)
	if err := x.await(ctx, func() bool { return x.started || x.over }); err != nil {
		return err
	}
	x.mu.Unlock()
	_, err := x.call(ctx, func(c *call) C.int {
		r := C.msb_exec_detach(x.c(), &c.error)
		if r == 0 {
			x.mu.Lock()
			x.detached = true
			x.mu.Unlock()
		}
		return r
	})
	if err == nil {
		x.execState.close()
	}
	return err
}

// Close ends the session: a command that still runs is killed. Twice is fine.
func (x *ExecHandle) Close() error {
	if x == nil {
		return fail(ErrInvalidHandle, "the handle is nil")
	}
	runtime.SetFinalizer(x, nil)
	x.execState.close()
	return nil
}

func (x *execState) close() {
	x.mu.Lock()
	first := !x.closing
	x.closing = true
	if x.timer != nil {
		x.timer.Stop()
	}
	x.notify()
	x.mu.Unlock()
	x.poll.interrupt()
	x.h.close()
	if first {
		x.poll.close()
	}
}
