package main

import (
	"context"
	"time"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

type nameArgs struct {
	Name string `json:"name" need:"1"`
}

type handleArgs struct {
	Sandbox string `json:"sandbox" need:"1"`
}

type limitedArgs struct {
	Sandbox   string  `json:"sandbox" need:"1"`
	TimeoutMs *uint32 `json:"timeout_ms"`
}

func (d *driver) sandbox(as string) (*microsandbox.Sandbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sb, ok := d.sandboxes[as]
	if !ok {
		return nil, invalid("there is no sandbox %q", as)
	}
	return sb, nil
}

// keep remembers a handle; an older one of its name is closed.
func (d *driver) keep(as string, sb *microsandbox.Sandbox, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	old := d.sandboxes[as]
	d.sandboxes[as] = sb
	d.mu.Unlock()
	if old != nil {
		old.Close()
	}
	state, err := sb.State()
	return object{"name": sb.Name(), "id": sb.ID(), "state": state.String()}, err
}

// limited is a context with the time limit of a call.
func limited(ctx context.Context, ms *uint32) (context.Context, context.CancelFunc) {
	if ms == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(*ms)*time.Millisecond)
}

func span(ms *uint32, otherwise time.Duration) time.Duration {
	if ms == nil {
		return otherwise
	}
	return time.Duration(*ms) * time.Millisecond
}

func infoOf(i *microsandbox.SandboxInfo) object {
	mounts, secrets, flags := []object{}, []object{}, []string{}
	for _, m := range i.Mounts {
		mounts = append(mounts, object{"kind": m.Kind, "source": m.Source, "target": m.Target})
	}
	for _, s := range i.Secrets {
		secrets = append(secrets, object{"env": s.Env, "hosts": s.AllowHosts})
	}
	if i.Kept {
		flags = append(flags, "keep")
	}
	if i.Detached {
		flags = append(flags, "detached")
	}
	return object{"name": i.Name, "id": i.ID, "image": i.Image, "state": i.State.String(),
		"cpus": i.CPUs, "memory_bytes": i.MemoryBytes, "labels": i.Labels, "env": i.Env,
		"workdir": i.Workdir, "user": i.User, "hostname": i.Hostname, "shell": i.Shell,
		"scripts": i.Scripts, "patches": i.Patches, "end_reason": i.EndReason,
		"exit_code": i.ExitCode, "mounts": mounts, "secrets": secrets, "flags": flags}
}

func metricsOf(m *microsandbox.Metrics) object {
	return object{"cpus": m.CPUs, "memory_bytes": m.MemoryBytes, "uptime_ns": m.Uptime.Nanoseconds(),
		"cpu_ns": m.CPUTime.Nanoseconds(), "sessions": m.Sessions,
		"memory_resident_bytes": m.MemoryResidentBytes, "disk_read_bytes": m.DiskReadBytes,
		"disk_write_bytes": m.DiskWriteBytes, "disk_reads": m.DiskReads, "disk_writes": m.DiskWrites,
		"net_rx_bytes": m.NetRxBytes, "net_tx_bytes": m.NetTxBytes,
		"upper_bytes": m.UpperBytes, "upper_used_bytes": m.UpperUsedBytes}
}

func changesOf(changes []microsandbox.Change, err error) (any, error) {
	out := []object{}
	for _, c := range changes {
		out = append(out, object{"field": c.Field, "before": c.Before, "after": c.After, "effect": string(c.Effect)})
	}
	return object{"changes": out}, err
}

// plain registers a call of a sandbox that gives nothing.
func plain(name string, fn func(ctx context.Context, sb *microsandbox.Sandbox) error) {
	on(name, func(ctx context.Context, d *driver, a handleArgs) (any, error) {
		sb, err := d.sandbox(a.Sandbox)
		if err != nil {
			return nil, err
		}
		return nil, fn(ctx, sb)
	})
}

type modifyArgs struct {
	Name         string            `json:"name" need:"1"`
	DryRun       bool              `json:"dry_run"`
	CPUs         uint32            `json:"cpus"`
	MemoryBytes  uint64            `json:"memory_bytes"`
	UpperBytes   uint64            `json:"upper_bytes"`
	Env          map[string]string `json:"env"`
	EnvRm        []string          `json:"env_rm"`
	Labels       map[string]string `json:"labels"`
	LabelsRm     []string          `json:"labels_rm"`
	Workdir      *string           `json:"workdir"`
	User         *string           `json:"user"`
	Hostname     *string           `json:"hostname"`
	Shell        *string           `json:"shell"`
	MaxDurationS *int32            `json:"max_duration_s"`
	IdleTimeoutS *int32            `json:"idle_timeout_s"`
	Secrets      []secretArgs      `json:"secrets"`
	SecretsRm    []string          `json:"secrets_rm"`
}

func seconds(s *int32) *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(max(*s, 0)) * time.Second
	return &d
}

func init() {
	on("sandbox.create", func(ctx context.Context, d *driver, a createArgs) (any, error) {
		opts, err := a.options()
		if err != nil {
			return nil, err
		}
		if a.Start != nil && !*a.Start {
			h, err := microsandbox.DefineSandbox(ctx, a.Name, opts...)
			if err != nil {
				return nil, err
			}
			return object{"name": h.Name(), "state": h.State().String()}, nil
		}
		sb, err := microsandbox.CreateSandbox(ctx, a.Name, opts...)
		return d.keep(a.As, sb, err)
	})
	type asName struct {
		As   string `json:"as" need:"1"`
		Name string `json:"name" need:"1"`
	}
	on("sandbox.open", func(ctx context.Context, d *driver, a asName) (any, error) {
		sb, err := microsandbox.ConnectSandbox(ctx, a.Name)
		return d.keep(a.As, sb, err)
	})
	on("sandbox.start", func(ctx context.Context, d *driver, a asName) (any, error) {
		sb, err := microsandbox.StartSandbox(ctx, a.Name)
		return d.keep(a.As, sb, err)
	})
	on("sandbox.restart", func(ctx context.Context, d *driver, a struct {
		As        string  `json:"as" need:"1"`
		Name      string  `json:"name" need:"1"`
		TimeoutMs *uint32 `json:"timeout_ms"`
	}) (any, error) {
		sb, err := microsandbox.RestartSandbox(ctx, a.Name,
			microsandbox.WithRestartTimeout(span(a.TimeoutMs, 10*time.Second)))
		return d.keep(a.As, sb, err)
	})
	plain("sandbox.detach", func(ctx context.Context, sb *microsandbox.Sandbox) error { return sb.Detach(ctx) })
	plain("sandbox.touch", func(ctx context.Context, sb *microsandbox.Sandbox) error { return sb.Touch(ctx) })
	plain("sandbox.kill", func(ctx context.Context, sb *microsandbox.Sandbox) error { return sb.Kill(ctx) })
	on("sandbox.close", func(_ context.Context, d *driver, a handleArgs) (any, error) {
		sb, err := d.sandbox(a.Sandbox)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		delete(d.sandboxes, a.Sandbox)
		d.mu.Unlock()
		return nil, sb.Close()
	})
	live("sandbox.console", func(_ context.Context, sb *microsandbox.Sandbox, _ handleArgs) (any, error) {
		return object{"console": sb.Console()}, nil
	})
	live("sandbox.state", func(_ context.Context, sb *microsandbox.Sandbox, _ handleArgs) (any, error) {
		state, err := sb.State()
		return object{"state": state.String()}, err
	})
	live("sandbox.metrics", func(ctx context.Context, sb *microsandbox.Sandbox, _ handleArgs) (any, error) {
		m, err := sb.Metrics(ctx)
		if err != nil {
			return nil, err
		}
		return metricsOf(m), nil
	})
	live("sandbox.stop", func(ctx context.Context, sb *microsandbox.Sandbox, a limitedArgs) (any, error) {
		return nil, sb.Stop(ctx, microsandbox.WithStopTimeout(span(a.TimeoutMs, 10*time.Second)))
	})
	live("sandbox.wait", func(ctx context.Context, sb *microsandbox.Sandbox, a limitedArgs) (any, error) {
		ctx, stop := limited(ctx, a.TimeoutMs)
		defer stop()
		return nil, sb.Wait(ctx)
	})
	live("sandbox.ping", func(ctx context.Context, sb *microsandbox.Sandbox, a limitedArgs) (any, error) {
		ctx, stop := limited(ctx, a.TimeoutMs)
		defer stop()
		took, err := sb.Ping(ctx)
		return object{"ns": took.Nanoseconds()}, err
	})
	live("sandbox.metrics_stream", func(ctx context.Context, sb *microsandbox.Sandbox, a streamArgs) (any, error) {
		stream, err := sb.MetricsStream(ctx, time.Duration(a.IntervalMs)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		samples := []object{}
		for range a.Count {
			m, err := stream.Recv(ctx)
			if err != nil {
				return nil, err
			}
			samples = append(samples, metricsOf(m))
		}
		return object{"samples": samples}, nil
	})
	records()
}

type streamArgs struct {
	Sandbox    string `json:"sandbox" need:"1"`
	IntervalMs uint32 `json:"interval_ms" need:"1"`
	Count      int    `json:"count" need:"1"`
}

func (a handleArgs) on() string  { return a.Sandbox }
func (a limitedArgs) on() string { return a.Sandbox }
func (a streamArgs) on() string  { return a.Sandbox }

// live registers a call of a sandbox.
func live[A interface{ on() string }](name string, fn func(ctx context.Context, sb *microsandbox.Sandbox, a A) (any, error)) {
	on(name, func(ctx context.Context, d *driver, a A) (any, error) {
		sb, err := d.sandbox(a.on())
		if err != nil {
			return nil, err
		}
		return fn(ctx, sb, a)
	})
}

// records registers the calls about what is on record.
func records() {
	on("sandbox.inspect", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		info, err := microsandbox.InspectSandbox(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return infoOf(info), nil
	})
	on("sandbox.list", func(ctx context.Context, _ *driver, a struct {
		Labels []string `json:"labels"`
	}) (any, error) {
		list, err := microsandbox.ListSandboxes(ctx, a.Labels...)
		out := []object{}
		for _, s := range list {
			out = append(out, infoOf(s.Info()))
		}
		return object{"sandboxes": out}, err
	})
	on("sandbox.remove", func(ctx context.Context, _ *driver, a removeArgs) (any, error) {
		return nil, microsandbox.RemoveSandbox(ctx, a.Name, a.options()...)
	})
	on("sandbox.modify", func(ctx context.Context, _ *driver, a modifyArgs) (any, error) {
		secrets, err := secretEntries(a.Secrets)
		if err != nil {
			return nil, err
		}
		return changesOf(microsandbox.ModifySandbox(ctx, a.Name, microsandbox.ModifyOptions{
			DryRun: a.DryRun, CPUs: a.CPUs, MemoryBytes: a.MemoryBytes, UpperBytes: a.UpperBytes,
			Env: a.Env, RemoveEnv: a.EnvRm, Labels: a.Labels, RemoveLabels: a.LabelsRm,
			Workdir: a.Workdir, User: a.User, Hostname: a.Hostname, Shell: a.Shell,
			MaxDuration: seconds(a.MaxDurationS), IdleTimeout: seconds(a.IdleTimeoutS),
			Secrets: secrets, RemoveSecrets: a.SecretsRm}))
	})
	on("sandbox.pending", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		return changesOf(microsandbox.PendingChanges(ctx, a.Name))
	})
}

type removeArgs struct {
	Name  string `json:"name" need:"1"`
	Force bool   `json:"force"`
}

func (a removeArgs) options() []microsandbox.RemoveOption {
	if a.Force {
		return []microsandbox.RemoveOption{microsandbox.WithForce()}
	}
	return nil
}
