package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"os"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// CopyEvent tells how a copy goes.
type CopyEvent struct {
	Path  string // what is being copied
	Files uint64
	Bytes uint64
}

// CopyOption is an option of copies between host and guest.
type CopyOption func(*copyConfig)

type copyConfig struct {
	flags    C.uint32_t
	progress func(CopyEvent)
}

// WithCopyOwner keeps owners; else they are root there, and the caller here.
func WithCopyOwner() CopyOption { return func(cfg *copyConfig) { cfg.flags |= C.MSB_COPY_OWNER } }

// WithCopyFollow lets the source be a symbolic link.
func WithCopyFollow() CopyOption { return func(cfg *copyConfig) { cfg.flags |= C.MSB_COPY_FOLLOW } }

// WithCopyContent copies what is in a folder, not the folder.
func WithCopyContent() CopyOption {
	return func(cfg *copyConfig) { cfg.flags |= C.MSB_COPY_CONTENT }
}

// WithCopyProgress has fn told how the copy goes, at most every 50 ms. It is
// called in the goroutine that copies, and must not use the package.
func WithCopyProgress(fn func(CopyEvent)) CopyOption {
	return func(cfg *copyConfig) { cfg.progress = fn }
}

// events is how a call in C tells Go: the handle of it is the callback's argument.
type events struct {
	pull     func(PullEvent) bool // false: end the call
	copy     func(CopyEvent) bool
	panicked any
}

// setArg puts a handle where C keeps it; it is a number, not a pointer.
func setArg(at *unsafe.Pointer, h cgo.Handle) { *(*uintptr)(unsafe.Pointer(at)) = uintptr(h) }

func eventsOf(arg unsafe.Pointer) *events {
	return cgo.Handle(uintptr(arg)).Value().(*events)
}

// guarded calls fn; a panic of it must not pass through C, and is kept.
func (e *events) guarded(fn func() bool) (result C.int) {
	defer func() {
		if p := recover(); p != nil {
			e.panicked = p
			result = 1
		}
	}()
	if e.panicked != nil || !fn() {
		return 1
	}
	return 0
}

//export msbgo_on_copy
func msbgo_on_copy(arg unsafe.Pointer, ev *C.struct_msb_copy_event) C.int {
	e := eventsOf(arg)
	return e.guarded(func() bool {
		return e.copy(CopyEvent{Path: C.GoString(ev.path), Files: uint64(ev.files), Bytes: uint64(ev.bytes)})
	})
}

// copying makes a copy with its options.
func (f *SandboxFs) copying(ctx context.Context, from, to string, opts []CopyOption,
	fn func(c *call, sb *C.struct_msb_sandbox, from, to *C.char, o *C.struct_msb_copy_opts) C.int) error {
	var cfg copyConfig
	for _, o := range opts {
		o(&cfg)
	}
	ev := &events{copy: func(e CopyEvent) bool { cfg.progress(e); return true }}
	err := f.op2(ctx, from, to, func(c *call, sb *C.struct_msb_sandbox, from, to *C.char) C.int {
		o := (*C.struct_msb_copy_opts)(c.alloc(C.sizeof_struct_msb_copy_opts))
		o.size = C.sizeof_struct_msb_copy_opts
		o.flags = cfg.flags
		if cfg.progress != nil {
			h := cgo.NewHandle(ev)
			defer h.Delete()
			o.event = C.msb_copy_event_fn(C.msbgo_tell_copy)
			setArg(&o.event_arg, h)
		}
		return fn(c, sb, from, to, o)
	})
	if ev.panicked != nil {
		panic(ev.panicked)
	}
	return err
}

// CopyFromHost copies a file, or a folder with all in it, into the guest, by the
// rules of docker cp: a target that is a folder takes the source into it.
func (f *SandboxFs) CopyFromHost(ctx context.Context, hostPath, guestPath string, opts ...CopyOption) error {
	return f.copying(ctx, hostPath, guestPath, opts, func(c *call, sb *C.struct_msb_sandbox,
		from, to *C.char, o *C.struct_msb_copy_opts) C.int {
		return C.msb_copy_in(sb, from, to, o, &c.error)
	})
}

// CopyToHost copies out of the guest. Nothing is written outside of the target.
func (f *SandboxFs) CopyToHost(ctx context.Context, guestPath, hostPath string, opts ...CopyOption) error {
	return f.copying(ctx, guestPath, hostPath, opts, func(c *call, sb *C.struct_msb_sandbox,
		from, to *C.char, o *C.struct_msb_copy_opts) C.int {
		return C.msb_copy_out(sb, from, to, o, &c.error)
	})
}

// CopyTarFromHost unpacks a tar stream into a folder of the guest.
func (f *SandboxFs) CopyTarFromHost(ctx context.Context, tar *os.File, guestPath string, opts ...CopyOption) error {
	defer runtime.KeepAlive(tar)
	return f.copying(ctx, "", guestPath, opts, func(c *call, sb *C.struct_msb_sandbox,
		_, to *C.char, o *C.struct_msb_copy_opts) C.int {
		return C.msb_copy_in_tar(sb, C.int(tar.Fd()), to, o, &c.error)
	})
}

// CopyTarToHost writes what is there as a tar stream.
func (f *SandboxFs) CopyTarToHost(ctx context.Context, guestPath string, tar *os.File, opts ...CopyOption) error {
	defer runtime.KeepAlive(tar)
	return f.copying(ctx, guestPath, "", opts, func(c *call, sb *C.struct_msb_sandbox,
		from, _ *C.char, o *C.struct_msb_copy_opts) C.int {
		return C.msb_copy_out_tar(sb, from, C.int(tar.Fd()), o, &c.error)
	})
}

// CopyToSandbox copies into another sandbox, without a copy in between.
func (f *SandboxFs) CopyToSandbox(ctx context.Context, from string, target *Sandbox, to string, opts ...CopyOption) error {
	other, err := begin(ctx, aboutPath, target.handle())
	if err != nil {
		return err
	}
	defer other.end()
	return f.copying(ctx, from, to, opts, func(c *call, sb *C.struct_msb_sandbox,
		from, to *C.char, o *C.struct_msb_copy_opts) C.int {
		return C.msb_copy_across(sb, from, target.c(), to, o, &c.error)
	})
}
