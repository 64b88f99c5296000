package microsandbox

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// poller waits for a descriptor of the library in Go's own poller, so that no
// thread is held while nothing happens.
type poller struct {
	file *os.File
	raw  syscall.RawConn
}

// newPoller takes a copy of the descriptor.
func newPoller(fd int) (*poller, error) {
	dup, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, pollError(errno)
	}
	// It is an epoll descriptor, which nobody reads: the flag, which the copy
	// shares with the original, only tells os.NewFile to use the poller.
	if err := syscall.SetNonblock(int(dup), true); err != nil {
		_ = syscall.Close(int(dup))
		return nil, pollError(err)
	}
	file := os.NewFile(dup, "microsandbox")
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = file.Close()
		return nil, pollError(err)
	}
	return &poller{file, raw}, nil
}

func pollError(err error) error {
	e := fail(ErrIO, "cannot wait for events")
	e.Cause = err
	return e
}

// until calls fn until it gives true, waiting for the descriptor in between. It
// gives false when interrupt was called meanwhile, or before.
func (p *poller) until(fn func() bool) bool {
	return p.raw.Read(func(uintptr) bool { return fn() }) == nil
}

// interrupt ends until, and all that come after it.
func (p *poller) interrupt() {
	_ = p.file.SetReadDeadline(time.Unix(1, 0))
}

// untilContext is until that a context ends: ctx.Err() then.
func (p *poller) untilContext(ctx context.Context, fn func() bool) error {
	for {
		if ctx.Err() != nil {
			return cancelled(ctx)
		}
		stop := context.AfterFunc(ctx, p.interrupt)
		err := p.raw.Read(func(uintptr) bool { return fn() })
		stop()
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return fail(ErrInvalidHandle, "the handle was closed during the call")
		}
		if ctx.Err() == nil {
			// By the end of a context of before, which came late.
			_ = p.file.SetReadDeadline(time.Time{})
		}
	}
}

func (p *poller) close() { _ = p.file.Close() }
