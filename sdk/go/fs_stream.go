package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"io"
	"runtime"
	"sync"
	"unsafe"
)

// file is an open file of a guest. Its handle is for one call at a time.
type file struct {
	ctx context.Context
	s   *Sandbox // whoever has the file does not lose its machine
	h   *handle
	mu  sync.Mutex
	err error // what every later call gives
}

func (f *SandboxFs) open(ctx context.Context, path string, set func(*C.struct_msb_file_opts)) (*file, error) {
	var p *C.struct_msb_file
	err := f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		o := (*C.struct_msb_file_opts)(c.alloc(C.sizeof_struct_msb_file_opts))
		o.size = C.sizeof_struct_msb_file_opts
		set(o)
		return C.msb_file_open(sb, path, o, &p, &c.error)
	})
	if err != nil {
		return nil, err
	}
	return &file{ctx: ctx, s: f.s, h: newHandle(unsafe.Pointer(p), func(p unsafe.Pointer) {
		C.msb_file_close((*C.struct_msb_file)(p))
	})}, nil
}

func (f *file) c() *C.struct_msb_file { return (*C.struct_msb_file)(f.h.ptr) }

// call makes a call of the file. After a failure nothing else can be done.
func (f *file) call(fn func(c *call) C.int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	c, err := begin(f.ctx, aboutPath, f.h)
	if err != nil {
		return err
	}
	defer c.end()
	f.err = c.do(func() C.int { return fn(c) })
	return f.err
}

// ReadStream opens a file to be read in pieces. ctx is also for all reads of it.
// Close it.
func (f *SandboxFs) ReadStream(ctx context.Context, path string) (*FsReader, error) {
	return f.ReadRange(ctx, path, 0, 0)
}

// ReadRange is ReadStream for a part of the file; length 0 is to its end.
func (f *SandboxFs) ReadRange(ctx context.Context, path string, offset, length int64) (*FsReader, error) {
	if offset < 0 || length < 0 {
		return nil, fail(ErrInvalidConfig, "the range is negative")
	}
	opened, err := f.open(ctx, path, func(o *C.struct_msb_file_opts) {
		o.mode = C.MSB_FILE_READ
		o.offset, o.length = C.uint64_t(offset), C.uint64_t(length)
	})
	if err != nil {
		return nil, err
	}
	return &FsReader{opened}, nil
}

// FsReader is a file that is read: an io.ReadCloser.
type FsReader struct{ f *file }

// Read gives the next bytes; io.EOF at the end.
func (r *FsReader) Read(to []byte) (int, error) {
	defer runtime.KeepAlive(r)
	if len(to) == 0 {
		return 0, nil
	}
	var n C.int64_t
	err := r.f.call(func(c *call) C.int {
		n = C.msb_file_get(r.f.c(), unsafe.Pointer(&to[0]), C.size_t(len(to)), &c.error)
		return C.int(min(n, 0))
	})
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

// Close closes the file. Twice is fine.
func (r *FsReader) Close() error {
	r.f.h.close()
	return nil
}

// WriteStream opens a file to be written in pieces. It appears under its name
// when Close has succeeded; Abort drops it. ctx is also for all writes.
func (f *SandboxFs) WriteStream(ctx context.Context, path string, opts ...WriteOption) (*FsWriter, error) {
	cfg := writing(opts)
	opened, err := f.open(ctx, path, func(o *C.struct_msb_file_opts) {
		o.mode = C.MSB_FILE_WRITE
		o.flags = cfg.flags
		o.permissions = C.uint32_t(cfg.mode)
	})
	if err != nil {
		return nil, err
	}
	return &FsWriter{f: opened}, nil
}

// FsWriter is a file that is written: an io.WriteCloser.
type FsWriter struct {
	f    *file
	done bool
}

// Write writes all of data.
func (w *FsWriter) Write(data []byte) (int, error) {
	defer runtime.KeepAlive(w)
	if len(data) == 0 {
		return 0, nil
	}
	err := w.f.call(func(c *call) C.int {
		return C.msb_file_put(w.f.c(), unsafe.Pointer(&data[0]), C.size_t(len(data)), &c.error)
	})
	if err != nil {
		return 0, err
	}
	return len(data), nil
}

// Close completes the file, and closes it. When it fails, nothing of it is left.
// After Close or Abort it does nothing.
func (w *FsWriter) Close() error {
	defer runtime.KeepAlive(w)
	if w.done {
		return nil
	}
	w.done = true
	err := w.f.call(func(c *call) C.int { return C.msb_file_finish(w.f.c(), &c.error) })
	w.f.h.close()
	return err
}

// Abort drops what was written. After Close it does nothing.
func (w *FsWriter) Abort() {
	w.done = true
	w.f.h.close()
}
