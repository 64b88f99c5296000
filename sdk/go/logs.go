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
	"time"
	"unsafe"
)

// LogSource is where a piece of log comes from.
type LogSource string

// Sources of logs.
const (
	LogStdout  LogSource = "stdout"
	LogStderr  LogSource = "stderr"
	LogOutput  LogSource = "output"  // of a terminal
	LogConsole LogSource = "console" // of the machine
	LogSystem  LogSource = "system"  // marks of its life
)

var logSources = []struct {
	source LogSource
	bit    C.uint32_t
}{
	{LogStdout, C.MSB_LOG_STDOUT}, {LogStderr, C.MSB_LOG_STDERR}, {LogOutput, C.MSB_LOG_OUTPUT},
	{LogConsole, C.MSB_LOG_CONSOLE}, {LogSystem, C.MSB_LOG_SYSTEM},
}

// LogOptions says what of the logs is wanted.
type LogOptions struct {
	Sources []LogSource // nil: what commands wrote
	Tail    uint64      // only the last so many lines; 0: all
	Since   time.Time   // zero: no bound
	Until   time.Time
	Session uint64 // only of this command; 0: of all
}

// LogEntry is a piece of output as it was captured: not always a line.
type LogEntry struct {
	Timestamp time.Time
	Source    LogSource
	Session   uint64 // 0: of no command
	Data      []byte
}

// Text is the data as a string.
func (e *LogEntry) Text() string { return string(e.Data) }

func (c *call) logOpts(opts *LogOptions, follow bool) *C.struct_msb_log_opts {
	o := (*C.struct_msb_log_opts)(c.alloc(C.sizeof_struct_msb_log_opts))
	o.size = C.sizeof_struct_msb_log_opts
	for _, s := range opts.Sources {
		known := false
		for _, l := range logSources {
			if l.source == s {
				o.sources |= l.bit
				known = true
			}
		}
		if !known {
			c.bad("%q is no source of logs", string(s))
		}
	}
	if follow {
		o.follow = 1
	}
	o.tail, o.session = C.uint64_t(opts.Tail), C.uint64_t(opts.Session)
	if !opts.Since.IsZero() {
		o.since_ms = C.int64_t(opts.Since.UnixMilli())
	}
	if !opts.Until.IsZero() {
		o.until_ms = C.int64_t(opts.Until.UnixMilli())
	}
	return o
}

func (h *Home) openLogs(ctx context.Context, name string, opts *LogOptions, follow bool) (*C.struct_msb_logs, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname, o := c.str("the name", name), c.logOpts(opts, follow)
	var p *C.struct_msb_logs
	err = c.do(func() C.int { return C.msb_logs_open(h.c(), cname, o, &p, &c.error) })
	return p, err
}

func logEntry(p *C.struct_msb_log_entry) *LogEntry {
	e := &LogEntry{Timestamp: time.UnixMilli(int64(p.unix_ms)), Session: uint64(p.session),
		Data: goBytes(p.data, p.len)}
	for _, l := range logSources {
		if C.uint32_t(p.source) == l.bit {
			e.Source = l.source
		}
	}
	return e
}

// Logs tells what the commands of a sandbox wrote, oldest first; it may run or not.
func (h *Home) Logs(ctx context.Context, name string, opts LogOptions) ([]LogEntry, error) {
	p, err := h.openLogs(ctx, name, &opts, false)
	if err != nil {
		return nil, err
	}
	defer C.msb_logs_free(p)
	c, err := begin(ctx, aboutSandbox)
	if err != nil {
		return nil, err
	}
	defer c.end()
	entry := (*C.struct_msb_log_entry)(c.alloc(C.sizeof_struct_msb_log_entry))
	out := []LogEntry{}
	for ctx.Err() == nil {
		entry.size = C.sizeof_struct_msb_log_entry
		n, err := c.run(func() C.int { return C.msb_logs_next(p, 0, entry, &c.error) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return out, nil
		}
		out = append(out, *logEntry(entry))
	}
	return nil, cancelled(ctx)
}

// LogStream is the logs of a sandbox as they are written.
type LogStream struct {
	h    *handle
	poll *poller
	mu   sync.Mutex
	once sync.Once
}

// LogStream gives the logs of a sandbox and goes on with what is written later,
// until the machine has ended. ctx is only for the start. Close it.
func (h *Home) LogStream(ctx context.Context, name string, opts LogOptions) (*LogStream, error) {
	p, err := h.openLogs(ctx, name, &opts, true)
	if err != nil {
		return nil, err
	}
	handle := newHandle(unsafe.Pointer(p), func(p unsafe.Pointer) {
		C.msb_logs_free((*C.struct_msb_logs)(p))
	})
	poll, err := newPoller(int(C.msb_logs_fd(p)))
	if err != nil {
		handle.close()
		return nil, err
	}
	return &LogStream{h: handle, poll: poll}, nil
}

// Recv gives the next entry; io.EOF when there will be nothing more.
func (l *LogStream) Recv(ctx context.Context) (*LogEntry, error) {
	defer runtime.KeepAlive(l)
	c, err := begin(ctx, aboutSandbox, l.h)
	if err != nil {
		return nil, err
	}
	defer c.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := (*C.struct_msb_logs)(l.h.ptr)
	entry := (*C.struct_msb_log_entry)(c.alloc(C.sizeof_struct_msb_log_entry))
	var n int
	ended := false
	waited := l.poll.untilContext(ctx, func() bool {
		entry.size = C.sizeof_struct_msb_log_entry
		if n, err = c.run(func() C.int { return C.msb_logs_next(p, 0, entry, &c.error) }); n == 0 && err == nil {
			ended = C.msb_logs_ended(p) != 0
		}
		return n > 0 || ended || err != nil
	})
	switch {
	case err != nil:
		return nil, err
	case n > 0:
		return logEntry(entry), nil
	case ended:
		return nil, io.EOF
	}
	return nil, waited
}

// Close ends the stream. Twice is fine.
func (l *LogStream) Close() error {
	l.once.Do(func() {
		l.poll.close() // ends a Recv that waits
		l.h.close()
	})
	return nil
}
