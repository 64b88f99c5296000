package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"io"
	"runtime"
	"unsafe"
)

// ExecSink is a command's input: an io.WriteCloser. Close tells the command that
// there is no more.
type ExecSink struct{ x *ExecHandle }

// TakeStdin gives the command's input; nil when there is none
// (WithExecStdinPipe), or it was taken before.
func (x *ExecHandle) TakeStdin() *ExecSink {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sink {
		return nil
	}
	x.sink = true
	return &ExecSink{x}
}

// Write writes all of data; it waits while the command does not read.
func (s *ExecSink) Write(data []byte) (int, error) {
	return s.WriteContext(context.Background(), data)
}

// WriteContext is Write that a context ends.
func (s *ExecSink) WriteContext(ctx context.Context, data []byte) (int, error) {
	defer runtime.KeepAlive(s.x)
	return s.x.execState.write(ctx, data)
}

// Close ends the command's input.
func (s *ExecSink) Close() error {
	defer runtime.KeepAlive(s.x)
	return s.x.execState.closeStdin()
}

func (x *execState) closeStdin() error {
	_, err := x.call(context.Background(), func(c *call) C.int {
		return C.msb_exec_close_stdin(x.c(), &c.error)
	})
	return err
}

func (x *execState) write(ctx context.Context, data []byte) (int, error) {
	done := 0
	for done < len(data) {
		x.mu.Lock()
		before, over := x.writable, x.over
		x.mu.Unlock()
		if over {
			return done, io.ErrClosedPipe
		}
		var n C.int64_t
		_, err := x.call(ctx, func(c *call) C.int {
			n = C.msb_exec_write(x.c(), unsafe.Pointer(&data[done]), C.size_t(len(data)-done), &c.error)
			return C.int(min(n, 0))
		})
		if err != nil {
			return done, err
		}
		done += int(n)
		if n > 0 {
			continue
		}
		if err := x.await(ctx, func() bool { return x.writable != before || x.over }); err != nil {
			return done, err
		}
		x.mu.Unlock()
	}
	return done, nil
}

// feed writes all of a command's input. That the command did not want it is fine.
func (x *execState) feed(input []byte) {
	if _, err := x.write(context.Background(), input); err == nil {
		_ = x.closeStdin()
	}
}

// Unread is how many bytes were written that the command has not taken yet.
func (s *ExecSink) Unread() int {
	n := 0
	_, _ = s.x.call(context.Background(), func(*call) C.int {
		n = int(C.msb_exec_unread(s.x.c()))
		return 0
	})
	return n
}

// execPipe is what came for one reader.
type execPipe struct {
	data   []byte
	closed bool
}

type execReader struct {
	x     *ExecHandle
	which int
}

// Stdout gives what the command writes there as a reader, and no more by Recv.
// Once one stream is read like this, of one that nobody reads no more than
// 1 MiB is kept, so that the command does not wait for it.
func (x *ExecHandle) Stdout() io.ReadCloser { return x.reader(0) }

// Stderr is Stdout for the other stream.
func (x *ExecHandle) Stderr() io.ReadCloser { return x.reader(1) }

func (x *ExecHandle) reader(which int) io.ReadCloser {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.pipes[which] == nil {
		p := &execPipe{}
		rest := x.queue[:0:0]
		for _, ev := range x.queue {
			if ev.Kind == ExecEventStdout+ExecEventKind(which) {
				p.data = append(p.data, ev.Data...)
				x.queued -= len(ev.Data)
			} else {
				rest = append(rest, ev)
			}
		}
		x.queue = rest
		x.pipes[which] = p
		x.notify()
	}
	return &execReader{x, which}
}

// Read gives io.EOF at the command's end.
func (r *execReader) Read(to []byte) (int, error) {
	x := r.x
	defer runtime.KeepAlive(x)
	if len(to) == 0 {
		return 0, nil
	}
	p := x.pipes[r.which]
	_ = x.await(context.Background(), func() bool { return len(p.data) > 0 || x.over || p.closed })
	defer x.mu.Unlock()
	switch {
	case p.closed:
		return 0, io.ErrClosedPipe
	case len(p.data) > 0:
		n := copy(to, p.data)
		p.data = p.data[n:]
		x.notify()
		return n, nil
	case x.err != nil:
		return 0, x.err
	case x.last.Kind == ExecEventFailed:
		return 0, x.last.Failure
	}
	return 0, io.EOF
}

// Close drops what is left of the stream, so that the command does not wait.
func (r *execReader) Close() error {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	p := r.x.pipes[r.which]
	p.closed = true
	p.data = nil
	r.x.notify()
	return nil
}
