package microsandbox

import (
	"os"
	"time"
)

// integer is any type of whole numbers, so that options take what the program
// has and refuse what does not fit, instead of wrapping around.
type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// fit is n as a number from 0 to max.
func fit[T integer](cfg *SandboxConfig, what string, n T, max uint64) uint64 {
	if n < 0 || uint64(n) > max {
		cfg.bad("%s: %d is not from 0 to %d", what, n, max)
		return 0
	}
	return uint64(n)
}

// SandboxConfig is what the options of CreateSandbox fill. Most programs only
// use the options; WithConfig takes one that was filled directly. What is zero
// has its default.
type SandboxConfig struct {
	Image      string // a reference, or a path that begins with "." or "/"
	RootLive   bool   // Image is a folder, used itself and not as a copy
	Snapshot   string // in place of Image
	Ephemeral  bool   // nothing is left when it has ended, though it has a name
	Detached   bool
	Replace    bool
	ReplaceFor time.Duration // the grace of Replace

	CPUs        uint32
	MemoryBytes uint64
	UpperBytes  uint64
	UpperTmpfs  bool // what is written is in the guest's memory
	Engine      Engine
	Accel       Accel
	BootTimeout time.Duration
	MaxDuration time.Duration
	IdleTimeout time.Duration
	RuntimeLog  *os.File
	LogLevel    LogLevel

	Hostname   string
	Labels     map[string]string
	Env        map[string]string
	Rlimits    []Rlimit
	Workdir    string
	User       string
	Entrypoint *string
	Shell      string
	Scripts    map[string]string
	Init       *InitConfig
	Command    []string

	Mounts   map[string]MountConfig // by path in the guest
	Patches  []PatchConfig
	Ports    []PortBinding
	Network  *NetworkConfig
	Vsock    []string // HOST_PATH:PORT[/stream|/dgram]
	Secrets  []SecretEntry
	TLS      *TLSConfig
	Progress func(PullEvent)

	PullPolicy         PullPolicy
	RegistryInsecure   bool
	RegistryCACertFile string
	Platform           string

	err error
}

func (cfg *SandboxConfig) bad(format string, args ...any) {
	if cfg.err == nil {
		cfg.err = fail(ErrInvalidConfig, format, args...)
	}
}

// SandboxOption is an option of CreateSandbox.
type SandboxOption func(*SandboxConfig)

// WithConfig takes all of a configuration; options behind it change it.
func WithConfig(config SandboxConfig) SandboxOption {
	return func(cfg *SandboxConfig) {
		err := cfg.err
		*cfg = config
		if cfg.err == nil {
			cfg.err = err
		}
	}
}

// WithImage says what to run: an image reference ("python:3.12"), or a path
// that begins with "." or "/" of an archive, an OCI layout, a folder with a root
// file system (copied), or a disk image.
func WithImage(image string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Image = image }
}

// WithImageDisk takes a disk image as the root; its format is what its name
// ends in: .qcow2, .raw or .img. fstype may be "" for ext4.
func WithImageDisk(path, fstype string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Image = diskReference(cfg, path, fstype) }
}

// WithBindRootfs uses a folder of the host as the root, itself: nothing is
// copied, and nothing is written there.
func WithBindRootfs(path string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Image, cfg.RootLive = path, true }
}

// WithFromSnapshot starts from a snapshot, by name or digest, in place of an image.
func WithFromSnapshot(name string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Snapshot = name }
}

// WithSnapshot is WithFromSnapshot.
func WithSnapshot(name string) SandboxOption { return WithFromSnapshot(name) }

// WithCPUs sets how many processors the machine has.
func WithCPUs[T integer](n T) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.CPUs = uint32(fit(cfg, "CPUs", n, maxCPUs)) }
}

// WithMemory sets the machine's memory in MiB.
func WithMemory[T integer](mebibytes T) SandboxOption {
	return func(cfg *SandboxConfig) {
		cfg.MemoryBytes = fit(cfg, "memory in MiB", mebibytes, maxMemory>>20) << 20
	}
}

// WithMemoryBytes sets the machine's memory in bytes.
func WithMemoryBytes[T integer](n T) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.MemoryBytes = fit(cfg, "memory", n, maxMemory) }
}

// WithDiskSize sets how much can be written in the sandbox, in MiB.
func WithDiskSize[T integer](mebibytes T) SandboxOption {
	return func(cfg *SandboxConfig) {
		cfg.UpperBytes = fit(cfg, "disk size in MiB", mebibytes, 1<<40) << 20
	}
}

// RootDiskConfig says where that goes which is written in a sandbox; see RootDisk.
type RootDiskConfig struct {
	SizeMiB uint64 // 0: the default
	Tmpfs   bool
}

type rootDiskFactory struct{}

// RootDisk makes values for WithRootDisk.
var RootDisk rootDiskFactory

// Managed is a sparse disk of the sandbox's own.
func (rootDiskFactory) Managed(mebibytes uint64) RootDiskConfig {
	return RootDiskConfig{SizeMiB: mebibytes}
}

// Tmpfs is the guest's memory: what is written is gone when the sandbox stops.
func (rootDiskFactory) Tmpfs(mebibytes uint64) RootDiskConfig {
	return RootDiskConfig{SizeMiB: mebibytes, Tmpfs: true}
}

// WithRootDisk says where that goes which is written in the sandbox.
func WithRootDisk(disk RootDiskConfig) SandboxOption {
	return func(cfg *SandboxConfig) {
		cfg.UpperBytes = fit(cfg, "root disk in MiB", disk.SizeMiB, 1<<40) << 20
		cfg.UpperTmpfs = disk.Tmpfs
	}
}

// WithEphemeral leaves nothing of the sandbox when it has ended. One without a
// name is ephemeral anyway.
func WithEphemeral() SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Ephemeral = true }
}

// WithDetached lets the sandbox outlive this process.
func WithDetached() SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Detached = true }
}

// WithReplace stops and removes a sandbox of the same name before.
func WithReplace() SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Replace = true }
}

// WithReplaceWithTimeout is WithReplace with another grace than ten seconds.
func WithReplaceWithTimeout(grace time.Duration) SandboxOption {
	return func(cfg *SandboxConfig) {
		cfg.Replace = true
		cfg.ReplaceFor = max(grace, time.Millisecond)
		if grace < 0 {
			cfg.bad("replace timeout: %v is negative", grace)
		}
	}
}

// WithEngine says what runs the machine.
func WithEngine(engine Engine) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Engine = engine }
}

// WithAccel says how the qemu engine runs guest code.
func WithAccel(accel Accel) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Accel = accel }
}

// WithBootTimeout limits how long the machine may take to get ready.
func WithBootTimeout(d time.Duration) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.BootTimeout = d }
}

// WithMaxDuration ends the sandbox so long after it was ready, whatever it does.
func WithMaxDuration(d time.Duration) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.MaxDuration = d }
}

// WithIdleTimeout ends the sandbox when nothing ran in it for so long.
func WithIdleTimeout(d time.Duration) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.IdleTimeout = d }
}

// WithRuntimeLog has the machine's process write its log to this file.
func WithRuntimeLog(file *os.File, level LogLevel) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.RuntimeLog, cfg.LogLevel = file, level }
}

// WithLogLevel sets what WithRuntimeLog's file gets.
func WithLogLevel(level LogLevel) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.LogLevel = level }
}

// WithHostname sets the name that the guest has for itself.
func WithHostname(name string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Hostname = name }
}

// WithLabels adds labels, by which ListSandboxes finds the sandbox.
func WithLabels(labels map[string]string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Labels = merged(cfg.Labels, labels) }
}

// WithLabel adds one label.
func WithLabel(key, value string) SandboxOption {
	return WithLabels(map[string]string{key: value})
}

// WithEnv adds to the environment of the sandbox's commands.
func WithEnv(env map[string]string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Env = merged(cfg.Env, env) }
}

// WithRlimits limits the sandbox's commands.
func WithRlimits(limits ...Rlimit) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Rlimits = append(cfg.Rlimits, limits...) }
}

// WithWorkdir sets the folder where commands begin.
func WithWorkdir(path string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Workdir = path }
}

// WithUser sets whom commands run as: NAME, UID, NAME:GROUP or UID:GID.
func WithUser(user string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.User = user }
}

// WithEntrypoint replaces the image's ENTRYPOINT, and drops its CMD. It is one
// program: what has arguments is an error.
func WithEntrypoint(entrypoint ...string) SandboxOption {
	return func(cfg *SandboxConfig) {
		if len(entrypoint) != 1 {
			cfg.bad("entrypoint: %d words, and it is one program without arguments", len(entrypoint))
			return
		}
		cfg.Entrypoint = &entrypoint[0]
	}
}

// WithShell sets the shell of Shell and ShellStream; it is /bin/sh unless set.
func WithShell(path string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Shell = path }
}

// WithScripts puts programs, by name, into a folder that PATH has first.
func WithScripts(scripts map[string]string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Scripts = merged(cfg.Scripts, scripts) }
}

// InitConfig is another process 1 of the guest; see Init.
type InitConfig struct {
	Cmd  string
	Args []string
	Env  map[string]string
}

// InitOptions is more about a process 1.
type InitOptions struct {
	Args []string
	Env  map[string]string
}

type initFactory struct{}

// Init makes values for WithInit.
var Init initFactory

// Auto takes the first of /sbin/init and the usual places of systemd.
func (initFactory) Auto() InitConfig { return InitConfig{Cmd: "auto"} }

// Cmd is a path in the guest.
func (initFactory) Cmd(path string, opts InitOptions) InitConfig {
	return InitConfig{Cmd: path, Args: opts.Args, Env: opts.Env}
}

// WithInit hands process 1 to a program of the guest.
func WithInit(config InitConfig) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Init = &config }
}

// WithCommand sets the sandbox's main command, by docker's rules about
// ENTRYPOINT. StartSandbox runs it in the background, and the machine ends with
// it; CreateSandbox only keeps it.
func WithCommand(argv ...string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Command = append([]string{}, argv...) }
}

// WithMounts adds mounts, by path in the guest; see Mount.
func WithMounts(mounts map[string]MountConfig) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Mounts = merged(cfg.Mounts, mounts) }
}

// WithPatches adds changes to the image before the machine starts; see Patch.
func WithPatches(patches ...PatchConfig) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Patches = append(cfg.Patches, patches...) }
}

// WithPorts makes TCP ports of the guest reachable on 127.0.0.1: host to guest.
// Host port 0 takes any that is free; Sandbox.Ports tells which.
func WithPorts(ports map[uint16]uint16) SandboxOption { return withPorts(ports, PortProtocolTCP) }

// WithPortsUDP is WithPorts for UDP.
func WithPortsUDP(ports map[uint16]uint16) SandboxOption { return withPorts(ports, PortProtocolUDP) }

// WithPortBindings makes ports reachable on addresses of the host.
func WithPortBindings(ports ...PortBinding) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Ports = append(cfg.Ports, ports...) }
}

// WithNetwork sets what the sandbox may reach; see NetworkPolicy. nil is the
// default: the public internet.
func WithNetwork(network *NetworkConfig) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Network = network }
}

// WithVsock connects sockets of the host: HOST_PATH:PORT[/stream|/dgram].
func WithVsock(sockets ...string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Vsock = append(cfg.Vsock, sockets...) }
}

// WithSecrets adds secrets: the guest sees placeholders; see Secret.
func WithSecrets(secrets ...SecretEntry) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Secrets = append(cfg.Secrets, secrets...) }
}

// WithTLS sets how TLS is intercepted.
func WithTLS(tls TLSConfig) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.TLS = &tls }
}

// WithPullPolicy says when a registry is asked.
func WithPullPolicy(policy PullPolicy) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.PullPolicy = policy }
}

// WithPullProgress has fn told how the image's pull goes. It is called in the
// goroutine that creates the sandbox.
func WithPullProgress(fn func(PullEvent)) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.Progress = fn }
}

// WithRegistryInsecure allows plain HTTP, and TLS without verification.
func WithRegistryInsecure() SandboxOption {
	return func(cfg *SandboxConfig) { cfg.RegistryInsecure = true }
}

// WithRegistryCACertsPath trusts a PEM file besides the system's.
func WithRegistryCACertsPath(path string) SandboxOption {
	return func(cfg *SandboxConfig) { cfg.RegistryCACertFile = path }
}

func merged[V any](to, from map[string]V) map[string]V {
	out := make(map[string]V, len(to)+len(from))
	for k, v := range to {
		out[k] = v
	}
	for k, v := range from {
		out[k] = v
	}
	return out
}
