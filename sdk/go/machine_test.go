package microsandbox_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	msb "github.com/microsandbox/microsandbox-c/sdk/go"
)

func TestExec(t *testing.T) {
	sb, ctx := box(t), limit(t)
	out := must(sb.Exec(ctx, "sh", []string{"-c", "echo out; echo err >&2; exit 3"}))(t)
	same(t, out.Stdout(), "out\n")
	same(t, out.Stderr(), "err\n")
	same(t, out.ExitCode(), 3)
	same(t, out.Success(), false)
	out = must(sb.Shell(ctx, "kill -9 $$"))(t)
	same(t, out.ExitCode(), 137)
	same(t, out.Signal(), 9)
	out = must(sb.Exec(ctx, "sh", []string{"-c", "pwd; echo $FROM $MORE; id -u; ulimit -n"}, msb.WithExecCwd("/usr"),
		msb.WithExecEnv(map[string]string{"MORE": "here"}), msb.WithExecUser("65534"),
		msb.WithExecRlimits(msb.NewRlimit("nofile", 66))))(t)
	same(t, out.Stdout(), "/usr\nsandbox here\n65534\n66\n")
	out = must(sb.Exec(ctx, "cat", nil, msb.WithExecStdin([]byte("a\x00\xffb"))))(t)
	same(t, string(out.StdoutBytes()), "a\x00\xffb")
	out = must(sb.Shell(ctx, "test -t 1 && echo tty", msb.WithExecTTY()))(t)
	same(t, strings.TrimSpace(out.Stdout()), "tty")
	out = must(sb.Shell(ctx, "yes | head -c 100000; yes | head -c 10 >&2", msb.WithExecMaxOutput(1000)))(t)
	same(t, len(out.StdoutBytes()), 1000)
	cutOut, cutErr := out.Truncated()
	same(t, cutOut && !cutErr, true)
}

func TestExecFailures(t *testing.T) {
	sb, ctx := box(t), limit(t)
	_, err := sb.Exec(ctx, "no-such-program", nil)
	e := wantKind(t, err, msb.ErrExecFailed)
	same(t, e.Errno, 2)
	same(t, e.Stage, "exec")
	same(t, e.CodeName, "exec")
	start := time.Now()
	out, err := sb.Shell(ctx, "echo before; sleep 100", msb.WithExecTimeout(3*time.Second))
	wantKind(t, err, msb.ErrExecTimeout)
	wantKind(t, err, msb.ErrTimeout)
	quick(t, start, 20*time.Second)
	same(t, out.Stdout(), "before\n")
	for _, bad := range []func() error{
		func() error { _, err := sb.Exec(ctx, "", nil); return err },
		func() error { _, err := sb.Exec(ctx, "a\x00b", nil); return err },
		func() error { _, err := sb.Exec(ctx, "true", []string{"\x00"}); return err },
		func() error { _, err := sb.Exec(ctx, "true", nil, msb.WithExecTimeout(-1)); return err },
		func() error { _, err := sb.Exec(ctx, "true", nil, msb.WithExecMaxOutput(-1)); return err },
		func() error { _, err := sb.Exec(ctx, "true", nil, nil); return err },
		func() error { _, err := sb.Exec(ctx, "true", nil, msb.WithExecStdinPipe()); return err },
		func() error {
			_, err := sb.Exec(ctx, "true", nil, msb.WithExecEnv(map[string]string{"": "x"}))
			return err
		},
		func() error { _, err := sb.Exec(nil, "true", nil); return err }, //nolint:staticcheck // that is the test
		func() error { _, err := (*msb.Sandbox)(nil).Exec(ctx, "true", nil); return err },
		func() error { _, err := sb.FS().Read(ctx, "/a\x00b"); return err },
		func() error { _, err := sb.MetricsStream(ctx, 0); return err },
		func() error { _, err := sb.Logs(ctx, msb.LogOptions{Sources: []msb.LogSource{"nothing"}}); return err },
		func() error { return sb.Stop(ctx, msb.WithStopTimeout(-time.Second)) },
	} {
		wantKind(t, bad(), msb.ErrInvalidConfig)
	}
}

// Many at once on one handle; with -race this is also the test of the package's
// own locks.
func TestManyCallsAtOnce(t *testing.T) {
	sb, ctx := box(t), limit(t)
	var all sync.WaitGroup
	for range 6 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 4 {
				out, err := sb.Exec(ctx, "echo", []string{"x"})
				if err != nil || out.Stdout() != "x\n" {
					t.Error(out, err)
				}
				if _, err := sb.Metrics(ctx); err != nil {
					t.Error(err)
				}
				if _, err := sb.FS().Stat(ctx, "/etc/hostname"); err != nil {
					t.Error(err)
				}
				if _, err := sb.State(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
}

func TestFiles(t *testing.T) {
	fs, ctx := box(t).FS(), limit(t)
	fine(t, fs.Mkdir(ctx, "/tmp/go/deep"))
	fine(t, fs.WriteString(ctx, "/tmp/go/a", "one", msb.WithFileMode(0o600)))
	fine(t, fs.WriteString(ctx, "/tmp/go/a", "two", msb.WithAppend()))
	same(t, must(fs.ReadString(ctx, "/tmp/go/a"))(t), "onetwo")
	wantKind(t, fs.WriteString(ctx, "/tmp/go/a", "", msb.WithExclusive()), msb.ErrAlreadyExists)
	stat := must(fs.Stat(ctx, "/tmp/go/a"))(t)
	same(t, stat.Perm(), 0o600)
	same(t, stat.Size, 6)
	same(t, stat.IsDir, false)
	same(t, time.Since(stat.ModTime) < time.Hour, true)
	fine(t, fs.Chmod(ctx, "/tmp/go/a", 0o640))
	fine(t, fs.Chown(ctx, "/tmp/go/a", 5, 6))
	fine(t, fs.Symlink(ctx, "a", "/tmp/go/link"))
	fine(t, fs.Lchown(ctx, "/tmp/go/link", 8, 8))
	stat = must(fs.Stat(ctx, "/tmp/go/link"))(t)
	same(t, stat.UID == 5 && stat.GID == 6 && stat.Perm() == 0o640, true)
	link := must(fs.Lstat(ctx, "/tmp/go/link"))(t)
	same(t, link.Target == "a" && link.UID == 8, true)
	fine(t, fs.Copy(ctx, "/tmp/go/a", "/tmp/go/b"))
	fine(t, fs.Rename(ctx, "/tmp/go/b", "/tmp/go/c"))
	wantKind(t, fs.RenameNew(ctx, "/tmp/go/a", "/tmp/go/c"), msb.ErrAlreadyExists)
	kinds := map[string]string{}
	for _, e := range must(fs.List(ctx, "/tmp/go"))(t) {
		kinds[e.Path] = string(e.Kind)
	}
	want := map[string]string{"a": "file", "c": "file", "deep": "directory", "link": "symlink"}
	if !reflect.DeepEqual(kinds, want) {
		t.Fatal(kinds)
	}
	same(t, must(fs.Exists(ctx, "/tmp/go/c"))(t), true)
	same(t, must(fs.Exists(ctx, "/tmp/go/none"))(t), false)
	_, err := fs.Read(ctx, "/tmp/go/none")
	same(t, wantKind(t, err, msb.ErrPathNotFound).Errno, 2)
	_, err = fs.ReadMax(ctx, "/tmp/go/a", 3)
	wantKind(t, err, msb.ErrNoSpace)
	wantKind(t, fs.Remove(ctx, "/tmp/go/none"), msb.ErrNotFound)
	fine(t, fs.Remove(ctx, "/tmp/go/none", msb.WithForce()))
	wantKind(t, fs.MkdirMode(ctx, "/tmp/go/x/y", 0, false), msb.ErrNotFound)
	if fs.Remove(ctx, "/tmp/go") == nil {
		t.Fatal("a folder that is not empty is gone")
	}
	fine(t, fs.RemoveDir(ctx, "/tmp/go"))
}

func TestFileStreams(t *testing.T) {
	fs, ctx := box(t).FS(), limit(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	w := must(fs.WriteStream(ctx, "/tmp/stream", msb.WithFileMode(0o600)))(t)
	n, err := io.Copy(w, bytes.NewReader(want))
	fine(t, err)
	same(t, n, int64(len(want)))
	same(t, must(fs.Exists(ctx, "/tmp/stream"))(t), false)
	fine(t, w.Close())
	fine(t, w.Close())
	if _, err := w.Write([]byte("x")); err == nil {
		t.Fatal("a closed file is written")
	}
	r := must(fs.ReadStream(ctx, "/tmp/stream"))(t)
	got, err := io.ReadAll(r)
	fine(t, err)
	same(t, bytes.Equal(got, want), true)
	fine(t, r.Close())
	fine(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	wantKind(t, err, msb.ErrInvalidHandle)
	r = must(fs.ReadRange(ctx, "/tmp/stream", 17, 3))(t)
	same(t, string(must(io.ReadAll(r))(t)), "123")
	fine(t, r.Close())
	w = must(fs.WriteStream(ctx, "/tmp/dropped"))(t)
	must(w.Write(want))(t)
	w.Abort()
	fine(t, w.Close())
	same(t, must(fs.Exists(ctx, "/tmp/dropped"))(t), false)
	short, cancel := context.WithCancel(ctx)
	w = must(fs.WriteStream(short, "/tmp/dropped"))(t)
	cancel()
	_, err = w.Write(want)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.Abort()
	fine(t, fs.Remove(ctx, "/tmp/stream"))
}

func TestCopies(t *testing.T) {
	sb, ctx, dir := box(t), limit(t), t.TempDir()
	fine(t, os.MkdirAll(filepath.Join(dir, "tree/sub"), 0o755))
	fine(t, os.WriteFile(filepath.Join(dir, "tree/one"), []byte("1"), 0o644))
	fine(t, os.WriteFile(filepath.Join(dir, "tree/sub/two"), bytes.Repeat([]byte("2"), 1<<20), 0o600))
	var last msb.CopyEvent
	fine(t, sb.FS().CopyFromHost(ctx, filepath.Join(dir, "tree"), "/tmp/tree",
		msb.WithCopyProgress(func(e msb.CopyEvent) { last = e })))
	same(t, must(sb.Shell(ctx, "cat /tmp/tree/one; wc -c < /tmp/tree/sub/two"))(t).Stdout(), "11048576\n")
	fine(t, sb.FS().CopyToHost(ctx, "/tmp/tree", filepath.Join(dir, "back")))
	back := must(os.ReadFile(filepath.Join(dir, "back/sub/two")))(t)
	same(t, len(back), 1<<20)
	wantKind(t, sb.FS().CopyFromHost(ctx, filepath.Join(dir, "none"), "/tmp"), msb.ErrNotFound)
	archive := must(os.Create(filepath.Join(dir, "x.tar")))(t)
	defer archive.Close()
	fine(t, sb.FS().CopyTarToHost(ctx, "/tmp/tree", archive))
	must(archive.Seek(0, 0))(t)
	names := map[string]bool{}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if err != nil {
			break
		}
		names[filepath.Base(h.Name)] = true
	}
	same(t, names["one"] && names["two"], true)
	must(archive.Seek(0, 0))(t)
	fine(t, sb.FS().Mkdir(ctx, "/tmp/untar"))
	fine(t, sb.FS().CopyTarFromHost(ctx, archive, "/tmp/untar"))
	same(t, must(sb.Shell(ctx, "find /tmp/untar -name one | wc -l"))(t).Stdout(), "1\n")
	fine(t, sb.FS().CopyToSandbox(ctx, "/tmp/tree/one", sb, "/tmp/one-more"))
	same(t, must(sb.FS().ReadString(ctx, "/tmp/one-more"))(t), "1")
	_ = last // a fast copy tells nothing
	func() {
		defer func() {
			if recover() == nil {
				t.Log("the copy was done before it told anything")
			}
		}()
		_ = sb.FS().CopyFromHost(ctx, filepath.Join(dir, "tree"), "/tmp/tree2",
			msb.WithCopyProgress(func(msb.CopyEvent) { panic("of the caller") }))
	}()
	must(sb.Exec(ctx, "true", nil))(t)
}

func TestLogsAndMetrics(t *testing.T) {
	sb, ctx := create(t, ""), limit(t)
	stream := must(sb.LogStream(ctx, msb.LogOptions{}))(t)
	defer stream.Close()
	metrics := must(sb.MetricsStream(ctx, 50*time.Millisecond))(t)
	defer metrics.Close()
	must(sb.Shell(ctx, "echo one; echo two >&2"))(t)
	must(sb.Exec(ctx, "echo", []string{"unseen"}, msb.WithExecNoLog()))(t)
	seen := map[msb.LogSource]string{}
	for len(seen) < 2 {
		e := must(stream.Recv(ctx))(t)
		seen[e.Source] += e.Text()
		same(t, e.Session != 0 && time.Since(e.Timestamp) < time.Hour, true)
	}
	same(t, seen[msb.LogStdout]+seen[msb.LogStderr], "one\ntwo\n")
	entries := must(sb.Logs(ctx, msb.LogOptions{Sources: []msb.LogSource{msb.LogStdout}}))(t)
	same(t, len(entries) == 1 && entries[0].Text() == "one\n", true)
	before := must(metrics.Recv(ctx))(t)
	for range 2 {
		m := must(metrics.Recv(ctx))(t)
		same(t, m.Uptime > before.Uptime && m.CPUTime >= before.CPUTime && m.CPUs == 1 && m.MemoryBytes == 128<<20, true)
		before = m
	}
	all := must(msb.AllSandboxMetrics(ctx))(t)
	same(t, all[sb.Name()] != nil, true)

	waiting, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err := stream.Recv(waiting)
	wantKind(t, err, msb.ErrTimeout)
	fine(t, sb.Stop(ctx))
	for {
		if _, err = stream.Recv(ctx); err != nil {
			break
		}
	}
	same(t, err, io.EOF)
	for err = nil; err == nil; {
		_, err = metrics.Recv(ctx)
	}
	same(t, err, io.EOF)
	fine(t, metrics.Close())
	fine(t, metrics.Close())
}

func TestClosedLogStreamWakesItsReader(t *testing.T) {
	sb, ctx := box(t), limit(t)
	stream := must(sb.LogStream(ctx, msb.LogOptions{Since: time.Now().Add(time.Hour)}))(t)
	done := make(chan error, 1)
	go func() {
		_, err := stream.Recv(ctx)
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	fine(t, stream.Close())
	wantKind(t, <-done, msb.ErrInvalidHandle)
	fine(t, stream.Close())
}

func TestLife(t *testing.T) {
	ctx := limit(t)
	sb := create(t, "go-life", msb.WithLabels(map[string]string{"team": "go"}), msb.WithScripts(map[string]string{
		"greet": "#!/bin/sh\necho hello $1\n"}), msb.WithIdleTimeout(time.Hour), msb.WithMaxDuration(2*time.Hour))
	same(t, sb.Name(), "go-life")
	same(t, must(sb.State())(t), msb.StateReady)
	same(t, must(sb.Exec(ctx, "greet", []string{"you"}))(t).Stdout(), "hello you\n")
	fine(t, sb.Touch(ctx))
	same(t, must(sb.Ping(ctx))(t) > 0, true)
	same(t, len(sb.Engine()) > 0 && len(sb.Accel()) > 0 && len(sb.Walls()) > 0, true)
	times := must(sb.Times())(t)
	same(t, times.Ready > times.Launched && times.Launched > 0, true)
	must(sb.Shell(ctx, "echo kept > /root/f"))(t)
	_, err := msb.CreateSandbox(ctx, "go-life", msb.WithImage(image(t)))
	wantKind(t, err, msb.ErrSandboxAlreadyExists)
	wantKind(t, msb.RemoveSandbox(ctx, "go-life"), msb.ErrSandboxStillRunning)
	wantKind(t, func() error { _, err := sb.Snapshot(ctx, "go-snap", msb.SnapshotOptions{}); return err }(),
		msb.ErrSnapshotSandboxRunning)

	changes := must(sb.Modify(ctx, msb.ModifyOptions{MemoryMiB: 160, Env: map[string]string{"NEW": "1"}}))(t)
	same(t, len(changes), 2)
	pending := must(sb.Pending(ctx))(t)
	same(t, len(pending) == 1 && pending[0].Field == "memory" && pending[0].Effect == msb.EffectNextStart, true)
	fine(t, sb.Stop(ctx))
	fine(t, sb.Wait(ctx))
	_, err = sb.Exec(ctx, "true", nil)
	wantKind(t, err, msb.ErrSandboxNotRunning)
	_, err = msb.ConnectSandbox(ctx, "go-life")
	wantKind(t, err, msb.ErrGone)

	found := must(msb.ListSandboxes(ctx, "team=go"))(t)
	same(t, len(found) == 1 && found[0].Status() == "stopped" && found[0].Info().Kept, true)
	again := must(found[0].Start(ctx))(t)
	defer again.Close()
	out := must(again.Shell(ctx, "cat /root/f; echo $NEW; grep MemTotal /proc/meminfo"))(t)
	same(t, strings.HasPrefix(out.Stdout(), "kept\n1\n"), true)
	info := must(again.Info(ctx))(t)
	same(t, info.MemoryBytes == 160<<20 && info.State == msb.StateReady && info.PID > 0, true)
	other := must(msb.ConnectSandbox(ctx, again.ID()))(t)
	same(t, must(other.Exec(ctx, "hostname", nil))(t).Stdout(), "go-life\n")
	fine(t, other.Close())
	must(again.Exec(ctx, "true", nil))(t)
	rules := must(again.NetRules(ctx))(t)
	same(t, len(rules.Rules) > 0 && rules.Defaults.Egress == msb.PolicyActionDeny, true)
	verdict := must(again.NetExplain(ctx, "10.1.2.3", 22, "tcp"))(t)
	same(t, verdict.Allowed(), false)
	fine(t, again.Kill(ctx))

	snap := must(msb.CreateSnapshot(ctx, "go-life", "go-snap", msb.SnapshotOptions{Labels: map[string]string{"a": "b"}, Integrity: true}))(t)
	same(t, snap.Sandbox == "go-life" && snap.Labels["a"] == "b", true)
	fine(t, snap.Verify(ctx))
	fork := create(t, "", msb.WithImage(""), msb.WithFromSnapshot("go-snap"))
	same(t, must(fork.Exec(ctx, "cat", []string{"/root/f"}))(t).Stdout(), "kept\n")
	fine(t, fork.Close())
	fine(t, snap.Remove(ctx))
	_, err = msb.GetSnapshot(ctx, "go-snap")
	wantKind(t, err, msb.ErrSnapshotNotFound)
	fine(t, again.Remove(ctx))
	_, err = msb.GetSandbox(ctx, "go-life")
	wantKind(t, err, msb.ErrSandboxNotFound)
}

func TestDetachedAndDefined(t *testing.T) {
	ctx := limit(t)
	handle := must(msb.DefineSandbox(ctx, "go-defined", msb.WithImage(image(t)), msb.WithMemory(128),
		msb.WithCommand("sh", "-c", "echo main; sleep 1000")))(t)
	t.Cleanup(func() { _ = msb.RemoveSandbox(context.Background(), "go-defined", msb.WithForce()) })
	same(t, handle.State(), msb.StateCreated)
	sb := must(handle.StartDetached(ctx))(t)
	fine(t, sb.Close())
	sb = must(msb.ConnectSandbox(ctx, "go-defined"))(t)
	defer sb.Close()
	soon(t, "its command", func() bool { return must(sb.Shell(ctx, "pidof sleep | wc -w"))(t).Stdout() == "1\n" })
	x := must(sb.AttachSession(ctx, 0))(t)
	fine(t, x.Kill(ctx))
	same(t, must(x.Wait(ctx))(t), 137)
	fine(t, x.Close())
	same(t, must(msb.GetSandbox(ctx, "go-defined"))(t).Info().Kept, true)
}

func TestVolumesAndMounts(t *testing.T) {
	ctx, dir := limit(t), t.TempDir()
	v := must(msb.CreateVolume(ctx, "go-vol", msb.WithVolumeQuota(16)))(t)
	t.Cleanup(func() { _ = msb.RemoveVolume(context.Background(), "go-vol", msb.WithForce()) })
	same(t, v.QuotaMiB() == 16 && v.Kind() == msb.VolumeDir && !v.InUse(), true)
	_, err := msb.CreateVolume(ctx, "go-vol")
	wantKind(t, err, msb.ErrVolumeAlreadyExists)
	fine(t, os.WriteFile(filepath.Join(dir, "in"), []byte("shared"), 0o644))
	sb := create(t, "", msb.WithMounts(map[string]msb.MountConfig{
		"/data":    msb.Mount.Named("go-vol", msb.MountOptions{}),
		"/src":     msb.Mount.Bind(dir, msb.MountOptions{Readonly: true}),
		"/one":     msb.Mount.Bind(filepath.Join(dir, "in"), msb.MountOptions{}),
		"/scratch": msb.Mount.Tmpfs(msb.TmpfsOptions{SizeMiB: 4, Noexec: true}),
	}), msb.WithPatches(
		msb.Patch.Text("/etc/motd", "hi\n", msb.PatchOptions{Replace: true}),
		msb.Patch.Append("/etc/motd", "more\n"),
		msb.Patch.Mkdir("/made", msb.PatchOptions{}),
		msb.Patch.CopyFile(filepath.Join(dir, "in"), "/made/in", msb.PatchOptions{}),
		msb.Patch.Symlink("in", "/made/link", msb.PatchOptions{}),
		msb.Patch.Chmod("/made/in", 0o400),
	))
	out := must(sb.Shell(ctx, "cat /src/in /one /etc/motd /made/link; echo no > /src/x || echo kept; echo v > /data/v; stat -c %a /made/in"))(t)
	same(t, out.Stdout(), "sharedsharedhi\nmore\nsharedkept\n400\n")
	same(t, string(must(os.ReadFile(filepath.Join(v.Path(), "v")))(t)), "v\n")
	wantKind(t, v.Remove(ctx), msb.ErrVolumeInUse)
	fine(t, sb.Close())
	fine(t, v.Remove(ctx))
	_, err = msb.GetVolume(ctx, "go-vol")
	wantKind(t, err, msb.ErrVolumeNotFound)
}

func TestNetworkAndSecrets(t *testing.T) {
	ctx := limit(t)
	sb := create(t, "", msb.WithPorts(map[uint16]uint16{0: 7000}), msb.WithNetwork(&msb.NetworkConfig{
		DefaultEgress: msb.PolicyActionDeny, DefaultIngress: msb.PolicyActionAllow, Rules: []msb.PolicyRule{msb.Rule("allow@api.example.com:tcp:443")}}),
		msb.WithSecrets(msb.Secret.Env("TOKEN", "the-real-value", msb.SecretEnvOptions{AllowHosts: []string{"api.example.com"}})))
	x := must(sb.ShellStream(ctx, "echo served | nc -l -p 7000"))(t)
	defer x.Close()
	ports := must(sb.Ports(ctx))(t)
	same(t, len(ports) == 1 && ports[0].Guest == 7000 && ports[0].Host > 0, true)
	same(t, dial(t, ports[0].Host), "served\n")
	token := must(sb.Shell(ctx, "echo -n $TOKEN"))(t).Stdout()
	same(t, strings.HasPrefix(token, "MSB_") && !strings.Contains(token, "real"), true)
	info := must(sb.Info(ctx))(t)
	same(t, len(info.Secrets) == 1 && info.Secrets[0].Placeholder == token, true)
	same(t, must(sb.NetExplain(ctx, "1.1.1.1", 443, ""))(t).Verdict, "deny")
}

func TestImages(t *testing.T) {
	ctx, dir := limit(t), t.TempDir()
	var events []msb.PullEvent
	img := must(msb.PullImage(ctx, image(t), msb.PullOptions{Force: true,
		Progress: func(e msb.PullEvent) { events = append(events, e) }}))(t)
	same(t, len(events) > 0 && events[len(events)-1].Kind == msb.PullDone, true)
	same(t, strings.HasPrefix(img.ID, "sha256:") && img.LayerCount == len(img.Layers) && img.SizeBytes > 0, true)
	same(t, len(must(msb.ListImages(ctx))(t)) > 0, true)
	file := filepath.Join(dir, "image.tar")
	fine(t, img.Save(ctx, file, msb.ArchiveOCI))
	refs := must(msb.LoadImages(ctx, file, "go-loaded:1"))(t)
	same(t, len(refs) == 1 && refs[0] == "docker.io/library/go-loaded:1", true)
	fine(t, msb.RemoveImage(ctx, "go-loaded:1"))
	_, err := msb.GetImage(ctx, "go-loaded:1")
	wantKind(t, err, msb.ErrImageNotFound)
	_, err = msb.PullImage(ctx, "localhost:1/nobody", msb.PullOptions{})
	wantKind(t, err, msb.ErrNetwork)
	_, err = msb.PullImage(ctx, "x", msb.PullOptions{Policy: "sometimes"})
	wantKind(t, err, msb.ErrInvalidConfig)
	defer func() {
		if recover() != "of the caller" {
			t.Error("a panic of the caller's function is lost")
		}
		must(msb.ListImages(ctx))(t)
	}()
	_, _ = msb.PullImage(ctx, image(t), msb.PullOptions{Force: true, Progress: func(msb.PullEvent) { panic("of the caller") }})
}

func TestHomes(t *testing.T) {
	ctx, dir := limit(t), t.TempDir()
	home := must(msb.OpenHome(filepath.Join(dir, "home")))(t)
	same(t, home.Path(), filepath.Join(dir, "home"))
	same(t, len(must(home.ListSandboxes(ctx))(t)), 0)
	same(t, must(msb.DefaultHome())(t) == must(msb.DefaultHome())(t), true)
	fine(t, home.Close())
	fine(t, home.Close())
	_, err := home.ListSandboxes(ctx)
	wantKind(t, err, msb.ErrInvalidHandle)
	_, err = (*msb.Home)(nil).ListSandboxes(ctx)
	wantKind(t, err, msb.ErrInvalidHandle)
	_, err = msb.OpenHome("a\x00b")
	wantKind(t, err, msb.ErrInvalidConfig)
	same(t, len(must(msb.Doctor(ctx))(t)) > 3, true)
	same(t, must(msb.RuntimeVersion())(t), msb.SDKVersion())
	must(msb.Repair(ctx, true))(t)
}
