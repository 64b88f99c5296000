package microsandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

type apiFile struct {
	Enums []struct {
		Name   string         `json:"name"`
		Values map[string]int `json:"values"`
	} `json:"enums"`
	Constants map[string]uint64 `json:"constants"`
}

// readAPI is what the header says; a copy of the package alone has it not.
func readAPI(t *testing.T) apiFile {
	t.Helper()
	raw, err := os.ReadFile("../api.json")
	if err != nil {
		t.Skip("not in the source tree")
	}
	var api apiFile
	if err := json.Unmarshal(raw, &api); err != nil {
		t.Fatal(err)
	}
	return api
}

func (api *apiFile) enum(t *testing.T, name string) map[string]int {
	t.Helper()
	for _, e := range api.Enums {
		if e.Name == name {
			return e.Values
		}
	}
	t.Fatalf("no enum %s", name)
	return nil
}

func TestKindsAreTheHeadersCodes(t *testing.T) {
	api := readAPI(t)
	for name, value := range api.enum(t, "msb_code") {
		if value == 0 {
			continue
		}
		kind := ErrorKind(value)
		if want := strings.ToLower(strings.TrimPrefix(name, "MSB_ERR_")); codeNames[kind] != want {
			t.Errorf("%s is %d: %q, not %q", name, value, codeNames[kind], want)
		}
		if kinds[kind].parent != 0 || kinds[kind].name == "" {
			t.Errorf("%s has no kind of its own", name)
		}
	}
}

func TestNumbersAreTheHeaders(t *testing.T) {
	api := readAPI(t)
	for _, c := range []struct {
		enum string
		want map[string]int
	}{
		{"msb_state", map[string]int{"MSB_STATE_STARTING": int(StateStarting), "MSB_STATE_READY": int(StateReady),
			"MSB_STATE_FAILED": int(StateFailed), "MSB_STATE_STOPPED": int(StateStopped),
			"MSB_STATE_CREATED": int(StateCreated), "MSB_STATE_CRASHED": int(StateCrashed)}},
		{"msb_engine", map[string]int{"MSB_ENGINE_DEFAULT": int(EngineDefault), "MSB_ENGINE_AUTO": int(EngineAuto),
			"MSB_ENGINE_KVM": int(EngineKVM), "MSB_ENGINE_QEMU": int(EngineQEMU)}},
		{"msb_accel", map[string]int{"MSB_ACCEL_DEFAULT": int(AccelDefault), "MSB_ACCEL_TCG": int(AccelTCG),
			"MSB_ACCEL_KVM": int(AccelKVM), "MSB_ACCEL_AUTO": int(AccelAuto)}},
		{"msb_cache", map[string]int{"MSB_CACHE_AUTO": int(CacheAuto), "MSB_CACHE_ALWAYS": int(CacheAlways),
			"MSB_CACHE_NONE": int(CacheNone)}},
		{"msb_volume_kind", map[string]int{"MSB_VOLUME_DIR": int(VolumeDir), "MSB_VOLUME_DISK": int(VolumeDisk)}},
		{"msb_violation", map[string]int{"MSB_VIOLATION_DEFAULT": int(ViolationActionDefault),
			"MSB_VIOLATION_BLOCK": int(ViolationActionBlock), "MSB_VIOLATION_BLOCK_LOG": int(ViolationActionBlockAndLog),
			"MSB_VIOLATION_BLOCK_TERMINATE": int(ViolationActionBlockAndTerminate),
			"MSB_VIOLATION_PASS":            int(ViolationActionPassthrough)}},
		{"msb_archive_format", map[string]int{"MSB_ARCHIVE_DOCKER": int(ArchiveDocker), "MSB_ARCHIVE_OCI": int(ArchiveOCI)}},
		{"msb_pull_event_kind", map[string]int{"MSB_PULL_RESOLVING": int(PullResolving), "MSB_PULL_RESOLVED": int(PullResolved),
			"MSB_PULL_LAYER": int(PullLayer), "MSB_PULL_LAYER_DONE": int(PullLayerDone),
			"MSB_PULL_MERGING": int(PullMerging), "MSB_PULL_DONE": int(PullDone)}},
	} {
		if got := api.enum(t, c.enum); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, not %v", c.enum, c.want, got)
		}
	}
	if api.Constants["MSB_CPUS_MAX"] != maxCPUs || api.Constants["MSB_MEMORY_MAX"] != maxMemory {
		t.Error("limits of processors or memory")
	}
}

func TestErrors(t *testing.T) {
	err := fmt.Errorf("around: %w", error(&Error{Kind: ErrSandboxNotFound, Code: 3, Message: "there is no x", Hint: "make one"}))
	for _, kind := range []ErrorKind{ErrSandboxNotFound, ErrNotFound} {
		if !errors.Is(err, kind) || !IsKind(err, kind) {
			t.Errorf("not %v", kind)
		}
	}
	for _, kind := range []ErrorKind{ErrImageNotFound, ErrBusy, 0} {
		if errors.Is(err, kind) {
			t.Errorf("is %v", kind)
		}
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != 3 {
		t.Error("errors.As")
	}
	if got := e.Error(); got != "microsandbox: there is no x (make one)" {
		t.Error(got)
	}
	if !errors.Is(ErrVolumeInUse, ErrBusy) || errors.Is(ErrBusy, ErrVolumeInUse) {
		t.Error("kinds among themselves")
	}
	if IsKind(nil, ErrNotFound) || ErrorKind(999).String() != "Unknown" {
		t.Error("nothing, and an unknown kind")
	}
}

func TestCancelledErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := error(cancelled(ctx)); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrCancelled) || errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 0)
	defer cancel()
	if err := error(cancelled(ctx)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrCancelled) {
		t.Error(err)
	}
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		rule PolicyRule
		want []string
	}{
		{Rule("allow@a.b:tcp:1"), []string{"allow@a.b:tcp:1"}},
		{PolicyRule{Action: PolicyActionAllow, Destination: "example.com"}, []string{"allow@example.com"}},
		{PolicyRule{Action: PolicyActionDeny, Direction: PolicyDirectionAny, Destination: "10.0.0.0/8", Port: "22"},
			[]string{"deny:any@10.0.0.0/8:any:22"}},
		{PolicyRule{Action: PolicyActionAllow, Destination: ".internal.net", Protocols: []PolicyProtocol{"tcp", "udp"},
			Ports: []string{"53", "8000-9000"}}, []string{
			"allow@suffix=internal.net:tcp:53", "allow@suffix=internal.net:tcp:8000-9000",
			"allow@suffix=internal.net:udp:53", "allow@suffix=internal.net:udp:8000-9000"}},
	} {
		if got := c.rule.texts(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v, not %v", got, c.want)
		}
	}
}

func TestRlimits(t *testing.T) {
	for text, want := range map[string]Rlimit{
		"nofile=5":           {"nofile", 5, 5},
		"core=0:unlimited":   {"core", 0, Unlimited},
		"as=unlimited":       {"as", Unlimited, Unlimited},
		"nproc=10:18000000":  {"nproc", 10, 18000000},
		"fsize=1024:1048576": {"fsize", 1024, 1048576},
	} {
		got, err := ParseRlimit(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v %v %s", text, got, err, got)
		}
	}
	for _, text := range []string{"", "nofile", "=5", "nofile=", "nofile=a", "nofile=1:b", "nofile=-5", "nofile=99999999999999999999"} {
		if _, err := ParseRlimit(text); !IsKind(err, ErrInvalidConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is wrong is told before anything starts: without a library, even.
func TestWrongOptions(t *testing.T) {
	image := WithImage("x")
	for name, opts := range map[string][]SandboxOption{
		"no image":          {WithCPUs(1)},
		"image and more":    {image, WithSnapshot("s")},
		"no processor":      {image, WithCPUs(-1)},
		"many processors":   {image, WithCPUs(1<<32 + 1)},
		"int8 below zero":   {image, WithCPUs(int8(-5))},
		"memory":            {image, WithMemory(-1)},
		"much memory":       {image, WithMemory(uint64(1) << 60)},
		"much memory bytes": {image, WithMemoryBytes(uint64(1) << 63)},
		"disk":              {image, WithDiskSize(-3)},
		"grace":             {image, WithReplaceWithTimeout(-time.Second)},
		"nil":               {image, nil},
		"no disk image":     {WithImageDisk("", "")},
	} {
		if _, err := configure(opts); !IsKind(err, ErrInvalidConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	cfg, err := configure([]SandboxOption{WithImageDisk("disk.qcow2", "btrfs"), WithMemory(int64(512)), WithDiskSize(uint8(2))})
	if err != nil || cfg.Image != "./disk.qcow2:format=qcow2,fstype=btrfs" || cfg.MemoryBytes != 512<<20 || cfg.UpperBytes != 2<<20 {
		t.Error(cfg, err)
	}
	if s := fmt.Sprintf("%v %+v %#v", Secret.Env("K", "hidden", SecretEnvOptions{}), Secret.Env("K", "hidden", SecretEnvOptions{}),
		Secret.Env("K", "hidden", SecretEnvOptions{})); strings.Contains(s, "hidden") {
		t.Error("a secret shows its value: " + s)
	}
	for want, got := range map[string]string{
		"ready": StateReady.String(), "unknown": State(77).String(), "exited": ExecEventExited.String(),
		"8080:80": PortBinding{HostPort: 8080, GuestPort: 80}.String(),
		"::1:1:2/udp": PortBinding{Bind: "::1", HostPort: 1, GuestPort: 2,
			Protocol: PortProtocolUDP}.String(),
		"layer_done": PullLayerDone.String(), "SandboxNotFound": ErrSandboxNotFound.String(),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if (&FsStat{Mode: 0o104755}).Perm() != 0o4755 {
		t.Error("permissions")
	}
	if mode := (&FsStat{Mode: 0o041777}).FileMode(); mode != os.ModeDir|os.ModeSticky|0o777 {
		t.Error(mode)
	}
}

func TestArena(t *testing.T) {
	a := &arena{}
	defer a.free()
	long := strings.Repeat("x", 3*arenaSize)
	list := []string{"one", "", long, "four"}
	p := a.strs("a text", list)
	for i := 0; i < 1000; i++ {
		a.str("a text", "fill")
	}
	if got := goStrings(p); !reflect.DeepEqual(got, list) {
		t.Error("a list does not come back")
	}
	if got := goPairs(a.pairs("a pair", map[string]string{"K": "a=b", "E": ""})); !reflect.DeepEqual(got, map[string]string{"K": "a=b", "E": ""}) {
		t.Error(got)
	}
	if a.err != nil {
		t.Error(a.err)
	}
	if a.strs("a text", nil) != nil || a.opt("a text", "") != nil || a.list("a text", nil) == nil {
		t.Error("what is left out")
	}
	a.str("a text", "a\x00b")
	if !IsKind(a.err, ErrInvalidConfig) {
		t.Error("NUL is taken")
	}
	a.reset()
	a.pairs("the environment", map[string]string{"A=B": "x"})
	if !IsKind(a.err, ErrInvalidConfig) {
		t.Error("a name with = is taken")
	}
}

// A secret is gone from memory that is used again.
func TestArenaForgetsSecrets(t *testing.T) {
	a := &arena{}
	defer a.free()
	a.secret(Secret.Env("KEY", "the-real-value", SecretEnvOptions{AllowHosts: []string{"h"}}))
	at, n := a.base, a.used
	a.reset()
	for _, b := range goBytes(at, _Ctype_size_t(n)) {
		if b != 0 {
			t.Fatal("something is left")
		}
	}
}

func TestTimes(t *testing.T) {
	a := &arena{}
	defer a.free()
	if a.millis("x", time.Nanosecond) != 1 || a.seconds("x", 1500*time.Millisecond) != 2 || a.millis("x", 0) != 0 {
		t.Error("rounding")
	}
	if waitMillis(0) != -1 || waitMillis(time.Microsecond) != 1 || waitMillis(1<<62) != 1<<31-1 {
		t.Error("waiting")
	}
	a.millis("x", -1)
	if !IsKind(a.err, ErrInvalidConfig) {
		t.Error("negative")
	}
	a.reset()
	a.seconds("x", 1<<62)
	if !IsKind(a.err, ErrInvalidConfig) {
		t.Error("too long")
	}
}
