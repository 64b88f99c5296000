package microsandbox

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits of the library.
const (
	maxCPUs   = 64
	maxMemory = 1 << 40
)

// Engine is what runs a machine's processors and memory.
type Engine int

// Engines.
const (
	EngineDefault Engine = iota // MSB_ENGINE, else config.json, else auto
	EngineAuto                  // kvm where it is real, else qemu
	EngineKVM                   // our own machine monitor on /dev/kvm
	EngineQEMU
)

// Accel is how the qemu engine runs guest code.
type Accel int

// Accelerators.
const (
	AccelDefault Accel = iota
	AccelTCG           // emulation in software
	AccelKVM
	AccelAuto
)

// State is what a sandbox does.
type State int

// States.
const (
	StateStarting State = iota
	StateReady
	StateFailed  // it never got ready
	StateStopped // it ended
	StateCreated // on record, never started
	StateCrashed // it ended, and not because it was asked to
)

var stateNames = []string{"starting", "ready", "failed", "stopped", "created", "crashed"}

// String is the state's name, as "ready".
func (s State) String() string { return name(stateNames, int(s)) }

// SandboxStatus is a State by the names that the command line and the Rust
// system's SDK show.
type SandboxStatus string

// Statuses.
const (
	SandboxStatusCreated  SandboxStatus = "created"
	SandboxStatusStarting SandboxStatus = "starting"
	SandboxStatusRunning  SandboxStatus = "running" // StateReady
	SandboxStatusStopped  SandboxStatus = "stopped"
	SandboxStatusCrashed  SandboxStatus = "crashed"
	SandboxStatusFailed   SandboxStatus = "failed"
)

func (s State) status() SandboxStatus {
	if s == StateReady {
		return SandboxStatusRunning
	}
	return SandboxStatus(s.String())
}

// Running says whether there is a machine.
func (s State) Running() bool { return s == StateStarting || s == StateReady }

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

// LogLevel is how much the machine's process logs.
type LogLevel string

// Log levels.
const (
	LogLevelError LogLevel = "error"
	LogLevelWarn  LogLevel = "warn"
	LogLevelInfo  LogLevel = "info"
	LogLevelDebug LogLevel = "debug"
	LogLevelTrace LogLevel = "trace"
)

// PullPolicy says when a registry is asked about an image.
type PullPolicy string

// Pull policies.
const (
	PullPolicyDefault   PullPolicy = ""
	PullPolicyIfMissing PullPolicy = "if-missing" // the default
	PullPolicyAlways    PullPolicy = "always"
	PullPolicyNever     PullPolicy = "never"
)

func (p PullPolicy) number() (int32, error) {
	switch p {
	case PullPolicyDefault, PullPolicyIfMissing, "missing":
		return 0, nil
	case PullPolicyAlways:
		return 1, nil
	case PullPolicyNever:
		return 2, nil
	}
	return 0, fail(ErrInvalidConfig, "%q is no pull policy: if-missing, always or never is", string(p))
}

// Unlimited is a limit that there is not.
const Unlimited = math.MaxUint64

// Rlimit is a limit of a command, by the names of getrlimit(2) in lower case:
// nofile, nproc, as, core, cpu, fsize, stack, memlock...
type Rlimit struct {
	Resource string
	Soft     uint64
	Hard     uint64
}

// NewRlimit sets both limits.
func NewRlimit(resource string, limit uint64) Rlimit {
	return Rlimit{Resource: resource, Soft: limit, Hard: limit}
}

// String is how the library writes it: "nofile=1024:4096".
func (r Rlimit) String() string {
	number := func(n uint64) string {
		if n == Unlimited {
			return "unlimited"
		}
		return fmt.Sprint(n)
	}
	if r.Soft == r.Hard {
		return r.Resource + "=" + number(r.Soft)
	}
	return r.Resource + "=" + number(r.Soft) + ":" + number(r.Hard)
}

// ParseRlimit reads "nofile=1024" or "nofile=1024:4096"; a value may be unlimited.
func ParseRlimit(text string) (Rlimit, error) {
	resource, values, ok := strings.Cut(text, "=")
	soft, hard, both := strings.Cut(values, ":")
	if !both {
		hard = soft
	}
	l := Rlimit{Resource: resource}
	var err error
	if l.Soft, err = parseLimit(soft); err == nil {
		l.Hard, err = parseLimit(hard)
	}
	if !ok || resource == "" || err != nil {
		return l, fail(ErrInvalidConfig, "%q is no limit: nofile=1024:4096 is", text)
	}
	return l, nil
}

func parseLimit(text string) (uint64, error) {
	if text == "unlimited" || text == "-1" {
		return Unlimited, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

func rlimitStrings(limits []Rlimit) []string {
	var out []string
	for _, l := range limits {
		out = append(out, l.String())
	}
	return out
}
