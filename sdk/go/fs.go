package microsandbox

/*
#include <stdlib.h>
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"errors"
	"io/fs"
	"time"
	"unsafe"
)

// SandboxFs is the files of a sandbox that runs. Paths are absolute, or relative
// to "/", and resolved in the guest, as root.
type SandboxFs struct{ s *Sandbox }

// FsStat is what is known about a file of a guest.
type FsStat struct {
	Path    string // as asked for; of an entry: its name
	Target  string // of a symbolic link
	Mode    uint32 // with the type, as st_mode
	UID     uint32
	GID     uint32
	Nlink   uint32
	Rdev    uint32
	Size    int64
	ModTime time.Time
	IsDir   bool
}

// FsEntryKind is what a path leads to.
type FsEntryKind string

// Kinds of files.
const (
	FsEntryKindFile      FsEntryKind = "file"
	FsEntryKindDirectory FsEntryKind = "directory"
	FsEntryKindSymlink   FsEntryKind = "symlink"
	FsEntryKindOther     FsEntryKind = "other"
)

// SandboxFSOps is SandboxFs, as the Rust system's SDK calls it.
type SandboxFSOps = SandboxFs

// FsEntry is a file in a folder.
type FsEntry struct {
	Kind FsEntryKind
	FsStat
}

const (
	typeMask = 0o170000
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

// Perm is the permissions, with set-id and sticky bits.
func (s *FsStat) Perm() uint32 { return s.Mode &^ typeMask }

// FileMode is the mode as Go writes it.
func (s *FsStat) FileMode() fs.FileMode {
	mode := fs.FileMode(s.Mode & 0o777)
	switch s.Mode & typeMask {
	case typeDir:
		mode |= fs.ModeDir
	case typeLink:
		mode |= fs.ModeSymlink
	case 0o140000:
		mode |= fs.ModeSocket
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if s.Mode&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func fileStat(p *C.struct_msb_file_info) FsStat {
	return FsStat{
		Path: C.GoString(p.path), Target: C.GoString(p.target), Mode: uint32(p.mode),
		UID: uint32(p.uid), GID: uint32(p.gid), Nlink: uint32(p.nlink), Rdev: uint32(p.rdev),
		Size: int64(p.size_bytes), ModTime: time.Unix(int64(p.mtime_s), int64(p.mtime_ns)),
		IsDir: p.mode&typeMask == typeDir,
	}
}

func kindOf(mode uint32) string {
	switch mode & typeMask {
	case typeDir:
		return "directory"
	case typeFile:
		return "file"
	case typeLink:
		return "symlink"
	}
	return "other"
}

// op makes a call about one path.
func (f *SandboxFs) op(ctx context.Context, path string, fn func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int) error {
	if f == nil {
		return fail(ErrInvalidHandle, "the handle is nil")
	}
	c, err := begin(ctx, aboutPath, f.s.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cpath := c.str("the path", path)
	return c.do(func() C.int { return fn(c, f.s.c(), cpath) })
}

// op2 makes a call about two paths.
func (f *SandboxFs) op2(ctx context.Context, from, to string, fn func(c *call, sb *C.struct_msb_sandbox, from, to *C.char) C.int) error {
	return f.op(ctx, from, func(c *call, sb *C.struct_msb_sandbox, cfrom *C.char) C.int {
		cto := c.str("the path", to)
		if c.err != nil {
			return c.refuse()
		}
		return fn(c, sb, cfrom, cto)
	})
}

// Read gives a whole file, of at most 64 MiB; ReadStream is for larger ones.
func (f *SandboxFs) Read(ctx context.Context, path string) ([]byte, error) {
	return f.ReadMax(ctx, path, 0)
}

// ReadMax is Read with another limit; ErrNoSpace when the file is larger.
func (f *SandboxFs) ReadMax(ctx context.Context, path string, limit int64) ([]byte, error) {
	if limit < 0 {
		return nil, fail(ErrInvalidConfig, "the limit %d is negative", limit)
	}
	var data []byte
	err := f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		var p unsafe.Pointer
		var n C.size_t
		r := C.msb_file_read(sb, path, C.size_t(limit), &p, &n, &c.error)
		if r >= 0 {
			data = goBytes(p, n)
			C.msb_free(p)
		}
		return r
	})
	return data, err
}

// ReadString is Read as a string.
func (f *SandboxFs) ReadString(ctx context.Context, path string) (string, error) {
	data, err := f.Read(ctx, path)
	return string(data), err
}

// WriteOption is an option of Write and WriteStream.
type WriteOption func(*writeConfig)

type writeConfig struct {
	mode  uint32
	flags C.uint32_t
}

// WithFileMode sets the permissions of a new file; they are 0644 unless set.
func WithFileMode(mode uint32) WriteOption { return func(cfg *writeConfig) { cfg.mode = mode } }

// WithAppend writes behind what is there.
func WithAppend() WriteOption {
	return func(cfg *writeConfig) { cfg.flags |= C.MSB_FILE_APPEND }
}

// WithExclusive makes it an ErrAlreadyExists when the file is there.
func WithExclusive() WriteOption {
	return func(cfg *writeConfig) { cfg.flags |= C.MSB_FILE_EXCLUSIVE }
}

func writing(opts []WriteOption) writeConfig {
	var cfg writeConfig
	for _, o := range opts {
		o(&cfg)
	}
	return cfg
}

// Write writes a whole file: it appears under its name when it is complete.
func (f *SandboxFs) Write(ctx context.Context, path string, data []byte, opts ...WriteOption) error {
	cfg := writing(opts)
	return f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		return C.msb_file_write(sb, path, unsafe.Pointer(unsafe.SliceData(data)),
			C.size_t(len(data)), C.uint32_t(cfg.mode), cfg.flags, &c.error)
	})
}

// WriteString is Write for a string.
func (f *SandboxFs) WriteString(ctx context.Context, path, text string, opts ...WriteOption) error {
	return f.Write(ctx, path, []byte(text), opts...)
}

// List gives a folder's entries, by name.
func (f *SandboxFs) List(ctx context.Context, path string) ([]FsEntry, error) {
	out := []FsEntry{}
	err := f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		var list *C.struct_msb_file_list
		r := C.msb_file_list(sb, path, &list, &c.error)
		if r < 0 {
			return r
		}
		defer C.msb_file_list_free(list)
		for i := C.size_t(0); i < C.msb_file_list_count(list); i++ {
			stat := fileStat(C.msb_file_list_get(list, i))
			out = append(out, FsEntry{Kind: FsEntryKind(kindOf(stat.Mode)), FsStat: stat})
		}
		return 0
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Stat tells about a file; of a symbolic link, about what it leads to.
func (f *SandboxFs) Stat(ctx context.Context, path string) (*FsStat, error) {
	return f.stat(ctx, path, 0)
}

// Lstat is Stat that does not follow a symbolic link.
func (f *SandboxFs) Lstat(ctx context.Context, path string) (*FsStat, error) {
	return f.stat(ctx, path, C.MSB_FILE_NO_FOLLOW)
}

func (f *SandboxFs) stat(ctx context.Context, path string, flags C.uint32_t) (*FsStat, error) {
	var out FsStat
	err := f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		p := (*C.struct_msb_file_info)(c.alloc(C.sizeof_struct_msb_file_info))
		p.size = C.sizeof_struct_msb_file_info
		r := C.msb_file_stat(sb, path, flags, p, &c.error)
		if r >= 0 {
			out = fileStat(p) // in this thread: its strings are the thread's
		}
		return r
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// Exists says whether there is a file of this path. A symbolic link counts,
// wherever it leads.
func (f *SandboxFs) Exists(ctx context.Context, path string) (bool, error) {
	_, err := f.Lstat(ctx, path)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Mkdir makes a folder, and those above it; it is fine when it is there.
func (f *SandboxFs) Mkdir(ctx context.Context, path string) error {
	return f.mkdir(ctx, path, 0, C.MSB_FILE_RECURSIVE)
}

// MkdirMode makes one folder with these permissions (0: 0755); with parents also
// those above it, and it is fine when it is there.
func (f *SandboxFs) MkdirMode(ctx context.Context, path string, mode uint32, parents bool) error {
	if parents {
		return f.mkdir(ctx, path, mode, C.MSB_FILE_RECURSIVE)
	}
	return f.mkdir(ctx, path, mode, 0)
}

func (f *SandboxFs) mkdir(ctx context.Context, path string, mode uint32, flags C.uint32_t) error {
	return f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		return C.msb_file_mkdir(sb, path, C.uint32_t(mode), flags, &c.error)
	})
}

// Remove removes a file, or an empty folder. With WithForce it is fine when
// there is none.
func (f *SandboxFs) Remove(ctx context.Context, path string, opts ...RemoveOption) error {
	return f.remove(ctx, path, 0, opts)
}

// RemoveDir removes a folder with all in it, or a file. With WithForce it is
// fine when there is none.
func (f *SandboxFs) RemoveDir(ctx context.Context, path string, opts ...RemoveOption) error {
	return f.remove(ctx, path, C.MSB_FILE_RECURSIVE, opts)
}

func (f *SandboxFs) remove(ctx context.Context, path string, flags C.uint32_t, opts []RemoveOption) error {
	if removing(opts).force {
		flags |= C.MSB_FILE_FORCE
	}
	return f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		return C.msb_file_remove(sb, path, flags, &c.error)
	})
}

// Rename moves a file, in place of what has its name.
func (f *SandboxFs) Rename(ctx context.Context, from, to string) error {
	return f.rename(ctx, from, to, 0)
}

// RenameNew is Rename that gives ErrAlreadyExists when the name is taken.
func (f *SandboxFs) RenameNew(ctx context.Context, from, to string) error {
	return f.rename(ctx, from, to, C.MSB_FILE_NO_REPLACE)
}

func (f *SandboxFs) rename(ctx context.Context, from, to string, flags C.uint32_t) error {
	return f.op2(ctx, from, to, func(c *call, sb *C.struct_msb_sandbox, from, to *C.char) C.int {
		return C.msb_file_rename(sb, from, to, flags, &c.error)
	})
}

// Copy copies within the guest; folders with all in them.
func (f *SandboxFs) Copy(ctx context.Context, from, to string) error {
	return f.op2(ctx, from, to, func(c *call, sb *C.struct_msb_sandbox, from, to *C.char) C.int {
		return C.msb_file_copy(sb, from, to, &c.error)
	})
}

// Symlink makes a symbolic link at path.
func (f *SandboxFs) Symlink(ctx context.Context, target, path string) error {
	return f.op2(ctx, target, path, func(c *call, sb *C.struct_msb_sandbox, target, path *C.char) C.int {
		return C.msb_file_symlink(sb, target, path, &c.error)
	})
}

// Chmod sets permissions.
func (f *SandboxFs) Chmod(ctx context.Context, path string, mode uint32) error {
	return f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		return C.msb_file_chmod(sb, path, C.uint32_t(mode), &c.error)
	})
}

// Chown sets the owner; of a symbolic link, of what it leads to.
func (f *SandboxFs) Chown(ctx context.Context, path string, uid, gid uint32) error {
	return f.chown(ctx, path, uid, gid, 0)
}

// Lchown is Chown that does not follow a symbolic link.
func (f *SandboxFs) Lchown(ctx context.Context, path string, uid, gid uint32) error {
	return f.chown(ctx, path, uid, gid, C.MSB_FILE_NO_FOLLOW)
}

func (f *SandboxFs) chown(ctx context.Context, path string, uid, gid uint32, flags C.uint32_t) error {
	return f.op(ctx, path, func(c *call, sb *C.struct_msb_sandbox, path *C.char) C.int {
		return C.msb_file_chown(sb, path, C.uint32_t(uid), C.uint32_t(gid), flags, &c.error)
	})
}
