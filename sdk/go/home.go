package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"slices"
	"sync"
	"unsafe"
)

// Home is a folder where images, sandboxes, volumes and snapshots are kept.
// The functions of this package use one home of the process, which they open
// when it is first needed: MSB_HOME, else ~/.microsandbox. OpenHome is for
// programs that want another.
//
// A Home may be used by many goroutines at once.
type Home struct {
	h *handle
}

// OpenHome opens the home in this folder and creates what is missing in it.
// An empty path is MSB_HOME, else ~/.microsandbox.
func OpenHome(path string) (*Home, error) {
	c, err := begin(context.Background(), aboutNothing)
	if err != nil {
		return nil, err
	}
	defer c.end()
	cpath := c.opt("the home's path", path)
	var home *C.struct_msb_home
	if err := c.do(func() C.int { return C.msb_home_open(cpath, &home, &c.error) }); err != nil {
		return nil, err
	}
	return &Home{h: newHandle(unsafe.Pointer(home), func(p unsafe.Pointer) {
		C.msb_home_free((*C.struct_msb_home)(p))
	})}, nil
}

func (h *Home) c() *C.struct_msb_home { return (*C.struct_msb_home)(h.h.ptr) }

func (h *Home) handle() *handle {
	if h == nil {
		return nil
	}
	return h.h
}

// Path is the absolute path of the folder; "" of a home that was closed.
func (h *Home) Path() string {
	c, err := begin(context.Background(), aboutNothing, h.handle())
	if err != nil {
		return ""
	}
	defer c.end()
	return C.GoString(C.msb_home_path(h.c()))
}

// Close gives the home back. Sandboxes that came from it live on.
func (h *Home) Close() error {
	h.handle().close()
	return nil
}

var defaultHome struct {
	sync.Mutex
	home *Home
}

// DefaultHome is the home that the functions of this package use.
func DefaultHome() (*Home, error) {
	defaultHome.Lock()
	defer defaultHome.Unlock()
	if defaultHome.home == nil {
		home, err := OpenHome("")
		if err != nil {
			return nil, err
		}
		defaultHome.home = home
	}
	return defaultHome.home, nil
}

// CreateSandbox is Home.CreateSandbox in the home of the process.
func CreateSandbox(ctx context.Context, name string, opts ...SandboxOption) (*Sandbox, error) {
	return with(func(h *Home) (*Sandbox, error) { return h.CreateSandbox(ctx, name, opts...) })
}

// ConnectOrCreateSandbox gives the sandbox of that name as it is, or makes it; see
// Home.ConnectOrCreateSandbox.
func ConnectOrCreateSandbox(ctx context.Context, name string, opts ...SandboxOption) (*Sandbox, error) {
	return with(func(h *Home) (*Sandbox, error) { return h.ConnectOrCreateSandbox(ctx, name, opts...) })
}

// DefineSandbox is Home.DefineSandbox in the home of the process.
func DefineSandbox(ctx context.Context, name string, opts ...SandboxOption) (*SandboxHandle, error) {
	return with(func(h *Home) (*SandboxHandle, error) { return h.DefineSandbox(ctx, name, opts...) })
}

// StartSandbox is Home.StartSandbox in the home of the process.
func StartSandbox(ctx context.Context, name string, opts ...StartOption) (*Sandbox, error) {
	return with(func(h *Home) (*Sandbox, error) { return h.StartSandbox(ctx, name, opts...) })
}

// StartSandboxDetached starts a sandbox that outlives this process.
func StartSandboxDetached(ctx context.Context, name string, opts ...StartOption) (*Sandbox, error) {
	return StartSandbox(ctx, name, append(opts[:len(opts):len(opts)], WithStartDetached())...)
}

// RestartSandbox is Home.RestartSandbox in the home of the process.
func RestartSandbox(ctx context.Context, name string, opts ...StartOption) (*Sandbox, error) {
	return with(func(h *Home) (*Sandbox, error) { return h.RestartSandbox(ctx, name, opts...) })
}

// ConnectSandbox is Home.ConnectSandbox in the home of the process.
func ConnectSandbox(ctx context.Context, name string) (*Sandbox, error) {
	return with(func(h *Home) (*Sandbox, error) { return h.ConnectSandbox(ctx, name) })
}

// GetSandbox is Home.GetSandbox in the home of the process.
func GetSandbox(ctx context.Context, name string) (*SandboxHandle, error) {
	return with(func(h *Home) (*SandboxHandle, error) { return h.GetSandbox(ctx, name) })
}

// ListSandboxes is Home.ListSandboxes in the home of the process.
func ListSandboxes(ctx context.Context, labels ...string) ([]*SandboxHandle, error) {
	return with(func(h *Home) ([]*SandboxHandle, error) { return h.ListSandboxes(ctx, labels...) })
}

// SandboxFilter is which sandboxes ListSandboxesWith lists.
type SandboxFilter struct{ labels []string }

// NewSandboxFilter lets all of them pass.
func NewSandboxFilter() SandboxFilter { return SandboxFilter{} }

// WithLabels lets only those pass that have all of these labels.
func (f SandboxFilter) WithLabels(labels map[string]string) SandboxFilter {
	for k, v := range labels {
		f.labels = append(slices.Clone(f.labels), k+"="+v)
	}
	return f
}

// ListSandboxesWith lists the sandboxes on record that pass, by name.
func ListSandboxesWith(ctx context.Context, filter SandboxFilter) ([]*SandboxHandle, error) {
	return ListSandboxes(ctx, filter.labels...)
}

// InspectSandbox is Home.InspectSandbox in the home of the process.
func InspectSandbox(ctx context.Context, name string) (*SandboxInfo, error) {
	return with(func(h *Home) (*SandboxInfo, error) { return h.InspectSandbox(ctx, name) })
}

// RemoveSandbox is Home.RemoveSandbox in the home of the process.
func RemoveSandbox(ctx context.Context, name string, opts ...RemoveOption) error {
	return without(func(h *Home) error { return h.RemoveSandbox(ctx, name, opts...) })
}

// ModifySandbox is Home.ModifySandbox in the home of the process.
func ModifySandbox(ctx context.Context, name string, opts ModifyOptions) ([]Change, error) {
	return with(func(h *Home) ([]Change, error) { return h.ModifySandbox(ctx, name, opts) })
}

// PendingChanges is Home.PendingChanges in the home of the process.
func PendingChanges(ctx context.Context, name string) ([]Change, error) {
	return with(func(h *Home) ([]Change, error) { return h.PendingChanges(ctx, name) })
}

// AllSandboxMetrics is Home.AllSandboxMetrics in the home of the process.
func AllSandboxMetrics(ctx context.Context) (map[string]*Metrics, error) {
	return with(func(h *Home) (map[string]*Metrics, error) { return h.AllSandboxMetrics(ctx) })
}

// Logs is Home.Logs in the home of the process.
func Logs(ctx context.Context, name string, opts LogOptions) ([]LogEntry, error) {
	return with(func(h *Home) ([]LogEntry, error) { return h.Logs(ctx, name, opts) })
}

// FollowLogs is Home.LogStream in the home of the process.
func FollowLogs(ctx context.Context, name string, opts LogOptions) (*LogStream, error) {
	return with(func(h *Home) (*LogStream, error) { return h.LogStream(ctx, name, opts) })
}

// PullImage is Home.PullImage in the home of the process.
func PullImage(ctx context.Context, reference string, opts PullOptions) (*Image, error) {
	return with(func(h *Home) (*Image, error) { return h.PullImage(ctx, reference, opts) })
}

// GetImage is Home.GetImage in the home of the process.
func GetImage(ctx context.Context, reference string) (*Image, error) {
	return with(func(h *Home) (*Image, error) { return h.GetImage(ctx, reference) })
}

// ListImages is Home.ListImages in the home of the process.
func ListImages(ctx context.Context) ([]*Image, error) {
	return with(func(h *Home) ([]*Image, error) { return h.ListImages(ctx) })
}

// LoadImages is Home.LoadImages in the home of the process.
func LoadImages(ctx context.Context, path, tag string) ([]string, error) {
	return with(func(h *Home) ([]string, error) { return h.LoadImages(ctx, path, tag) })
}

// SaveImages is Home.SaveImages in the home of the process.
func SaveImages(ctx context.Context, references []string, path string, format ArchiveFormat) error {
	return without(func(h *Home) error { return h.SaveImages(ctx, references, path, format) })
}

// RemoveImage is Home.RemoveImage in the home of the process.
func RemoveImage(ctx context.Context, reference string) error {
	return without(func(h *Home) error { return h.RemoveImage(ctx, reference) })
}

// ImageUsers is Home.ImageUsers in the home of the process.
func ImageUsers(ctx context.Context, reference string) ([]string, error) {
	return with(func(h *Home) ([]string, error) { return h.ImageUsers(ctx, reference) })
}

// PruneImages is Home.PruneImages in the home of the process.
func PruneImages(ctx context.Context, all bool) (*PruneResult, error) {
	return with(func(h *Home) (*PruneResult, error) { return h.PruneImages(ctx, all) })
}

// CommitSandbox is Home.CommitSandbox in the home of the process.
func CommitSandbox(ctx context.Context, name, reference string, opts CommitOptions) (string, error) {
	return with(func(h *Home) (string, error) { return h.CommitSandbox(ctx, name, reference, opts) })
}

// CreateVolume is Home.CreateVolume in the home of the process.
func CreateVolume(ctx context.Context, name string, opts ...VolumeOption) (*Volume, error) {
	return with(func(h *Home) (*Volume, error) { return h.CreateVolume(ctx, name, opts...) })
}

// GetVolume is Home.GetVolume in the home of the process.
func GetVolume(ctx context.Context, name string) (*Volume, error) {
	return with(func(h *Home) (*Volume, error) { return h.GetVolume(ctx, name) })
}

// ListVolumes is Home.ListVolumes in the home of the process.
func ListVolumes(ctx context.Context) ([]*Volume, error) {
	return with(func(h *Home) ([]*Volume, error) { return h.ListVolumes(ctx) })
}

// RemoveVolume is Home.RemoveVolume in the home of the process.
func RemoveVolume(ctx context.Context, name string, opts ...RemoveOption) error {
	return without(func(h *Home) error { return h.RemoveVolume(ctx, name, opts...) })
}

// PruneVolumes is Home.PruneVolumes in the home of the process.
func PruneVolumes(ctx context.Context) (*PruneResult, error) {
	return with(func(h *Home) (*PruneResult, error) { return h.PruneVolumes(ctx) })
}

// CreateSnapshot is Home.CreateSnapshot in the home of the process.
func CreateSnapshot(ctx context.Context, sandbox, name string, opts SnapshotOptions) (*Snapshot, error) {
	return with(func(h *Home) (*Snapshot, error) { return h.CreateSnapshot(ctx, sandbox, name, opts) })
}

// GetSnapshot is Home.GetSnapshot in the home of the process.
func GetSnapshot(ctx context.Context, name string) (*Snapshot, error) {
	return with(func(h *Home) (*Snapshot, error) { return h.GetSnapshot(ctx, name) })
}

// ListSnapshots is Home.ListSnapshots in the home of the process.
func ListSnapshots(ctx context.Context) ([]*Snapshot, error) {
	return with(func(h *Home) ([]*Snapshot, error) { return h.ListSnapshots(ctx) })
}

// RemoveSnapshot is Home.RemoveSnapshot in the home of the process.
func RemoveSnapshot(ctx context.Context, name string) error {
	return without(func(h *Home) error { return h.RemoveSnapshot(ctx, name) })
}

// LoadSnapshot is Home.LoadSnapshot in the home of the process.
func LoadSnapshot(ctx context.Context, path, name string) (string, error) {
	return with(func(h *Home) (string, error) { return h.LoadSnapshot(ctx, path, name) })
}

// NetExplain is Home.NetExplain in the home of the process.
func NetExplain(ctx context.Context, name, host string, port uint16, protocol string) (*NetVerdict, error) {
	return with(func(h *Home) (*NetVerdict, error) {
		return h.NetExplain(ctx, name, host, port, protocol)
	})
}

// NetRules is Home.NetRules in the home of the process.
func NetRules(ctx context.Context, name string) (*NetPolicyInfo, error) {
	return with(func(h *Home) (*NetPolicyInfo, error) { return h.NetRules(ctx, name) })
}

// Ports is Home.Ports in the home of the process.
func Ports(ctx context.Context, name string) ([]PublishedPort, error) {
	return with(func(h *Home) ([]PublishedPort, error) { return h.Ports(ctx, name) })
}

func with[T any](fn func(*Home) (T, error)) (T, error) {
	home, err := DefaultHome()
	if err != nil {
		var none T
		return none, err
	}
	return fn(home)
}

func without(fn func(*Home) error) error {
	home, err := DefaultHome()
	if err != nil {
		return err
	}
	return fn(home)
}
