package microsandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	msb "github.com/microsandbox/microsandbox-c/sdk/go"
)

// A test binary that is started with this variable is one of the programs below.
const helperVariable = "MSB_GO_HELPER"

var helpers = map[string]func() error{}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		if err := helpers[name](); err != nil {
			fmt.Println("failed:", err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	code := m.Run()
	if shared.sb != nil {
		shared.sb.Close()
	}
	os.Exit(code)
}

// helper runs one of the programs, and gives what it printed.
func helper(t *testing.T, name string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, helperVariable+"="+name)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(4*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	return out.String(), err
}

// image is what the tests run; without one, what needs a machine is skipped.
func image(t *testing.T) string {
	t.Helper()
	ref := os.Getenv("MSB_TEST_IMAGE")
	if ref == "" {
		t.Skip("MSB_TEST_IMAGE names no image")
	}
	return ref
}

// limit is a context for one test: nothing here takes minutes.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// create makes a sandbox that goes with the test.
func create(t *testing.T, name string, opts ...msb.SandboxOption) *msb.Sandbox {
	t.Helper()
	all := append([]msb.SandboxOption{msb.WithImage(image(t)), msb.WithMemory(128)}, opts...)
	sb, err := msb.CreateSandbox(limit(t), name, all...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sb.Close()
		if name != "" {
			err := msb.RemoveSandbox(context.Background(), sb.ID(), msb.WithForce())
			if err != nil && !msb.IsKind(err, msb.ErrNotFound) {
				t.Error(err)
			}
		}
	})
	return sb
}

var shared struct {
	sync.Mutex
	sb *msb.Sandbox
}

// box is a sandbox for all tests that leave it as it is.
func box(t *testing.T) *msb.Sandbox {
	t.Helper()
	ref := image(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.sb == nil {
		sb, err := msb.CreateSandbox(limit(t), "", msb.WithImage(ref), msb.WithMemory(192),
			msb.WithEnv(map[string]string{"FROM": "sandbox"}), msb.WithHostname("boxed"))
		if err != nil {
			t.Fatal(err)
		}
		shared.sb = sb
	}
	return shared.sb
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind msb.ErrorKind) *msb.Error {
	t.Helper()
	var e *msb.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) {
		t.Fatalf("%v (%T), not %v", err, err, kind)
	}
	return e
}

func same[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%v, not %v", got, want)
	}
}

// quick says that something took no longer than it may.
func quick(t *testing.T, start time.Time, most time.Duration) {
	t.Helper()
	if took := time.Since(start); took > most {
		t.Fatalf("it took %v, more than %v", took, most)
	}
}

// ended says whether a process has; somebody else collects it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}
