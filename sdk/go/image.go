package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Image is what an image is, and says about its command.
type Image struct {
	Reference    string // docker.io/library/x:latest, or a path
	ID           string // the manifest's digest; "" for folders
	Platform     string // linux/amd64
	SizeBytes    uint64
	Created      time.Time // zero: unknown
	Pulled       time.Time
	Layers       []string // digests of the uncompressed layers
	LayerCount   int
	Entrypoint   []string
	Cmd          []string
	Env          []string // KEY=VALUE
	Workdir      string
	User         string
	StopSignal   string
	ConfigJSON   string // as received
	ConfigDigest string

	home *Home
}

// PullEventKind says what a PullEvent is about.
type PullEventKind int

// Kinds of pull events.
const (
	PullResolving PullEventKind = iota // asking the registry, reading the archive
	PullResolved                       // LayerCount and Total are known
	PullLayer                          // Done of Total bytes of one layer
	PullLayerDone                      // Cached: it was here already
	PullMerging
	PullDone
)

var pullNames = []string{"resolving", "resolved", "layer", "layer_done", "merging", "done"}

// String is the kind's name, as "layer_done".
func (k PullEventKind) String() string { return name(pullNames, int(k)) }

// PullEvent tells how a pull goes.
type PullEvent struct {
	Kind       PullEventKind
	Reference  string
	Digest     string // of the layer
	Layer      int
	LayerCount int
	Done       uint64 // compressed bytes
	Total      uint64 // 0: unknown
	Cached     bool
}

// PullOptions is more about a pull.
type PullOptions struct {
	Policy     PullPolicy
	Force      bool // fetch and convert again
	Insecure   bool // plain HTTP, or TLS without verification
	CACertFile string
	Platform   string          // "": this machine's
	Downloads  uint32          // at once; 0: 4
	Live       bool            // a folder is used itself, not a copy of it
	Progress   func(PullEvent) // called in the goroutine that pulls
}

//export msbgo_on_pull
func msbgo_on_pull(arg unsafe.Pointer, ev *C.struct_msb_pull_event) C.int {
	e := eventsOf(arg)
	return e.guarded(func() bool {
		return e.pull(PullEvent{Kind: PullEventKind(ev.kind), Reference: C.GoString(ev.reference),
			Digest: C.GoString(ev.digest), Layer: int(ev.layer), LayerCount: int(ev.layer_count),
			Done: uint64(ev.done), Total: uint64(ev.total), Cached: ev.cached != 0})
	})
}

// observed runs fn in another goroutine, and progress in this one, with what fn
// gives to tell. Events come from threads of the library, which must not wait
// for progress, nor run into its panics.
func observed(progress func(PullEvent), cancel func(), fn func(tell func(PullEvent) bool) error) error {
	queue, result := make(chan PullEvent, 64), make(chan error, 1)
	go func() {
		err := fn(func(ev PullEvent) bool {
			select {
			case queue <- ev:
			default: // it is slow: of layers it sees less
				if ev.Kind != PullLayer {
					queue <- ev
				}
			}
			return true
		})
		close(queue)
		result <- err
	}()
	finished := false
	defer func() {
		if !finished { // progress panics: end the pull before that goes on
			cancel()
			for range queue {
			}
			<-result
		}
	}()
	for ev := range queue {
		progress(ev)
	}
	finished = true
	return <-result
}

// pull makes an image usable and gives its handle.
func (h *Home) pull(ctx context.Context, reference string, opts PullOptions) (*handle, error) {
	var p *C.struct_msb_image
	do := func(ctx context.Context, tell func(PullEvent) bool) error {
		c, err := begin(ctx, aboutImage, h.handle())
		if err != nil {
			return err
		}
		defer c.end()
		cref := c.str("the reference", reference)
		o, done := c.pullOpts(opts, tell)
		defer done()
		return c.do(func() C.int { return C.msb_image_pull(h.c(), cref, o, &p, &c.error) })
	}
	if err := observing(ctx, opts.Progress, do); err != nil {
		return nil, err
	}
	return newHandle(unsafe.Pointer(p), func(p unsafe.Pointer) {
		C.msb_image_free((*C.struct_msb_image)(p))
	}), nil
}

func observing(ctx context.Context, progress func(PullEvent), do func(context.Context, func(PullEvent) bool) error) error {
	if progress == nil || ctx == nil {
		return do(ctx, nil)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	return observed(progress, cancel, func(tell func(PullEvent) bool) error { return do(inner, tell) })
}

func (c *call) pullOpts(opts PullOptions, tell func(PullEvent) bool) (*C.struct_msb_pull_opts, func()) {
	o := (*C.struct_msb_pull_opts)(c.alloc(C.sizeof_struct_msb_pull_opts))
	o.size = C.sizeof_struct_msb_pull_opts
	policy, err := opts.Policy.number()
	if err != nil && c.err == nil {
		c.err = err
	}
	o.policy = C.int32_t(policy)
	o.force, o.insecure = boolInt(opts.Force), boolInt(opts.Insecure)
	o.downloads = C.uint32_t(opts.Downloads)
	o.ca_certs = c.opt("the CA certificates", opts.CACertFile)
	o.platform = c.opt("the platform", opts.Platform)
	if opts.Live {
		o.root = C.MSB_ROOT_LIVE
	}
	if tell == nil {
		return o, func() {}
	}
	handle := cgo.NewHandle(&events{pull: tell})
	o.event = C.msb_pull_event_fn(C.msbgo_tell_pull)
	setArg(&o.event_arg, handle)
	return o, handle.Delete
}

func (h *Home) newImage(p *C.struct_msb_image) *Image {
	i := C.msb_image_info(p)
	return &Image{
		Reference: C.GoString(i.reference), ID: C.GoString(i.id), Platform: C.GoString(i.platform),
		SizeBytes: uint64(i.size_bytes), Created: unixTime(int64(i.created_unix)),
		Pulled: unixTime(int64(i.pulled_unix)), Layers: goStrings(i.layers),
		LayerCount: int(i.layer_count), Entrypoint: goStrings(i.entrypoint), Cmd: goStrings(i.cmd),
		Env: goStrings(i.env), Workdir: C.GoString(i.workdir), User: C.GoString(i.user),
		StopSignal: C.GoString(i.stop_signal), ConfigJSON: C.GoString(i.config_json),
		ConfigDigest: C.GoString(i.config_digest), home: h,
	}
}

func unixTime(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// PullImage makes an image usable: of a registry, an archive, a folder or a
// disk image; see WithImage.
func (h *Home) PullImage(ctx context.Context, reference string, opts PullOptions) (*Image, error) {
	image, err := h.pull(ctx, reference, opts)
	if err != nil {
		return nil, err
	}
	defer image.close()
	return h.newImage((*C.struct_msb_image)(image.ptr)), nil
}

// GetImage finds an image by reference, or by (the beginning of) its id.
func (h *Home) GetImage(ctx context.Context, reference string) (*Image, error) {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cref := c.str("the reference", reference)
	var p *C.struct_msb_image
	if err := c.do(func() C.int { return C.msb_image_open(h.c(), cref, &p, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_image_free(p)
	return h.newImage(p), nil
}

// ListImages gives all images, by reference.
func (h *Home) ListImages(ctx context.Context) ([]*Image, error) {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	var list **C.struct_msb_image
	var n C.size_t
	if err := c.do(func() C.int { return C.msb_image_list(h.c(), &list, &n, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_image_list_free(list, n)
	out := make([]*Image, 0, int(n))
	for _, p := range unsafe.Slice(list, int(n)) {
		out = append(out, h.newImage(p))
	}
	return out, nil
}

// LoadImages reads all images of an archive, or an OCI layout folder, and gives
// their references. tag, if not "", names the only image.
func (h *Home) LoadImages(ctx context.Context, path, tag string) ([]string, error) {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cpath, ctag := c.str("the path", path), c.opt("the tag", tag)
	var list **C.char
	if err := c.do(func() C.int {
		return C.msb_image_load(h.c(), cpath, ctag, nil, &list, &c.error)
	}); err != nil {
		return nil, err
	}
	defer C.msb_strings_free(list)
	return goStrings(list), nil
}

// ArchiveFormat is how SaveImages writes.
type ArchiveFormat int

// Formats of archives.
const (
	ArchiveDocker ArchiveFormat = iota
	ArchiveOCI
)

// SaveImages writes images to an archive that docker, podman and LoadImages read.
func (h *Home) SaveImages(ctx context.Context, references []string, path string, format ArchiveFormat) error {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	refs, cpath := c.list("the reference", references), c.str("the path", path)
	o := (*C.struct_msb_save_opts)(c.alloc(C.sizeof_struct_msb_save_opts))
	o.size, o.format = C.sizeof_struct_msb_save_opts, C.int32_t(format)
	return c.do(func() C.int { return C.msb_image_save(h.c(), refs, o, cpath, &c.error) })
}

// RemoveImage drops the name. Content that nothing else needs goes with
// PruneImages; sandboxes keep what they are made of.
func (h *Home) RemoveImage(ctx context.Context, reference string) error {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cref := c.str("the reference", reference)
	return c.do(func() C.int { return C.msb_image_remove(h.c(), cref, &c.error) })
}

// ImageUsers names the sandboxes that are made of an image.
func (h *Home) ImageUsers(ctx context.Context, reference string) ([]string, error) {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cref := c.str("the reference", reference)
	var list **C.char
	if err := c.do(func() C.int { return C.msb_image_users(h.c(), cref, &list, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_strings_free(list)
	return goStrings(list), nil
}

// PruneResult is what a prune did.
type PruneResult struct {
	FreedBytes        uint64
	RemovedReferences uint32   // of images
	Names             []string // of volumes
}

// PruneImages drops all content that no name reaches; with all every name before.
func (h *Home) PruneImages(ctx context.Context, all bool) (*PruneResult, error) {
	c, err := begin(ctx, aboutImage, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	var freed C.uint64_t
	var removed C.uint32_t
	if err := c.do(func() C.int {
		return C.msb_image_prune(h.c(), C.int(boolInt(all)), &freed, &removed, &c.error)
	}); err != nil {
		return nil, err
	}
	return &PruneResult{FreedBytes: uint64(freed), RemovedReferences: uint32(removed)}, nil
}

// Remove is RemoveImage for this image.
func (i *Image) Remove(ctx context.Context) error { return i.home.RemoveImage(ctx, i.Reference) }

// Users is ImageUsers for this image.
func (i *Image) Users(ctx context.Context) ([]string, error) {
	return i.home.ImageUsers(ctx, i.Reference)
}

// Save is SaveImages for this image.
func (i *Image) Save(ctx context.Context, path string, format ArchiveFormat) error {
	return i.home.SaveImages(ctx, []string{i.Reference}, path, format)
}

// CommitOptions is more about a commit.
type CommitOptions struct {
	Author  string
	Message string
	Changes []string // as in a Dockerfile: CMD ["sh"], ENV A=b, USER x...
}

// CommitSandbox makes an image of a sandbox and what was written in it, and
// gives its id.
func (h *Home) CommitSandbox(ctx context.Context, name, reference string, opts CommitOptions) (string, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return "", err
	}
	defer c.end()
	cname, cref := c.str("the name", name), c.str("the reference", reference)
	o := (*C.struct_msb_commit_opts)(c.alloc(C.sizeof_struct_msb_commit_opts))
	o.size = C.sizeof_struct_msb_commit_opts
	o.author, o.message = c.opt("the author", opts.Author), c.opt("the message", opts.Message)
	o.changes = c.strs("a change", opts.Changes)
	var id *C.char
	if err := c.do(func() C.int {
		return C.msb_image_commit(h.c(), cname, cref, o, &id, &c.error)
	}); err != nil {
		return "", err
	}
	defer C.msb_free(unsafe.Pointer(id))
	return C.GoString(id), nil
}
