package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// VolumeKind is what a volume is.
type VolumeKind int

// Kinds of volumes.
const (
	VolumeDir  VolumeKind = iota // a folder; several sandboxes at once
	VolumeDisk                   // a disk (ext4); one sandbox at a time
)

// String is dir or disk.
func (k VolumeKind) String() string { return name([]string{"dir", "disk"}, int(k)) }

// VolumeHandle is Volume, as the Rust system's SDK calls one on record.
type VolumeHandle = Volume

// Volume is a volume on record. What it tells is as it was when it was read.
type Volume struct {
	home  *Home
	name  string
	path  string
	kind  VolumeKind
	size  uint64
	used  uint64
	made  time.Time
	users []string
	inUse bool
}

// Name is the volume's name.
func (v *Volume) Name() string { return v.name }

// Path is the folder of the host, or the disk's file.
func (v *Volume) Path() string { return v.path }

// Kind is what it is.
func (v *Volume) Kind() VolumeKind { return v.kind }

// SizeBytes is the quota, or the disk's size; 0: no quota.
func (v *Volume) SizeBytes() uint64 { return v.size }

// QuotaMiB is SizeBytes in MiB.
func (v *Volume) QuotaMiB() uint64 { return v.size >> 20 }

// UsedBytes is what it takes on the host.
func (v *Volume) UsedBytes() uint64 { return v.used }

// CreatedAt is when it was made.
func (v *Volume) CreatedAt() time.Time { return v.made }

// Users names the sandboxes on record that mount it.
func (v *Volume) Users() []string { return v.users }

// InUse says whether a machine has it mounted now.
func (v *Volume) InUse() bool { return v.inUse }

// Remove is RemoveVolume for this volume.
func (v *Volume) Remove(ctx context.Context, opts ...RemoveOption) error {
	return v.home.RemoveVolume(ctx, v.name, opts...)
}

// VolumeOption is an option of CreateVolume.
type VolumeOption func(*volumeConfig)

type volumeConfig struct {
	kind VolumeKind
	size uint64
}

// WithVolumeQuota bounds a folder, in MiB.
func WithVolumeQuota(mebibytes uint64) VolumeOption {
	return func(cfg *volumeConfig) { cfg.size = mebi(mebibytes) }
}

// WithVolumeDisk makes it a disk of so many MiB.
func WithVolumeDisk(mebibytes uint64) VolumeOption {
	return func(cfg *volumeConfig) { cfg.kind, cfg.size = VolumeDisk, mebi(mebibytes) }
}

// WithVolumeKind sets what it is.
func WithVolumeKind(kind VolumeKind) VolumeOption {
	return func(cfg *volumeConfig) { cfg.kind = kind }
}

// WithVolumeBytes sets the quota, or the disk's size, in bytes.
func WithVolumeBytes(n uint64) VolumeOption { return func(cfg *volumeConfig) { cfg.size = n } }

// CreateVolume makes a volume. It stays until RemoveVolume.
func (h *Home) CreateVolume(ctx context.Context, name string, opts ...VolumeOption) (*Volume, error) {
	var cfg volumeConfig
	for _, o := range opts {
		o(&cfg)
	}
	if err := h.createVolume(ctx, name, cfg); err != nil {
		return nil, err
	}
	return h.GetVolume(ctx, name)
}

func (h *Home) createVolume(ctx context.Context, name string, cfg volumeConfig) error {
	c, err := begin(ctx, aboutVolume, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cname := c.str("the name", name)
	o := (*C.struct_msb_volume_opts)(c.alloc(C.sizeof_struct_msb_volume_opts))
	o.size, o.kind, o.size_bytes = C.sizeof_struct_msb_volume_opts, C.int32_t(cfg.kind), C.uint64_t(cfg.size)
	return c.do(func() C.int { return C.msb_volume_create(h.c(), cname, o, &c.error) })
}

// GetVolume finds a volume.
func (h *Home) GetVolume(ctx context.Context, name string) (*Volume, error) {
	if name == "" {
		return nil, fail(ErrInvalidConfig, "the volume's name is empty")
	}
	list, err := h.volumes(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(ErrVolumeNotFound, "there is no volume %s", name)
	}
	return list[0], nil
}

// ListVolumes gives all volumes, by name.
func (h *Home) ListVolumes(ctx context.Context) ([]*Volume, error) { return h.volumes(ctx, "") }

func (h *Home) volumes(ctx context.Context, name string) ([]*Volume, error) {
	c, err := begin(ctx, aboutVolume, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.opt("the name", name)
	var list *C.struct_msb_volumes
	if err := c.do(func() C.int { return C.msb_volume_list(h.c(), cname, &list, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_volumes_free(list)
	out := []*Volume{}
	for i := C.size_t(0); i < C.msb_volumes_count(list); i++ {
		p := C.msb_volumes_get(list, i)
		out = append(out, &Volume{home: h, name: C.GoString(p.name), path: C.GoString(p.path),
			kind: VolumeKind(p.kind), size: uint64(p.size_bytes), used: uint64(p.used_bytes),
			made: unixMilli(int64(p.created_ms)), users: goStrings(p.users), inUse: p.in_use != 0})
	}
	return out, nil
}

// RemoveVolume removes a volume and all in it: ErrVolumeInUse when a machine has
// it mounted, or a sandbox on record mounts it and WithForce is not given.
func (h *Home) RemoveVolume(ctx context.Context, name string, opts ...RemoveOption) error {
	force := C.int(boolInt(removing(opts).force))
	c, err := begin(ctx, aboutVolume, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cname := c.str("the name", name)
	return c.do(func() C.int { return C.msb_volume_remove(h.c(), cname, force, &c.error) })
}

// PruneVolumes removes all volumes that no sandbox on record mounts.
func (h *Home) PruneVolumes(ctx context.Context) (*PruneResult, error) {
	c, err := begin(ctx, aboutVolume, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	var names **C.char
	var freed C.uint64_t
	if err := c.do(func() C.int {
		return C.msb_volume_prune(h.c(), &names, &freed, &c.error)
	}); err != nil {
		return nil, err
	}
	defer C.msb_strings_free(names)
	return &PruneResult{FreedBytes: uint64(freed), Names: goStrings(names)}, nil
}

// Snapshot is what was written in a sandbox, under a name, with its image.
type Snapshot struct {
	Name      string
	Digest    string // its identity
	Image     string
	ImageID   string
	Sandbox   string // whose it was
	Parent    string // the digest of the one below, or ""
	Content   string // the digest of the content, or ""
	SizeBytes uint64 // of the disk
	UsedBytes uint64 // on the host, of its own
	Created   time.Time
	Labels    map[string]string
	Path      string

	home *Home
}

// one is the options of a call that may have none.
func one[T any](opts []T) (o T) {
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	return o
}

// SnapshotOptions is more about a snapshot.
type SnapshotOptions struct {
	Labels    map[string]string
	Replace   bool // one of the same name goes
	Integrity bool // keep the content's digest, too: reads it all
}

// CreateSnapshot keeps what was written in a sandbox that does not run:
// ErrSnapshotSandboxRunning. No data is copied.
func (h *Home) CreateSnapshot(ctx context.Context, sandbox, name string, opts SnapshotOptions) (*Snapshot, error) {
	if err := h.createSnapshot(ctx, sandbox, name, &opts); err != nil {
		return nil, err
	}
	return h.GetSnapshot(ctx, name)
}

func (h *Home) createSnapshot(ctx context.Context, sandbox, name string, opts *SnapshotOptions) error {
	c, err := begin(ctx, aboutSnapshot, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	csandbox, cname := c.str("the sandbox's name", sandbox), c.str("the name", name)
	o := (*C.struct_msb_snapshot_opts)(c.alloc(C.sizeof_struct_msb_snapshot_opts))
	o.size = C.sizeof_struct_msb_snapshot_opts
	o.labels = c.pairs("a label", opts.Labels)
	if opts.Replace {
		o.flags |= C.MSB_SNAPSHOT_REPLACE
	}
	if opts.Integrity {
		o.flags |= C.MSB_SNAPSHOT_INTEGRITY
	}
	return c.do(func() C.int { return C.msb_snapshot_create(h.c(), csandbox, cname, o, &c.error) })
}

// GetSnapshot finds a snapshot, by name or (the beginning of) its digest.
func (h *Home) GetSnapshot(ctx context.Context, name string) (*Snapshot, error) {
	if name == "" {
		return nil, fail(ErrInvalidConfig, "the snapshot's name is empty")
	}
	list, err := h.snapshots(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(ErrSnapshotNotFound, "there is no snapshot %s", name)
	}
	return list[0], nil
}

// ListSnapshots gives all snapshots, by name.
func (h *Home) ListSnapshots(ctx context.Context) ([]*Snapshot, error) { return h.snapshots(ctx, "") }

func (h *Home) snapshots(ctx context.Context, name string) ([]*Snapshot, error) {
	c, err := begin(ctx, aboutSnapshot, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.opt("the name", name)
	var list *C.struct_msb_snapshots
	if err := c.do(func() C.int { return C.msb_snapshot_list(h.c(), cname, &list, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_snapshots_free(list)
	out := []*Snapshot{}
	for i := C.size_t(0); i < C.msb_snapshots_count(list); i++ {
		p := C.msb_snapshots_get(list, i)
		out = append(out, &Snapshot{Name: C.GoString(p.name), Digest: C.GoString(p.digest),
			Image: C.GoString(p.image), ImageID: C.GoString(p.image_id),
			Sandbox: C.GoString(p.sandbox), Parent: C.GoString(p.parent),
			Content: C.GoString(p.content), SizeBytes: uint64(p.size_bytes),
			UsedBytes: uint64(p.used_bytes), Created: unixMilli(int64(p.created_ms)),
			Labels: goPairs(p.labels), Path: C.GoString(p.path), home: h})
	}
	return out, nil
}

// snapshotCall makes a call about one snapshot.
func (h *Home) snapshotCall(ctx context.Context, name string, fn func(c *call, name *C.char) C.int) error {
	c, err := begin(ctx, aboutSnapshot, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cname := c.str("the name", name)
	return c.do(func() C.int { return fn(c, cname) })
}

// RemoveSnapshot drops the name; what a sandbox or another snapshot needs stays.
func (h *Home) RemoveSnapshot(ctx context.Context, name string) error {
	return h.snapshotCall(ctx, name, func(c *call, name *C.char) C.int {
		return C.msb_snapshot_remove(h.c(), name, &c.error)
	})
}

// VerifySnapshot reads all of a snapshot and compares: ErrSnapshotIntegrity.
func (h *Home) VerifySnapshot(ctx context.Context, name string) error {
	return h.snapshotCall(ctx, name, func(c *call, name *C.char) C.int {
		return C.msb_snapshot_verify(h.c(), name, &c.error)
	})
}

// SnapshotImage is what a snapshot was written over.
func (h *Home) SnapshotImage(ctx context.Context, name string) (*Image, error) {
	var image *Image
	err := h.snapshotCall(ctx, name, func(c *call, name *C.char) C.int {
		var p *C.struct_msb_image
		r := C.msb_snapshot_image(h.c(), name, &p, &c.error)
		if r >= 0 {
			image = h.newImage(p)
			C.msb_image_free(p)
		}
		return r
	})
	return image, err
}

// SnapshotSaveOptions is more about a saved snapshot.
type SnapshotSaveOptions struct {
	WithImage bool // the image's layers, too
	Plain     bool // a plain tar, not tar.zst
}

// SaveSnapshot writes a snapshot to one file, which LoadSnapshot reads anywhere.
func (h *Home) SaveSnapshot(ctx context.Context, name, path string, opts SnapshotSaveOptions) error {
	var flags C.uint32_t
	if opts.WithImage {
		flags |= C.MSB_SNAPSHOT_WITH_IMAGE
	}
	if opts.Plain {
		flags |= C.MSB_SNAPSHOT_PLAIN
	}
	return h.snapshotCall(ctx, name, func(c *call, name *C.char) C.int {
		cpath := c.str("the path", path)
		if c.err != nil {
			return c.refuse()
		}
		return C.msb_snapshot_save(h.c(), name, cpath, flags, &c.error)
	})
}

// LoadSnapshot reads a snapshot from a file, under this name or, if that is "",
// as it was called; it gives the name.
func (h *Home) LoadSnapshot(ctx context.Context, path, name string) (string, error) {
	c, err := begin(ctx, aboutSnapshot, h.handle())
	if err != nil {
		return "", err
	}
	defer c.end()
	cpath, cname := c.str("the path", path), c.opt("the name", name)
	var got *C.char
	if err := c.do(func() C.int {
		return C.msb_snapshot_load(h.c(), cpath, cname, &got, &c.error)
	}); err != nil {
		return "", err
	}
	defer C.msb_free(unsafe.Pointer(got))
	return C.GoString(got), nil
}

// Verify is VerifySnapshot for this one.
func (s *Snapshot) Verify(ctx context.Context) error { return s.home.VerifySnapshot(ctx, s.Name) }

// Remove is RemoveSnapshot for this one.
func (s *Snapshot) Remove(ctx context.Context) error { return s.home.RemoveSnapshot(ctx, s.Name) }

// Save is SaveSnapshot for this one.
func (s *Snapshot) Save(ctx context.Context, path string, opts SnapshotSaveOptions) error {
	return s.home.SaveSnapshot(ctx, s.Name, path, opts)
}
