package microsandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	msb "github.com/microsandbox/microsandbox-c/sdk/go"
)

func testImage() msb.SandboxOption { return msb.WithImage(os.Getenv("MSB_TEST_IMAGE")) }

func init() {
	// What a program gets that cannot have a sandbox: the kind, on standard output.
	helpers["create"] = func() error {
		sb, err := msb.CreateSandbox(context.Background(), "", testImage(), msb.WithMemory(128),
			msb.WithBootTimeout(8*time.Second))
		var e *msb.Error
		if !errors.As(err, &e) {
			return fmt.Errorf("%v is no error of ours", err)
		}
		fmt.Println(e.Kind.String(), msb.IsInstalled(), sb == nil)
		fmt.Println(e)
		return nil
	}
	// It ends with a sandbox and a stream open.
	helpers["exit"] = func() error {
		ctx := context.Background()
		sb, err := msb.CreateSandbox(ctx, "", testImage(), msb.WithMemory(128))
		if err != nil {
			return err
		}
		if _, err := sb.ExecStream(ctx, "sleep", []string{"1000"}); err != nil {
			return err
		}
		info, err := sb.Info(ctx)
		if err != nil {
			return err
		}
		fmt.Println(info.PID)
		return nil
	}
	helpers["fork"] = fork
}

// fork leaves the process twice there: the copy must be told no, and must not
// end its parent's machine. Go's runtime has no fork; this is one by hand, of
// which only this thread lives on, so it is watched by the parent.
func fork() error {
	ctx := context.Background()
	sb, err := msb.CreateSandbox(ctx, "", testImage(), msb.WithMemory(128))
	if err != nil {
		return err
	}
	x, err := sb.ExecStream(ctx, "sleep", []string{"1000"})
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		code := 1
		_, err := sb.Exec(ctx, "true", nil)
		_, err2 := sb.State()
		if msb.IsKind(err, msb.ErrInvalidHandle) && msb.IsKind(err2, msb.ErrInvalidHandle) &&
			msb.IsKind(x.Kill(ctx), msb.ErrInvalidHandle) && sb.Close() == nil {
			code = 0
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
	}
	var status syscall.WaitStatus
	for range 600 {
		got, err := syscall.Wait4(int(pid), &status, syscall.WNOHANG, nil)
		if err != nil {
			return err
		}
		if got != 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		_ = syscall.Kill(int(pid), syscall.SIGKILL)
		return fmt.Errorf("the copy ended with %v", status)
	}
	if out, err := sb.Exec(ctx, "echo", []string{"alive"}); err != nil || out.Stdout() != "alive\n" {
		return fmt.Errorf("the machine is gone with the copy: %v", err)
	}
	return sb.Close()
}

func TestFork(t *testing.T) {
	image(t)
	out, err := helper(t, "fork")
	if err != nil {
		t.Fatal(out, err)
	}
}

func TestExitWithSandboxesOpen(t *testing.T) {
	image(t)
	out, err := helper(t, "exit")
	if err != nil {
		t.Fatal(out, err)
	}
	pid := must(strconv.Atoi(strings.TrimSpace(out)))(t)
	soon(t, "the end of the machine", func() bool { return ended(pid) })
	soon(t, "the end of its record", func() bool {
		for _, s := range must(msb.ListSandboxes(limit(t)))(t) {
			if s.Info().PID == pid {
				return false
			}
		}
		return true
	})
}

func TestNoLibrary(t *testing.T) {
	out, err := helper(t, "create", msb.LibraryVariable+"=/nowhere/lib.so")
	if err != nil || !strings.HasPrefix(out, "LibraryNotLoaded false true\n") || !strings.Contains(out, "/nowhere/lib.so") {
		t.Fatal(out, err)
	}
	libm, err := filepath.Glob("/lib/x86_64-linux-gnu/libm.so.6")
	if err == nil && len(libm) == 1 {
		out, err = helper(t, "create", msb.LibraryVariable+"="+libm[0])
		if err != nil || !strings.HasPrefix(out, "LibraryNotLoaded false true\n") {
			t.Fatal(out, err)
		}
	}
}

func TestNoKernelAndNoEngine(t *testing.T) {
	image(t)
	out, err := helper(t, "create", "MSB_RUNTIME="+t.TempDir())
	if err != nil || !strings.HasPrefix(out, "Install false true\n") {
		t.Fatal(out, err)
	}
	out, err = helper(t, "create", "MSB_ENGINE=kvm")
	kind, _, _ := strings.Cut(out, " ")
	if strings.Contains(out, "<nil> is no error") {
		t.Skip("this host has KVM")
	}
	if err != nil || kind != "Unsupported" && kind != "Install" && kind != "Boot" && kind != "Permission" {
		t.Fatal(out, err)
	}
}

// kill -9 of the machine's process under all that waits.
func TestMachineDies(t *testing.T) {
	sb, ctx := create(t, ""), limit(t)
	info := must(sb.Info(ctx))(t)
	x := must(sb.ShellStream(ctx, "echo one; sleep 1000"))(t)
	defer x.Close()
	for must(x.Recv(ctx))(t).Kind != msb.ExecEventStdout {
	}
	y := must(sb.ShellStream(ctx, "sleep 1000"))(t)
	defer y.Close()
	pipe := y.Stdout()
	type end struct {
		who string
		err error
	}
	ends := make(chan end, 5)
	go func() { _, err := sb.Exec(ctx, "sleep", []string{"1000"}); ends <- end{"exec", err} }()
	go func() { _, err := x.Recv(ctx); ends <- end{"receive", err} }()
	go func() { _, err := y.Wait(ctx); ends <- end{"wait", err} }()
	go func() { _, err := io.ReadAll(pipe); ends <- end{"pipe", err} }()
	must(sb.Shell(ctx, "head -c 16000000 /dev/zero > /tmp/large"))(t)
	r := must(sb.FS().ReadStream(ctx, "/tmp/large"))(t)
	defer r.Close()
	must(r.Read(make([]byte, 1)))(t)
	time.Sleep(300 * time.Millisecond)
	fine(t, syscall.Kill(info.PID, syscall.SIGKILL))
	go func() { _, err := io.Copy(io.Discard, r); ends <- end{"file", err} }()
	for range 5 {
		select {
		case e := <-ends:
			if !msb.IsKind(e.err, msb.ErrGone) {
				t.Errorf("%s: %v", e.who, e.err)
			}
		case <-time.After(time.Minute):
			t.Fatal("somebody waits still")
		}
	}
	fine(t, sb.Wait(ctx))
	_, err := sb.Exec(ctx, "true", nil)
	wantKind(t, err, msb.ErrGone)
	_, err = sb.FS().Read(ctx, "/etc/hostname")
	wantKind(t, err, msb.ErrGone)
}

// Handles are dropped in all orders; then the machine ends.
func TestCollector(t *testing.T) {
	ctx := limit(t)
	var pid int
	var reader io.Reader
	func() {
		sb := must(msb.CreateSandbox(ctx, "", msb.WithImage(image(t)), msb.WithMemory(128)))(t)
		pid = must(sb.Info(ctx))(t).PID
		for i := range 3 {
			x := must(sb.ShellStream(ctx, "echo here; sleep 1000", msb.WithExecStdinPipe()))(t)
			if i == 1 {
				must(x.Recv(ctx))(t)
				x.TakeStdin()
			}
			if i == 2 {
				reader = x.Stdout()
			}
		}
		must(sb.FS().ReadStream(ctx, "/etc/hostname"))(t)
		must(sb.FS().WriteStream(ctx, "/tmp/x"))(t)
		must(sb.LogStream(ctx, msb.LogOptions{}))(t)
		must(sb.MetricsStream(ctx, time.Hour))(t)
	}()
	runtime.GC()
	some := make([]byte, 16)
	n := must(reader.Read(some))(t) // a reader alone keeps what it reads
	same(t, string(some[:n]), "here\n")
	runtime.KeepAlive(reader)
	reader = nil
	soon(t, "the end of the machine", func() bool {
		runtime.GC()
		return ended(pid)
	})
}

func TestCloseInAnyOrder(t *testing.T) {
	ctx := limit(t)
	sb := create(t, "")
	x := must(sb.ExecStream(ctx, "sleep", []string{"1000"}))(t)
	w := must(sb.FS().WriteStream(ctx, "/tmp/x"))(t)
	waits := make(chan error, 2)
	go func() { _, err := sb.Exec(ctx, "sleep", []string{"1000"}); waits <- err }()
	go func() { waits <- sb.Wait(ctx) }()
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	fine(t, sb.Close())
	quick(t, start, 30*time.Second)
	for range 2 {
		wantKind(t, <-waits, msb.ErrInvalidHandle)
	}
	_, err := x.Wait(ctx)
	if err == nil {
		t.Fatal("a command outlives its machine")
	}
	w.Abort()
	fine(t, x.Close())
	fine(t, sb.Close())
	_, err = sb.Exec(ctx, "true", nil)
	wantKind(t, err, msb.ErrInvalidHandle)
}

func TestCancelledCreation(t *testing.T) {
	start := time.Now()
	fine(t, create(t, "").Close())
	whole := time.Since(start) // of one on this host, now; the next one may be much quicker
	cut := 0
	for _, part := range []float64{0, 0.02, 0.05, 0.1, 0.3, 0.6, 0.9} {
		after := time.Duration(part * float64(whole))
		ctx, cancel := context.WithTimeout(context.Background(), after)
		start := time.Now()
		sb, err := msb.CreateSandbox(ctx, "go-cancelled", msb.WithImage(image(t)), msb.WithMemory(128))
		cancel()
		quick(t, start, after+30*time.Second)
		if err == nil {
			fine(t, sb.Close())
			fine(t, msb.RemoveSandbox(limit(t), "go-cancelled", msb.WithForce()))
			continue
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(after, err)
		}
		cut++
		_, err = msb.GetSandbox(limit(t), "go-cancelled")
		wantKind(t, err, msb.ErrSandboxNotFound)
	}
	same(t, cut >= 3, true)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := msb.PullImage(ctx, image(t), msb.PullOptions{Force: true, Progress: func(msb.PullEvent) { cancel() }})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(msb.PullImage(limit(t), image(t), msb.PullOptions{}))(t)
}

// threads is how many this process has; kilobytes what it holds.
func threads(t *testing.T) (n, kilobytes int) {
	t.Helper()
	status := must(os.ReadFile("/proc/self/status"))(t)
	for _, line := range strings.Split(string(status), "\n") {
		_, _ = fmt.Sscanf(line, "Threads: %d", &n)
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes)
	}
	return n, kilobytes
}

// Many sandboxes of one process, all at once; MSB_TEST_MANY says how many.
func TestMany(t *testing.T) {
	many := 8
	if text := os.Getenv("MSB_TEST_MANY"); text != "" {
		many = must(strconv.Atoi(text))(t)
	}
	ref := image(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(many)*10*time.Second+time.Minute)
	defer cancel()
	must(msb.PullImage(ctx, ref, msb.PullOptions{}))(t)
	before, memory := threads(t)
	start := time.Now()
	boxes := make([]*msb.Sandbox, many)
	var all sync.WaitGroup
	for i := range boxes {
		all.Add(1)
		go func() {
			defer all.Done()
			sb, err := msb.CreateSandbox(ctx, "", msb.WithImage(ref), msb.WithMemory(64),
				msb.WithBootTimeout(time.Duration(many)*10*time.Second+time.Minute))
			if err != nil {
				t.Error(err)
				return
			}
			boxes[i] = sb
		}()
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	ready := time.Since(start)
	streams := make([]*msb.ExecHandle, many)
	for i, sb := range boxes {
		streams[i] = must(sb.ShellStream(ctx, "while read a; do echo $a; done", msb.WithExecStdinPipe()))(t)
	}
	for i, x := range streams {
		in := x.TakeStdin()
		must(in.Write(fmt.Appendf(nil, "%d\n", i)))(t)
		ev := must(x.Recv(ctx))(t)
		for ev.Kind != msb.ExecEventStdout {
			ev = must(x.Recv(ctx))(t)
		}
		same(t, string(ev.Data), fmt.Sprintf("%d\n", i))
	}
	with, now := threads(t)
	t.Logf("%d sandboxes ready in %v; %d threads and %d KiB before, %d threads and %d KiB with a stream each",
		many, ready.Round(time.Millisecond), before, memory, with, now)
	for i, sb := range boxes {
		all.Add(1)
		go func() {
			defer all.Done()
			out, err := sb.Shell(ctx, fmt.Sprint("sleep 1; echo ", i))
			if err != nil || out.Stdout() != fmt.Sprintf("%d\n", i) {
				t.Error(out, err)
			}
		}()
	}
	time.Sleep(700 * time.Millisecond)
	waiting, held := threads(t)
	t.Logf("%d threads and %d KiB with as many calls of Shell, too", waiting, held)
	all.Wait()
	for i, sb := range boxes {
		all.Add(1)
		go func() {
			defer all.Done()
			if i%2 == 0 {
				streams[i].Close()
			}
			sb.Close()
			streams[i].Close()
		}()
	}
	all.Wait()
	after, _ := threads(t)
	t.Logf("%d threads after", after)
}

// The folder's copies of the header are made from it.
func TestGenerated(t *testing.T) {
	if _, err := os.Stat("../api.json"); err != nil {
		t.Skip("not in the source tree")
	}
	out, err := exec.Command("/usr/bin/python3", "generate.py", "--check").CombinedOutput()
	if err != nil {
		t.Fatal(string(out), err)
	}
}
