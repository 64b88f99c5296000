package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

// MountKind is what a mount shows.
type MountKind string

// Kinds of mounts.
const (
	MountBind  MountKind = "bind"  // a folder or file of the host, as it is there
	MountDir   MountKind = "dir"   // a folder of the host
	MountFile  MountKind = "file"  // a file of the host
	MountNamed MountKind = "named" // a volume
	MountTmpfs MountKind = "tmpfs" // memory
	MountDisk  MountKind = "disk"  // a disk image
)

// Cache says when changes on the host's side are seen in the guest.
type Cache int

// Cache modes.
const (
	CacheAuto   Cache = iota // names within a second, content at the next open
	CacheAlways              // maybe never: nobody else changes it
	CacheNone                // at once
)

// Owner is who all files of a mount belong to in the guest.
type Owner struct{ UID, GID uint32 }

// MountConfig is one mount; Mount makes them.
type MountConfig struct {
	Kind       MountKind
	Source     string // a path of the host, or the volume's name
	Readonly   bool
	Noexec     bool
	Nosuid     bool
	Nodev      bool
	Follow     bool // Source may be a symbolic link itself
	Create     bool // named: the volume is made when there is none
	Owner      *Owner
	Cache      Cache
	QuotaBytes uint64 // bind, named: so much may the guest add
	SizeBytes  uint64 // tmpfs; named with Create
	Mode       uint32 // tmpfs
	VolumeKind VolumeKind
	Format     string // disk: raw or qcow2; "": by the name's end
	Fstype     string // disk: "": ext4
}

// MountOptions is more about a folder, file or volume.
type MountOptions struct {
	Readonly       bool
	Noexec         bool
	Nosuid         bool
	Nodev          bool
	FollowSymlinks bool
	Owner          *Owner
	Cache          Cache
	QuotaMiB       uint64
}

// NamedOptions is more about a volume that may have to be made.
type NamedOptions struct {
	MountOptions
	Kind    VolumeKind
	SizeMiB uint64
}

// TmpfsOptions is more about memory.
type TmpfsOptions struct {
	SizeMiB uint64 // 0: half of the guest's memory
	Mode    uint32 // 0: 0755
	Noexec  bool
	Nosuid  bool
	Nodev   bool
}

// DiskOptions is more about a disk image.
type DiskOptions struct {
	Format         string // raw or qcow2; "": by the name's end
	Fstype         string // "": ext4
	Readonly       bool
	FollowSymlinks bool
}

type mountFactory struct{}

// Mount makes mounts for WithMounts.
var Mount mountFactory

// Bind is a folder or file of the host.
func (mountFactory) Bind(hostPath string, opts MountOptions) MountConfig {
	return opts.config(MountBind, hostPath)
}

// Named is a volume that is there.
func (mountFactory) Named(volume string, opts MountOptions) MountConfig {
	return opts.config(MountNamed, volume)
}

// NamedOrNew is a volume that is made when there is none of this name.
func (mountFactory) NamedOrNew(volume string, opts NamedOptions) MountConfig {
	m := opts.config(MountNamed, volume)
	m.Create, m.VolumeKind, m.SizeBytes = true, opts.Kind, mebi(opts.SizeMiB)
	return m
}

// Tmpfs is memory of the guest.
func (mountFactory) Tmpfs(opts TmpfsOptions) MountConfig {
	return MountConfig{Kind: MountTmpfs, SizeBytes: mebi(opts.SizeMiB), Mode: opts.Mode,
		Noexec: opts.Noexec, Nosuid: opts.Nosuid, Nodev: opts.Nodev}
}

// Disk is a disk image with a file system.
func (mountFactory) Disk(path string, opts DiskOptions) MountConfig {
	return MountConfig{Kind: MountDisk, Source: path, Format: opts.Format, Fstype: opts.Fstype,
		Readonly: opts.Readonly, Follow: opts.FollowSymlinks}
}

func (o MountOptions) config(kind MountKind, source string) MountConfig {
	return MountConfig{Kind: kind, Source: source, Readonly: o.Readonly, Noexec: o.Noexec,
		Nosuid: o.Nosuid, Nodev: o.Nodev, Follow: o.FollowSymlinks, Owner: o.Owner,
		Cache: o.Cache, QuotaBytes: mebi(o.QuotaMiB)}
}

// mebi is a number of MiB in bytes. What is too large stays too large, for the
// library to refuse.
func mebi(n uint64) uint64 {
	if n > (1<<63)>>20 {
		return 1 << 63
	}
	return n << 20
}

// bindKind tells folders from files; what is not there is told by the library.
func (m *MountConfig) bindKind() C.int32_t {
	stat := os.Lstat
	if m.Follow {
		stat = os.Stat
	}
	if info, err := stat(m.Source); err == nil && !info.IsDir() && info.Mode()&os.ModeSymlink == 0 {
		return C.MSB_MOUNT_FILE
	}
	return C.MSB_MOUNT_DIR
}

func (a *arena) mount(target string, m MountConfig) unsafe.Pointer {
	p := a.alloc(C.sizeof_struct_msb_mount)
	o := (*C.struct_msb_mount)(p)
	o.size = C.sizeof_struct_msb_mount
	switch m.Kind {
	case MountBind:
		o.kind = m.bindKind()
	case MountDir:
		o.kind = C.MSB_MOUNT_DIR
	case MountFile:
		o.kind = C.MSB_MOUNT_FILE
	case MountNamed:
		o.kind = C.MSB_MOUNT_NAMED
	case MountTmpfs:
		o.kind = C.MSB_MOUNT_TMPFS
	case MountDisk:
		o.kind = C.MSB_MOUNT_DISK
	default:
		a.bad("mount of %s: %q is no kind of mount", target, string(m.Kind))
	}
	for flag, set := range map[C.uint32_t]bool{
		C.MSB_MOUNT_READ_ONLY: m.Readonly, C.MSB_MOUNT_NOEXEC: m.Noexec,
		C.MSB_MOUNT_NOSUID: m.Nosuid, C.MSB_MOUNT_NODEV: m.Nodev,
		C.MSB_MOUNT_FOLLOW: m.Follow, C.MSB_MOUNT_CREATE: m.Create,
		C.MSB_MOUNT_OWNER: m.Owner != nil,
	} {
		if set {
			o.flags |= flag
		}
	}
	if m.Owner != nil {
		o.uid, o.gid = C.uint32_t(m.Owner.UID), C.uint32_t(m.Owner.GID)
	}
	o.source = a.opt("the mount's source", m.Source)
	o.target = a.str("the mount's target", target)
	o.cache = C.int32_t(m.Cache)
	o.quota_bytes = C.uint64_t(m.QuotaBytes)
	o.size_bytes = C.uint64_t(m.SizeBytes)
	o.mode = C.uint32_t(m.Mode)
	o.volume_kind = C.int32_t(m.VolumeKind)
	o.format = a.opt("the mount's format", m.Format)
	o.fstype = a.opt("the mount's fstype", m.Fstype)
	return p
}

func (a *arena) mounts(mounts map[string]MountConfig) **C.struct_msb_mount {
	if len(mounts) == 0 {
		return nil
	}
	list := a.pointers(len(mounts))
	for i, target := range sortedKeys(mounts) {
		list[i] = a.mount(target, mounts[target])
	}
	return (**C.struct_msb_mount)(unsafe.Pointer(unsafe.SliceData(list)))
}

// diskReference writes the reference of a disk image.
func diskReference(cfg *SandboxConfig, path, fstype string) string {
	if path == "" {
		cfg.bad("the disk image's path is empty")
		return ""
	}
	if path[0] != '.' && path[0] != '/' {
		path = "./" + path
	}
	if fstype == "" {
		return path
	}
	format := "raw"
	if strings.EqualFold(filepath.Ext(path), ".qcow2") {
		format = "qcow2"
	}
	return path + ":format=" + format + ",fstype=" + fstype
}
