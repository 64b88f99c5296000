package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// MountInfo is a mount on record.
type MountInfo struct {
	Kind      string // dir, file, named, disk or tmpfs
	Source    string
	Target    string
	Readonly  bool
	SizeBytes uint64
}

// SecretInfo is a secret on record; its value is nowhere.
type SecretInfo struct {
	Env         string
	Source      string
	Placeholder string
	AllowHosts  []string
	OnViolation ViolationAction
}

// NetworkInfo is a network on record; NetRules has its rules in order.
type NetworkInfo struct {
	Disabled bool
	Profile  string
	Rules    []string
	Ports    []PortBinding
}

// SandboxInfo is what is on record about a sandbox.
type SandboxInfo struct {
	Name        string
	ID          string
	Image       string
	ImageID     string
	State       State
	CPUs        int
	MemoryBytes uint64
	UpperBytes  uint64
	DiskBytes   uint64 // what it occupies; only of InspectSandbox
	Kept        bool   // it stays on record until it is removed
	Detached    bool
	Labels      map[string]string
	Env         map[string]string
	Rlimits     []string
	Workdir     string
	User        string
	Hostname    string
	Entrypoint  string
	Shell       string
	Init        string
	Scripts     []string
	Command     []string
	Patches     []string
	Mounts      []MountInfo
	Secrets     []SecretInfo
	Network     *NetworkInfo
	MaxDuration time.Duration
	IdleTimeout time.Duration

	Engine   string // of the last start
	Accel    string
	Walls    []string
	Boundary string // what protects the user, in words
	PID      int    // of its process while it runs
	OwnerPID int    // of the process that it is attached to

	EndReason  string // poweroff, exited, killed, idle_timeout, max_duration, panic, crashed...
	EndMessage string
	ExitCode   int // of its main command; -1: none
	Created    time.Time
	Started    time.Time
	Ready      time.Time
	Ended      time.Time
}

var mountNames = []string{"", "dir", "file", "named", "disk", "tmpfs"}

func newInfo(p *C.struct_msb_sandbox_info) *SandboxInfo {
	i := &SandboxInfo{
		Name: C.GoString(p.name), ID: C.GoString(p.id), Image: C.GoString(p.image),
		ImageID: C.GoString(p.image_id), State: State(p.state), CPUs: int(p.cpus),
		MemoryBytes: uint64(p.memory_bytes), UpperBytes: uint64(p.upper_bytes),
		DiskBytes: uint64(p.disk_bytes), Kept: p.flags&C.MSB_SANDBOX_KEEP != 0,
		Detached: p.flags&C.MSB_SANDBOX_DETACHED != 0, Labels: goPairs(p.labels),
		Env: goPairs(p.env), Rlimits: goStrings(p.rlimits), Workdir: C.GoString(p.workdir),
		User: C.GoString(p.user), Hostname: C.GoString(p.hostname),
		Entrypoint: C.GoString(p.entrypoint), Shell: C.GoString(p.shell),
		Init: C.GoString(p.init), Scripts: goStrings(p.scripts), Command: goStrings(p.command),
		Patches:     goStrings(p.patches),
		MaxDuration: time.Duration(p.max_duration_s) * time.Second,
		IdleTimeout: time.Duration(p.idle_timeout_s) * time.Second,
		Engine:      C.GoString(p.engine), Accel: C.GoString(p.accel), Walls: goStrings(p.walls),
		Boundary: C.GoString(p.boundary), PID: int(p.pid), OwnerPID: int(p.owner_pid),
		EndReason: C.GoString(p.end_reason), EndMessage: C.GoString(p.end_message),
		ExitCode: int(p.exit_code), Created: unixMilli(int64(p.created_ms)),
		Started: unixMilli(int64(p.started_ms)), Ready: unixMilli(int64(p.ready_ms)),
		Ended: unixMilli(int64(p.ended_ms)),
	}
	each(unsafe.Pointer(p.mounts), func(at unsafe.Pointer) {
		m := (*C.struct_msb_mount)(at)
		i.Mounts = append(i.Mounts, MountInfo{Kind: name(mountNames, int(m.kind)),
			Source: C.GoString(m.source), Target: C.GoString(m.target),
			Readonly: m.flags&C.MSB_MOUNT_READ_ONLY != 0, SizeBytes: uint64(m.size_bytes)})
	})
	each(unsafe.Pointer(p.secrets), func(at unsafe.Pointer) {
		s := (*C.struct_msb_secret)(at)
		i.Secrets = append(i.Secrets, SecretInfo{Env: C.GoString(s.env), Source: C.GoString(s.source),
			Placeholder: C.GoString(s.placeholder), AllowHosts: goStrings(s.hosts),
			OnViolation: ViolationAction(s.violation)})
	})
	if p.network != nil {
		i.Network = newNetworkInfo(p.network)
	}
	return i
}

func newNetworkInfo(p *C.struct_msb_network) *NetworkInfo {
	n := &NetworkInfo{Disabled: p.flags&C.MSB_NET_DISABLED != 0, Profile: C.GoString(p.profile),
		Rules: goStrings(p.rules)}
	each(unsafe.Pointer(p.ports), func(at unsafe.Pointer) {
		port := (*C.struct_msb_port)(at)
		b := PortBinding{Bind: C.GoString(port.bind), HostPort: uint16(port.host),
			GuestPort: uint16(port.guest), Protocol: PortProtocolTCP}
		if port.flags&C.MSB_PORT_UDP != 0 {
			b.Protocol = PortProtocolUDP
		}
		n.Ports = append(n.Ports, b)
	})
	return n
}

// each calls fn for all pointers of a list that ends with NULL, or is NULL.
func each(list unsafe.Pointer, fn func(unsafe.Pointer)) {
	for ; list != nil; list = unsafe.Add(list, unsafe.Sizeof(uintptr(0))) {
		p := *(*unsafe.Pointer)(list)
		if p == nil {
			return
		}
		fn(p)
	}
}

// InspectSandbox tells what is on record about a sandbox, by name or id.
func (h *Home) InspectSandbox(ctx context.Context, name string) (*SandboxInfo, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.str("the name", name)
	var p *C.struct_msb_sandbox_info
	if err := c.do(func() C.int { return C.msb_sandbox_inspect(h.c(), cname, &p, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_sandbox_info_free(p)
	return newInfo(p), nil
}

// SandboxHandle is a sandbox on record, which may run or not. What it tells is
// as it was when the handle was made.
type SandboxHandle struct {
	home *Home
	info *SandboxInfo
}

// GetSandbox finds a sandbox on record, by name or id.
func (h *Home) GetSandbox(ctx context.Context, name string) (*SandboxHandle, error) {
	info, err := h.InspectSandbox(ctx, name)
	if err != nil {
		return nil, err
	}
	return &SandboxHandle{h, info}, nil
}

// ListSandboxes gives all sandboxes on record that have each of these labels
// (KEY or KEY=VALUE), by name.
func (h *Home) ListSandboxes(ctx context.Context, labels ...string) ([]*SandboxHandle, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	clabels := c.strs("a label", labels)
	var list *C.struct_msb_sandbox_list
	if err := c.do(func() C.int { return C.msb_sandbox_list(h.c(), clabels, &list, &c.error) }); err != nil {
		return nil, err
	}
	defer C.msb_sandbox_list_free(list)
	out := []*SandboxHandle{}
	for i := C.size_t(0); i < C.msb_sandbox_list_count(list); i++ {
		out = append(out, &SandboxHandle{h, newInfo(C.msb_sandbox_list_get(list, i))})
	}
	return out, nil
}

// Name is the sandbox's name.
func (s *SandboxHandle) Name() string { return s.info.Name }

// ID is the sandbox's id.
func (s *SandboxHandle) ID() string { return s.info.ID }

// Status is the state when it was looked up, as "running".
func (s *SandboxHandle) Status() SandboxStatus { return s.info.State.status() }

// Refresh looks it up again.
func (s *SandboxHandle) Refresh(ctx context.Context) (*SandboxHandle, error) {
	return s.home.GetSandbox(ctx, s.info.ID)
}

// WaitForStatus waits until it is in that state. It fails when there is no such
// sandbox any more.
func (s *SandboxHandle) WaitForStatus(ctx context.Context, status SandboxStatus) (*SandboxHandle, error) {
	for {
		now, err := s.Refresh(ctx)
		if err != nil || now.Status() == status {
			return now, err
		}
		select {
		case <-ctx.Done():
			return nil, cancelled(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ConnectOrStart gives a live handle; one that does not run is started.
func (s *SandboxHandle) ConnectOrStart(ctx context.Context, opts ...StartOption) (*Sandbox, error) {
	sb, err := s.Connect(ctx)
	if IsKind(err, ErrSandboxNotRunning) {
		return s.Start(ctx, opts...)
	}
	return sb, err
}

// RequestStop begins to stop it, and does not wait for the end.
func (s *SandboxHandle) RequestStop(ctx context.Context) error {
	sb, err := s.Connect(ctx)
	if IsKind(err, ErrSandboxNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return request(ctx, func() error {
		defer sb.Close()
		return sb.Stop(context.Background())
	})
}

// Metrics is its counters, when it runs.
func (s *SandboxHandle) Metrics(ctx context.Context) (m *Metrics, err error) {
	sb, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer sb.Close()
	return sb.Metrics(ctx)
}

// Destroy kills it if it runs, and takes it off the record.
func (s *SandboxHandle) Destroy(ctx context.Context) error {
	return s.Remove(ctx, WithForce())
}

// State is the state.
func (s *SandboxHandle) State() State { return s.info.State }

// CreatedAt is when it was put on record.
func (s *SandboxHandle) CreatedAt() time.Time { return s.info.Created }

// Info is all that is on record.
func (s *SandboxHandle) Info() *SandboxInfo { return s.info }

// Connect gives a live handle of one that runs; see Home.ConnectSandbox.
func (s *SandboxHandle) Connect(ctx context.Context) (*Sandbox, error) {
	return s.home.ConnectSandbox(ctx, s.info.ID)
}

// Start starts it; see Home.StartSandbox.
func (s *SandboxHandle) Start(ctx context.Context, opts ...StartOption) (*Sandbox, error) {
	return s.home.StartSandbox(ctx, s.info.ID, opts...)
}

// StartDetached starts it, and lets it outlive this process.
func (s *SandboxHandle) StartDetached(ctx context.Context, opts ...StartOption) (*Sandbox, error) {
	return s.Start(ctx, append(opts[:len(opts):len(opts)], WithStartDetached())...)
}

// Restart stops it, if it runs, and starts it again.
func (s *SandboxHandle) Restart(ctx context.Context, opts ...StartOption) (*Sandbox, error) {
	return s.home.RestartSandbox(ctx, s.info.ID, opts...)
}

// connected makes a live handle for one call; that it does not run is fine.
func (s *SandboxHandle) connected(ctx context.Context, fn func(*Sandbox) error) error {
	sb, err := s.Connect(ctx)
	if IsKind(err, ErrSandboxNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer sb.Close()
	return fn(sb)
}

// Stop shuts it down if it runs; see Sandbox.Stop.
func (s *SandboxHandle) Stop(ctx context.Context, opts ...StopOption) error {
	return s.connected(ctx, func(sb *Sandbox) error { return sb.Stop(ctx, opts...) })
}

// Kill ends it at once if it runs.
func (s *SandboxHandle) Kill(ctx context.Context) error {
	return s.connected(ctx, func(sb *Sandbox) error { return sb.Kill(ctx) })
}

// Remove takes it off the record; see Home.RemoveSandbox.
func (s *SandboxHandle) Remove(ctx context.Context, opts ...RemoveOption) error {
	return s.home.RemoveSandbox(ctx, s.info.ID, opts...)
}

// Modify changes it; see Home.ModifySandbox.
func (s *SandboxHandle) Modify(ctx context.Context, opts ModifyOptions) ([]Change, error) {
	return s.home.ModifySandbox(ctx, s.info.ID, opts)
}

// Snapshot keeps what was written in it; see Home.CreateSnapshot.
func (s *SandboxHandle) Snapshot(ctx context.Context, name string, opts ...SnapshotOptions) (*Snapshot, error) {
	return s.home.CreateSnapshot(ctx, s.info.ID, name, one(opts))
}

// Logs tells what its commands wrote; see Home.Logs.
func (s *SandboxHandle) Logs(ctx context.Context, opts LogOptions) ([]LogEntry, error) {
	return s.home.Logs(ctx, s.info.ID, opts)
}

// LogStream follows its logs; see Home.LogStream.
func (s *SandboxHandle) LogStream(ctx context.Context, opts LogOptions) (*LogStream, error) {
	return s.home.LogStream(ctx, s.info.ID, opts)
}

// RemoveOption is an option of what removes things.
type RemoveOption func(*removeConfig)

type removeConfig struct{ force bool }

// WithForce removes a sandbox that runs, too, or a volume that a sandbox on
// record mounts.
func WithForce() RemoveOption { return func(cfg *removeConfig) { cfg.force = true } }

func removing(opts []RemoveOption) removeConfig {
	var cfg removeConfig
	for _, o := range opts {
		o(&cfg)
	}
	return cfg
}

// RemoveSandbox takes a sandbox off the record, with all that was written in it:
// ErrSandboxStillRunning when it runs, unless WithForce is given.
func (h *Home) RemoveSandbox(ctx context.Context, name string, opts ...RemoveOption) error {
	var flags C.uint32_t
	if removing(opts).force {
		flags = C.MSB_REMOVE_FORCE
	}
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return err
	}
	defer c.end()
	cname := c.str("the name", name)
	return c.do(func() C.int { return C.msb_sandbox_remove(h.c(), cname, flags, &c.error) })
}

// Effect is when a change is seen.
type Effect string

// Effects.
const (
	EffectNow       Effect = "now"        // done, or the next command sees it
	EffectNextStart Effect = "next_start" // the machine runs on as it is until then
)

// Change is one thing that ModifySandbox changes.
type Change struct {
	Field  string // memory, env.PATH
	Before string // "" where there is none
	After  string
	Effect Effect
}

// ModifyOptions says what to change. What is zero or nil stays.
type ModifyOptions struct {
	DryRun        bool // only check and plan
	CPUs          uint32
	MemoryMiB     uint64
	MemoryBytes   uint64 // in place of MemoryMiB
	UpperBytes    uint64 // may only grow
	Env           map[string]string
	RemoveEnv     []string
	Labels        map[string]string
	RemoveLabels  []string
	Workdir       *string // "": as in the image
	User          *string
	Hostname      *string
	Shell         *string
	MaxDuration   *time.Duration // 0: no limit any more
	IdleTimeout   *time.Duration
	Secrets       []SecretEntry // added, or replaced by Env
	RemoveSecrets []string
}

func (a *arena) limit(what string, d *time.Duration) C.int32_t {
	if d == nil {
		return 0
	}
	s := a.seconds(what, *d)
	switch {
	case s == 0:
		return -1
	case s > 1<<31-1:
		a.bad("%s: %v is too long", what, *d)
		return 0
	}
	return C.int32_t(s)
}

func (c *call) modifyOpts(m *ModifyOptions) *C.struct_msb_modify_opts {
	o := (*C.struct_msb_modify_opts)(c.alloc(C.sizeof_struct_msb_modify_opts))
	o.size = C.sizeof_struct_msb_modify_opts
	o.dry_run = boolInt(m.DryRun)
	o.cpus = C.uint32_t(m.CPUs)
	o.memory_bytes = C.uint64_t(m.MemoryBytes)
	if m.MemoryBytes == 0 {
		o.memory_bytes = C.uint64_t(mebi(m.MemoryMiB))
	}
	o.upper_bytes = C.uint64_t(m.UpperBytes)
	o.env, o.env_rm = c.pairs("the environment", m.Env), c.strs("a variable", m.RemoveEnv)
	o.labels, o.labels_rm = c.pairs("a label", m.Labels), c.strs("a label", m.RemoveLabels)
	o.workdir, o.user = c.ptr("the workdir", m.Workdir), c.ptr("the user", m.User)
	o.hostname, o.shell = c.ptr("the hostname", m.Hostname), c.ptr("the shell", m.Shell)
	o.max_duration_s = c.limit("the maximum duration", m.MaxDuration)
	o.idle_timeout_s = c.limit("the idle timeout", m.IdleTimeout)
	o.secrets = c.secrets(m.Secrets)
	o.secrets_rm = c.strs("a secret", m.RemoveSecrets)
	return o
}

// ModifySandbox changes a sandbox, all or nothing, and tells what changes. What
// a machine that runs cannot change waits for its next start.
func (h *Home) ModifySandbox(ctx context.Context, name string, opts ModifyOptions) ([]Change, error) {
	return h.plan(ctx, name, func(c *call, name *C.char, plan **C.struct_msb_plan) C.int {
		o := c.modifyOpts(&opts)
		if c.err != nil {
			return c.refuse()
		}
		return C.msb_sandbox_modify(h.c(), name, o, plan, &c.error)
	})
}

// PendingChanges tells what waits for the next start of a sandbox that runs.
func (h *Home) PendingChanges(ctx context.Context, name string) ([]Change, error) {
	return h.plan(ctx, name, func(c *call, name *C.char, plan **C.struct_msb_plan) C.int {
		return C.msb_sandbox_pending(h.c(), name, plan, &c.error)
	})
}

func (h *Home) plan(ctx context.Context, name string, fn func(*call, *C.char, **C.struct_msb_plan) C.int) ([]Change, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.str("the name", name)
	var plan *C.struct_msb_plan
	if err := c.do(func() C.int { return fn(c, cname, &plan) }); err != nil {
		return nil, err
	}
	defer C.msb_plan_free(plan)
	out := []Change{}
	for i := C.size_t(0); i < C.msb_plan_count(plan); i++ {
		p := C.msb_plan_get(plan, i)
		change := Change{Field: C.GoString(p.field), Before: C.GoString(p.before),
			After: C.GoString(p.after), Effect: EffectNow}
		if p.effect == C.MSB_EFFECT_NEXT_START {
			change.Effect = EffectNextStart
		}
		out = append(out, change)
	}
	return out, nil
}

// Pending is Home.PendingChanges for this sandbox.
func (s *Sandbox) Pending(ctx context.Context) ([]Change, error) {
	return s.home.PendingChanges(ctx, s.id)
}

// String shows a change on one line.
func (c Change) String() string {
	return strings.Join([]string{c.Field, strconv.Quote(c.Before), "->", strconv.Quote(c.After),
		string(c.Effect)}, " ")
}
