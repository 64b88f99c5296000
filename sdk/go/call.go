package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"unsafe"
)

// subject says what a call is about: it makes "not found" a more special kind.
type subject int

const (
	aboutNothing subject = iota
	aboutSandbox
	aboutImage
	aboutVolume
	aboutSnapshot
	aboutPath
	aboutCommand
)

var special = map[subject]map[ErrorKind]ErrorKind{
	aboutSandbox: {ErrNotFound: ErrSandboxNotFound, ErrAlreadyExists: ErrSandboxAlreadyExists,
		ErrBusy: ErrSandboxStillRunning},
	aboutImage: {ErrNotFound: ErrImageNotFound, ErrBusy: ErrImageInUse},
	aboutVolume: {ErrNotFound: ErrVolumeNotFound, ErrAlreadyExists: ErrVolumeAlreadyExists,
		ErrBusy: ErrVolumeInUse},
	aboutSnapshot: {ErrNotFound: ErrSnapshotNotFound, ErrAlreadyExists: ErrSnapshotAlreadyExists,
		ErrBusy: ErrSnapshotSandboxRunning, ErrDigest: ErrSnapshotIntegrity},
	aboutPath:    {ErrNotFound: ErrPathNotFound},
	aboutCommand: {ErrTimeout: ErrExecTimeout},
}

// call is one call of the library: its error, its arguments, and the token that
// ends it. They are used again.
type call struct {
	arena
	error   C.struct_msb_error
	token   *C.struct_msb_cancel
	ctx     context.Context
	about   subject
	handles []*handle
	stop    func() bool // undoes what watches the context
	fired   chan struct{}
}

// idle holds calls for later. It is bounded: so is what it keeps of C's memory.
var idle struct {
	sync.Mutex
	calls []*call
}

const idleMax = 64

func newCall() *call {
	idle.Lock()
	if n := len(idle.calls); n > 0 {
		c := idle.calls[n-1]
		idle.calls = idle.calls[:n-1]
		idle.Unlock()
		return c
	}
	idle.Unlock()
	c := &call{}
	// A library without cancellation leaves it nil: calls then run to their end.
	_ = C.msb_cancel_new(&c.token, nil)
	return c
}

func (c *call) recycle() {
	c.reset()
	clear(c.handles)
	c.handles = c.handles[:0]
	c.ctx, c.stop, c.fired, c.about = nil, nil, nil, aboutNothing
	if c.token != nil {
		C.msb_cancel_reset(c.token)
	}
	idle.Lock()
	if len(idle.calls) < idleMax {
		idle.calls = append(idle.calls, c)
		idle.Unlock()
		return
	}
	idle.Unlock()
	c.arena.free()
	C.msb_cancel_free(c.token)
}

// begin prepares a call that uses these handles. On success end() must follow.
func begin(ctx context.Context, about subject, handles ...*handle) (*call, error) {
	if ctx == nil {
		return nil, fail(ErrInvalidConfig, "the context is nil")
	}
	if err := load(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	c := newCall()
	c.ctx, c.about = ctx, about
	for _, h := range handles {
		if err := h.enter(c); err != nil {
			c.end()
			return nil, err
		}
		c.handles = append(c.handles, h)
	}
	if ctx.Done() != nil && c.token != nil {
		token, fired := c.token, make(chan struct{})
		c.fired = fired
		c.stop = context.AfterFunc(ctx, func() {
			C.msb_cancel_fire(token)
			close(fired)
		})
	}
	return c, nil
}

// end gives all back. Nothing fires the token after it.
func (c *call) end() {
	if c.stop != nil && !c.stop() {
		<-c.fired
	}
	for _, h := range c.handles {
		h.leave(c)
	}
	c.recycle()
}

// run makes the call, unless an argument was wrong. fn's result is the C
// function's: negative is a failure, told by c.error.
func (c *call) run(fn func() C.int) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.error.code = 0
	r := c.guard(fn)
	if r < 0 {
		return int(r), c.failure(int(r))
	}
	return int(r), nil
}

// do is run for functions that give nothing but success.
func (c *call) do(fn func() C.int) error {
	_, err := c.run(fn)
	return err
}

func (c *call) guard(fn func() C.int) C.int {
	if c.token == nil {
		return fn()
	}
	runtime.LockOSThread() // the token is the thread's
	C.msb_cancel_use(c.token)
	defer runtime.UnlockOSThread() // also when fn panics
	defer C.msb_cancel_use(nil)
	return fn()
}

// refuse is the result of a fn that found an argument wrong itself.
func (c *call) refuse() C.int {
	c.error.code = C.MSB_ERR_INVALID
	return -C.MSB_ERR_INVALID
}

// failure is the error that the call left.
func (c *call) failure(r int) error {
	if c.err != nil {
		return c.err
	}
	if c.error.code == 0 {
		c.error.code = C.int32_t(-r)
		c.error.sys_errno = 0
		c.error.message[0], c.error.hint[0] = 0, 0
	}
	e := takeError(&c.error, c.about)
	if e.Kind != ErrCancelled {
		return e
	}
	if c.ctx.Err() != nil {
		return cancelled(c.ctx)
	} else if slices.ContainsFunc(c.handles, (*handle).isClosed) {
		return fail(ErrInvalidHandle, "the handle was closed during the call")
	}
	return e
}

// takeError is an error of C as one of Go.
func takeError(e *C.struct_msb_error, about subject) *Error {
	kind := ErrorKind(e.code)
	if _, ok := kinds[kind]; !ok || kind >= ErrUnknown {
		kind = ErrUnknown
	}
	if s, ok := special[about][kind]; ok {
		kind = s
	}
	return &Error{
		Kind:     kind,
		Code:     int(e.code),
		CodeName: C.GoString(C.msb_code_name(e.code)),
		Errno:    int(e.sys_errno),
		Message:  C.GoString(&e.message[0]),
		Hint:     C.GoString(&e.hint[0]),
	}
}

// handle is something of C that is given back once: when it was closed, or the
// collector found it, and no call uses it any more.
type handle struct {
	mu     sync.Mutex
	ptr    unsafe.Pointer
	free   func(unsafe.Pointer)
	pid    int
	closed bool
	calls  map[*call]struct{}
	gone   chan struct{} // closed when it was given back
}

func newHandle(ptr unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{ptr: ptr, free: free, pid: syscall.Getpid(), calls: map[*call]struct{}{},
		gone: make(chan struct{})}
	// Freeing may wait for a machine's end: not in the finalizers' goroutine.
	runtime.SetFinalizer(h, func(h *handle) { go h.close() })
	return h
}

func (h *handle) enter(c *call) error {
	if h == nil {
		return fail(ErrInvalidHandle, "the handle is nil")
	}
	if h.pid != syscall.Getpid() {
		return fail(ErrInvalidHandle, "the handle belongs to the process that forked this one")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fail(ErrInvalidHandle, "the handle is closed")
	}
	h.calls[c] = struct{}{}
	return nil
}

func (h *handle) leave(c *call) {
	h.mu.Lock()
	delete(h.calls, c)
	last := h.closed && len(h.calls) == 0
	h.mu.Unlock()
	if last {
		h.drop()
	}
}

func (h *handle) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// close ends the calls that wait on the handle and gives it back; when it
// returns, that has happened. Twice is fine.
func (h *handle) close() {
	if h == nil || h.pid != syscall.Getpid() {
		return
	}
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	for c := range h.calls {
		if c.token != nil {
			C.msb_cancel_fire(c.token)
		}
	}
	now := first && len(h.calls) == 0
	h.mu.Unlock()
	if now {
		h.drop()
	}
	<-h.gone
}

func (h *handle) drop() {
	runtime.SetFinalizer(h, nil)
	h.free(h.ptr)
	close(h.gone)
}
