package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import "unsafe"

// PatchKind is what a patch does.
type PatchKind int

// Kinds of patches.
const (
	PatchFile     PatchKind = C.MSB_PATCH_FILE
	PatchCopy     PatchKind = C.MSB_PATCH_COPY
	PatchAppend   PatchKind = C.MSB_PATCH_APPEND
	PatchMkdir    PatchKind = C.MSB_PATCH_MKDIR
	PatchSymlink  PatchKind = C.MSB_PATCH_SYMLINK
	PatchRemove   PatchKind = C.MSB_PATCH_REMOVE
	PatchSetMode  PatchKind = C.MSB_PATCH_SET_MODE
	PatchSetOwner PatchKind = C.MSB_PATCH_SET_OWNER
)

// PatchConfig is one change of the image before the machine starts; Patch makes
// them. They are made in order.
type PatchConfig struct {
	Kind    PatchKind
	Path    string // in the guest
	Source  string // copy: a path of the host; symlink: its text
	Data    []byte // file, append
	Mode    *uint32
	Owner   *Owner
	Replace bool
}

// PatchOptions is more about a patch.
type PatchOptions struct {
	Mode    *uint32 // nil: 0644, of folders 0755, of copies the source's
	Owner   *Owner  // nil: root
	Replace bool    // what is there goes before; else it is an error
}

type patchFactory struct{}

// Patch makes patches for WithPatches.
var Patch patchFactory

func (o PatchOptions) config(kind PatchKind, path string) PatchConfig {
	return PatchConfig{Kind: kind, Path: path, Mode: o.Mode, Owner: o.Owner, Replace: o.Replace}
}

// Text is a file with this content.
func (patchFactory) Text(path, content string, opts PatchOptions) PatchConfig {
	p := opts.config(PatchFile, path)
	p.Data = []byte(content)
	return p
}

// File is a file with these bytes.
func (patchFactory) File(path string, content []byte, opts PatchOptions) PatchConfig {
	p := opts.config(PatchFile, path)
	p.Data = content
	return p
}

// CopyFile copies a file of the host.
func (patchFactory) CopyFile(hostPath, path string, opts PatchOptions) PatchConfig {
	p := opts.config(PatchCopy, path)
	p.Source = hostPath
	return p
}

// CopyDir copies a folder of the host, with all in it.
func (f patchFactory) CopyDir(hostPath, path string, opts PatchOptions) PatchConfig {
	return f.CopyFile(hostPath, path, opts)
}

// Append adds to a file that is there.
func (patchFactory) Append(path, content string) PatchConfig {
	return PatchConfig{Kind: PatchAppend, Path: path, Data: []byte(content)}
}

// Mkdir makes a folder; it is fine when there is one.
func (patchFactory) Mkdir(path string, opts PatchOptions) PatchConfig {
	return opts.config(PatchMkdir, path)
}

// Symlink makes a symbolic link at path.
func (patchFactory) Symlink(target, path string, opts PatchOptions) PatchConfig {
	p := opts.config(PatchSymlink, path)
	p.Source = target
	return p
}

// Remove removes what is there; nothing is fine.
func (patchFactory) Remove(path string) PatchConfig {
	return PatchConfig{Kind: PatchRemove, Path: path}
}

// Chmod sets the mode of what is there.
func (patchFactory) Chmod(path string, mode uint32) PatchConfig {
	return PatchConfig{Kind: PatchSetMode, Path: path, Mode: &mode}
}

// Chown sets the owner of what is there.
func (patchFactory) Chown(path string, uid, gid uint32) PatchConfig {
	return PatchConfig{Kind: PatchSetOwner, Path: path, Owner: &Owner{uid, gid}}
}

func (a *arena) patch(p PatchConfig) unsafe.Pointer {
	at := a.alloc(C.sizeof_struct_msb_patch)
	o := (*C.struct_msb_patch)(at)
	o.size = C.sizeof_struct_msb_patch
	o.kind = C.int32_t(p.Kind)
	if p.Replace {
		o.flags |= C.MSB_PATCH_REPLACE
	}
	if p.Mode != nil {
		o.flags |= C.MSB_PATCH_MODE
		o.mode = C.uint32_t(*p.Mode)
	}
	if p.Owner != nil {
		o.flags |= C.MSB_PATCH_OWNER
		o.uid, o.gid = C.uint32_t(p.Owner.UID), C.uint32_t(p.Owner.GID)
	}
	o.path = a.str("the patch's path", p.Path)
	o.source = a.opt("the patch's source", p.Source)
	if p.Kind == PatchFile || p.Kind == PatchAppend {
		o.data = a.bytes(p.Data)
		o.data_len = C.size_t(len(p.Data))
	}
	return at
}

func (a *arena) patches(patches []PatchConfig) **C.struct_msb_patch {
	if len(patches) == 0 {
		return nil
	}
	list := a.pointers(len(patches))
	for i, p := range patches {
		list[i] = a.patch(p)
	}
	return (**C.struct_msb_patch)(unsafe.Pointer(unsafe.SliceData(list)))
}
