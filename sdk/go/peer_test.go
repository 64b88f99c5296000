package microsandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

// Programs in the shape of the Rust system's SDK: they compile and run with
// nothing changed but the import.

// has is a helper of a user's, by the names of types that it may have written out.
func has(vols []*microsandbox.VolumeHandle, name string) bool {
	for _, v := range vols {
		if v.Name() == name {
			return true
		}
	}
	return false
}

func readBack(ctx context.Context, fs *microsandbox.SandboxFSOps, path string) (string, error) {
	return fs.ReadString(ctx, path)
}

func TestPeerBegin(t *testing.T) {
	ref, ctx, name := image(t), limit(t), "go-peer-begin"
	fine(t, microsandbox.EnsureInstalled(ctx))
	sb, err := microsandbox.CreateSandbox(ctx, name,
		microsandbox.WithImage(ref),
		microsandbox.WithMemory(128),
		microsandbox.WithCPUs(uint8(1)),
		microsandbox.WithReplace(),
		microsandbox.WithDetached(),
		microsandbox.WithLabels(map[string]string{"team": "peer"}),
		microsandbox.WithPullPolicy(microsandbox.PullPolicyIfMissing),
		microsandbox.WithMaxDuration(time.Hour),
	)
	fine(t, err)
	defer microsandbox.RemoveSandbox(context.Background(), name, microsandbox.WithForce())
	out, err := sb.Exec(ctx, "sh", []string{"-c", "echo $WHO; pwd; exit 42"},
		microsandbox.WithExecCwd("/tmp"),
		microsandbox.WithExecTimeout(30*time.Second),
		microsandbox.WithExecUser("0"),
		microsandbox.WithExecEnv(map[string]string{"WHO": "me"}),
	)
	fine(t, err)
	same(t, out.Stdout(), "me\n/tmp\n")
	same(t, out.ExitCode() == 42 && !out.Success(), true)

	handles, err := microsandbox.ListSandboxesWith(ctx,
		microsandbox.NewSandboxFilter().WithLabels(map[string]string{"team": "peer"}))
	fine(t, err)
	same(t, len(handles), 1)
	same(t, handles[0].Status(), microsandbox.SandboxStatusRunning)
	same(t, fmt.Sprint(handles[0].Status()), "running")
	m, err := handles[0].Metrics(ctx)
	fine(t, err)
	same(t, m.MemoryBytes > 0 && m.Uptime > 0, true)
	same(t, handles[0].CreatedAt().IsZero(), false)
	fine(t, sb.Detach(ctx))

	h, err := microsandbox.GetSandbox(ctx, name)
	fine(t, err)
	sb2, err := h.Connect(ctx)
	fine(t, err)
	fine(t, sb2.RequestStop(ctx))
	h, err = sb2.WaitForStatus(ctx, microsandbox.SandboxStatusStopped)
	fine(t, err)
	fine(t, h.RequestStop(ctx)) // it has ended

	artifact, err := h.Snapshot(ctx, name)
	fine(t, err)
	fine(t, artifact.Remove(ctx))

	sb3, err := microsandbox.ConnectOrCreateSandbox(ctx, name, microsandbox.WithImage(ref), microsandbox.WithMemory(64))
	fine(t, err)
	same(t, sb3.ID(), h.ID())
	sb4, err := sb3.Restart(ctx)
	fine(t, err)
	same(t, sb4.ID(), h.ID())
	fine(t, sb4.Destroy(ctx))
	sb5, err := microsandbox.ConnectOrCreateSandbox(ctx, name, microsandbox.WithImage(ref), microsandbox.WithMemory(64))
	fine(t, err)
	defer sb5.Close()
	same(t, sb5.ID() != h.ID(), true)
	h5 := must(microsandbox.GetSandbox(ctx, name))(t)
	fine(t, h5.RequestStop(ctx))
	h5 = must(h5.WaitForStatus(ctx, microsandbox.SandboxStatusStopped))(t)
	same(t, must(h5.Refresh(ctx))(t).Status(), microsandbox.SandboxStatusStopped)
	// A handle means one sandbox, not whoever has its name now.
	wantKind(t, h.Destroy(ctx), microsandbox.ErrSandboxNotFound)
	_, err = h.WaitForStatus(ctx, microsandbox.SandboxStatusRunning)
	wantKind(t, err, microsandbox.ErrSandboxNotFound)
	h, err = microsandbox.GetSandbox(ctx, name)
	fine(t, err)
	late, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = h.WaitForStatus(late, microsandbox.SandboxStatusCrashed)
	wantKind(t, err, microsandbox.ErrCancelled)
}

func TestPeerStreams(t *testing.T) {
	sb, ctx := box(t), limit(t)
	h, err := sb.ShellStream(ctx, "echo out; echo err >&2; sleep 100")
	fine(t, err)
	defer h.Close()
	var out, errs strings.Builder
	pid, code := uint32(0), -1
	for done := false; !done; {
		ev, err := h.Recv(ctx)
		fine(t, err)
		switch ev.Kind {
		case microsandbox.ExecEventStarted:
			pid = ev.PID
		case microsandbox.ExecEventStdout:
			out.Write(ev.Data)
		case microsandbox.ExecEventStderr:
			errs.Write(ev.Data)
			fine(t, h.Signal(ctx, int(syscall.SIGTERM)))
		case microsandbox.ExecEventExited:
			code = ev.ExitCode
		case microsandbox.ExecEventDone:
			done = true
		}
	}
	same(t, pid > 0 && out.String() == "out\n" && errs.String() == "err\n", true)
	same(t, code, 128+int(syscall.SIGTERM))

	h2, err := sb.ExecStream(ctx, "cat", nil, microsandbox.WithExecStdinPipe())
	fine(t, err)
	defer h2.Close()
	id, err := h2.ID()
	fine(t, err)
	same(t, id, fmt.Sprint(h2.Session()))
	stdin := h2.TakeStdin()
	_, err = stdin.Write([]byte("typed"))
	fine(t, err)
	fine(t, stdin.Close())
	collected, err := h2.Collect(ctx)
	fine(t, err)
	same(t, collected.Stdout(), "typed")

	def, err := sb.ExecDefault(ctx, microsandbox.WithExecEntrypoint("echo"), microsandbox.WithExecArgs("a", "b"))
	fine(t, err)
	same(t, def.Stdout(), "a b\n")
}

func TestPeerFilesAndVolumes(t *testing.T) {
	ref, ctx, dir := image(t), limit(t), t.TempDir()
	fine(t, os.WriteFile(filepath.Join(dir, "f"), []byte("of the host"), 0o600))
	vol, err := microsandbox.CreateVolume(ctx, "go-peer-data", microsandbox.WithVolumeQuota(100))
	fine(t, err)
	defer microsandbox.RemoveVolume(context.Background(), "go-peer-data", microsandbox.WithForce())
	_, err = microsandbox.CreateVolume(ctx, "go-peer-data")
	same(t, microsandbox.IsKind(err, microsandbox.ErrVolumeAlreadyExists), true)
	vols, err := microsandbox.ListVolumes(ctx)
	fine(t, err)
	same(t, has(vols, vol.Name()), true)

	mode := uint32(0o700)
	sb, err := microsandbox.CreateSandbox(ctx, "",
		microsandbox.WithImage(ref),
		microsandbox.WithMemory(128),
		microsandbox.WithMounts(map[string]microsandbox.MountConfig{
			"/data":    microsandbox.Mount.Named("go-peer-data", microsandbox.MountOptions{}),
			"/src":     microsandbox.Mount.Bind(dir, microsandbox.MountOptions{Readonly: true, Noexec: true}),
			"/scratch": microsandbox.Mount.Tmpfs(microsandbox.TmpfsOptions{SizeMiB: 4, Nosuid: true, Nodev: true}),
		}),
		microsandbox.WithPatches(
			microsandbox.Patch.Text("/etc/greeting.txt", "hello\n", microsandbox.PatchOptions{}),
			microsandbox.Patch.Mkdir("/app", microsandbox.PatchOptions{Mode: &mode}),
			microsandbox.Patch.CopyDir(dir, "/app/dir", microsandbox.PatchOptions{}),
			microsandbox.Patch.Append("/etc/greeting.txt", "again\n"),
		),
		microsandbox.WithScripts(map[string]string{"greet": "#!/bin/sh\necho greetings\n"}),
		microsandbox.WithEntrypoint("/bin/sh"),
	)
	fine(t, err)
	defer sb.Close()
	out, err := sb.Shell(ctx, "greet; cat /etc/greeting.txt /src/f /app/dir/f; stat -c %a /app; echo x >/src/x || echo ro")
	fine(t, err)
	same(t, out.Stdout(), "greetings\nhello\nagain\nof the hostof the host700\nro\n")

	fs := sb.FS()
	fine(t, fs.WriteString(ctx, "/data/config.json", `{"debug": true}`))
	text, err := readBack(ctx, fs, "/data/config.json")
	fine(t, err)
	same(t, text, `{"debug": true}`)
	entries, err := fs.List(ctx, "/data")
	fine(t, err)
	same(t, len(entries) == 1 && entries[0].Kind == microsandbox.FsEntryKindFile && entries[0].Size == 15, true)
	stat, err := fs.Stat(ctx, "/data")
	fine(t, err)
	same(t, stat.IsDir, true)

	_, err = microsandbox.CreateSandbox(ctx, "", microsandbox.WithImage(ref), microsandbox.WithEntrypoint("sh", "-c"))
	wantKind(t, err, microsandbox.ErrInvalidConfig)
}

func TestPeerNetworkAndSecrets(t *testing.T) {
	ref, ctx := image(t), limit(t)
	sb, err := microsandbox.CreateSandbox(ctx, "",
		microsandbox.WithImage(ref),
		microsandbox.WithMemory(128),
		microsandbox.WithPorts(map[uint16]uint16{0: 80}),
		microsandbox.WithNetwork(&microsandbox.NetworkConfig{
			DefaultEgress:  microsandbox.PolicyActionDeny,
			DefaultIngress: microsandbox.PolicyActionAllow,
			DenyDomains:    []string{"blocked.example.com"},
			Rules: []microsandbox.PolicyRule{{
				Action:      microsandbox.PolicyActionAllow,
				Direction:   microsandbox.PolicyDirectionEgress,
				Destination: "10.1.2.3",
				Protocol:    microsandbox.PolicyProtocolTCP,
				Port:        "443",
			}, {
				Action:      microsandbox.PolicyActionDeny,
				Direction:   microsandbox.PolicyDirectionEgress,
				Destination: "metadata",
			}, {
				Action:      microsandbox.PolicyActionAllow,
				Direction:   microsandbox.PolicyDirectionIngress,
				Destination: "*",
				Protocols:   []microsandbox.PolicyProtocol{microsandbox.PolicyProtocolTCP},
				Ports:       []string{"8000-9000"},
			}},
		}),
		microsandbox.WithSecrets(microsandbox.Secret.Env("OPENAI_API_KEY", "the-real-value",
			microsandbox.SecretEnvOptions{
				AllowHosts:        []string{"api.openai.com"},
				AllowHostPatterns: []string{"*.example.com"},
				OnViolation:       microsandbox.ViolationActionBlock,
			})),
	)
	fine(t, err)
	defer sb.Close()
	verdict := must(sb.NetExplain(ctx, "10.1.2.3", 443, "tcp"))(t)
	same(t, verdict.Allowed(), true)
	same(t, must(sb.NetExplain(ctx, "10.1.2.4", 443, "tcp"))(t).Allowed(), false)
	out := must(sb.Shell(ctx, "echo $OPENAI_API_KEY"))(t).Stdout()
	same(t, len(out) > 1 && !strings.Contains(out, "real"), true)
	info := must(sb.Info(ctx))(t)
	same(t, strings.Join(info.Secrets[0].AllowHosts, " "), "api.openai.com *.example.com")

	closed := microsandbox.NetworkPolicy.FromProfiles(microsandbox.NetworkProfileHost)
	same(t, strings.Join(closed.Profiles, " "), "host")
}
