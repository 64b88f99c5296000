package main

import (
	"context"
	"encoding/json"
	"runtime"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

type pathArgs struct {
	Sandbox   string `json:"sandbox" need:"1"`
	Path      string `json:"path"`
	From      string `json:"from"`
	To        string `json:"to"`
	Target    string `json:"target"`
	Data      data   `json:"data"`
	Mode      uint32 `json:"mode"`
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	Append    bool   `json:"append"`
	Exclusive bool   `json:"exclusive"`
	NoFollow  bool   `json:"no_follow"`
	Recursive bool   `json:"recursive"`
	Force     bool   `json:"force"`
	NoReplace bool   `json:"no_replace"`
	Bytes     uint64 `json:"bytes"`
}

func (a pathArgs) on() string { return a.Sandbox }

func statOf(s *microsandbox.FsStat) object {
	return object{"path": s.Path, "target": s.Target, "mode": s.Mode, "uid": s.UID, "gid": s.GID,
		"nlink": s.Nlink, "size_bytes": s.Size, "mtime_s": s.ModTime.Unix()}
}

// files registers a call of a sandbox's files that gives nothing.
func files(name string, fn func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error) {
	live(name, func(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
		return nil, fn(ctx, sb.FS(), a)
	})
}

func init() {
	live("fs.read", func(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
		content, err := sb.FS().Read(ctx, a.Path)
		return object{"data": data(content)}, err
	})
	files("fs.write", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		opts := []microsandbox.WriteOption{microsandbox.WithFileMode(a.Mode)}
		if a.Append {
			opts = append(opts, microsandbox.WithAppend())
		}
		if a.Exclusive {
			opts = append(opts, microsandbox.WithExclusive())
		}
		return fs.Write(ctx, a.Path, a.Data, opts...)
	})
	live("fs.list", func(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
		list, err := sb.FS().List(ctx, a.Path)
		out := []object{}
		for i := range list {
			out = append(out, statOf(&list[i].FsStat))
		}
		return object{"entries": out}, err
	})
	live("fs.stat", func(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
		stat := sb.FS().Stat
		if a.NoFollow {
			stat = sb.FS().Lstat
		}
		s, err := stat(ctx, a.Path)
		if err != nil {
			return nil, err
		}
		return statOf(s), nil
	})
	live("fs.exists", func(ctx context.Context, sb *microsandbox.Sandbox, a pathArgs) (any, error) {
		exists, err := sb.FS().Exists(ctx, a.Path)
		return object{"exists": exists}, err
	})
	files("fs.mkdir", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.MkdirMode(ctx, a.Path, a.Mode, a.Recursive)
	})
	files("fs.remove", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		opts := removeArgs{Force: a.Force}.options()
		if a.Recursive {
			return fs.RemoveDir(ctx, a.Path, opts...)
		}
		return fs.Remove(ctx, a.Path, opts...)
	})
	files("fs.rename", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		if a.NoReplace {
			return fs.RenameNew(ctx, a.From, a.To)
		}
		return fs.Rename(ctx, a.From, a.To)
	})
	files("fs.copy", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.Copy(ctx, a.From, a.To)
	})
	files("fs.symlink", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.Symlink(ctx, a.Target, a.Path)
	})
	files("fs.chmod", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.Chmod(ctx, a.Path, a.Mode)
	})
	files("fs.chown", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.Chown(ctx, a.Path, a.UID, a.GID)
	})
	files("fs.copy_in", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.CopyFromHost(ctx, a.From, a.To)
	})
	files("fs.copy_out", func(ctx context.Context, fs *microsandbox.SandboxFs, a pathArgs) error {
		return fs.CopyToHost(ctx, a.From, a.To)
	})
	process()
	images()
	volumes()
	snapshots()
	network()
}

func process() {
	on("version", func(context.Context, *driver, struct{}) (any, error) {
		version, err := microsandbox.RuntimeVersion()
		return object{"version": version}, err
	})
	on("home", func(context.Context, *driver, struct{}) (any, error) {
		home, err := microsandbox.DefaultHome()
		if err != nil {
			return nil, err
		}
		return object{"path": home.Path()}, nil
	})
	on("doctor", func(ctx context.Context, _ *driver, _ struct{}) (any, error) {
		checks, err := microsandbox.Doctor(ctx)
		out := []object{}
		for _, c := range checks {
			out = append(out, object{"name": c.Name, "status": c.Status, "message": c.Message, "fix": c.Fix})
		}
		return object{"checks": out}, err
	})
	on("repair", func(ctx context.Context, _ *driver, a struct {
		DryRun bool `json:"dry_run"`
	}) (any, error) {
		done, err := microsandbox.Repair(ctx, a.DryRun)
		return object{"done": done}, err
	})
	on("gc", func(context.Context, *driver, struct{}) (any, error) {
		runtime.GC()
		runtime.GC()
		return nil, nil
	})
	on("cancel", func(_ context.Context, d *driver, a struct {
		ID int64 `json:"id" need:"1"`
	}) (any, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if cancel, ok := d.running[a.ID]; ok {
			cancel()
		}
		return nil, nil
	})
	on("logs", func(ctx context.Context, _ *driver, a struct {
		Name    string                   `json:"name" need:"1"`
		Tail    uint64                   `json:"tail"`
		Sources []microsandbox.LogSource `json:"sources"`
		Session uint64                   `json:"session"`
	}) (any, error) {
		entries, err := microsandbox.Logs(ctx, a.Name, microsandbox.LogOptions{Tail: a.Tail,
			Sources: a.Sources, Session: a.Session})
		out := []object{}
		for _, e := range entries {
			out = append(out, object{"source": e.Source, "data": data(e.Data), "session": e.Session})
		}
		return object{"entries": out}, err
	})
}

func imageOf(i *microsandbox.Image) object {
	return object{"reference": i.Reference, "id": i.ID, "platform": i.Platform,
		"size_bytes": i.SizeBytes, "layer_count": i.LayerCount, "entrypoint": i.Entrypoint,
		"cmd": i.Cmd, "env": i.Env, "workdir": i.Workdir, "user": i.User}
}

func imageResult(i *microsandbox.Image, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return imageOf(i), nil
}

type referenceArgs struct {
	Reference string `json:"reference" need:"1"`
}

func images() {
	on("image.pull", func(ctx context.Context, _ *driver, a struct {
		Reference string                  `json:"reference" need:"1"`
		Policy    microsandbox.PullPolicy `json:"policy"`
		Force     bool                    `json:"force"`
	}) (any, error) {
		return imageResult(microsandbox.PullImage(ctx, a.Reference,
			microsandbox.PullOptions{Policy: a.Policy, Force: a.Force}))
	})
	on("image.open", func(ctx context.Context, _ *driver, a referenceArgs) (any, error) {
		return imageResult(microsandbox.GetImage(ctx, a.Reference))
	})
	on("image.list", func(ctx context.Context, _ *driver, _ struct{}) (any, error) {
		list, err := microsandbox.ListImages(ctx)
		out := []object{}
		for _, i := range list {
			out = append(out, imageOf(i))
		}
		return object{"images": out}, err
	})
	on("image.load", func(ctx context.Context, _ *driver, a struct {
		Path string `json:"path" need:"1"`
		Tag  string `json:"tag"`
	}) (any, error) {
		refs, err := microsandbox.LoadImages(ctx, a.Path, a.Tag)
		return object{"references": refs}, err
	})
	on("image.save", func(ctx context.Context, _ *driver, a struct {
		References []string `json:"references" need:"1"`
		Path       string   `json:"path" need:"1"`
		Format     string   `json:"format"`
	}) (any, error) {
		format, err := pick("format", a.Format, map[string]microsandbox.ArchiveFormat{
			"": microsandbox.ArchiveDocker, "docker": microsandbox.ArchiveDocker,
			"oci": microsandbox.ArchiveOCI})
		if err != nil {
			return nil, err
		}
		return nil, microsandbox.SaveImages(ctx, a.References, a.Path, format)
	})
	on("image.users", func(ctx context.Context, _ *driver, a referenceArgs) (any, error) {
		names, err := microsandbox.ImageUsers(ctx, a.Reference)
		return object{"names": names}, err
	})
	on("image.remove", func(ctx context.Context, _ *driver, a referenceArgs) (any, error) {
		return nil, microsandbox.RemoveImage(ctx, a.Reference)
	})
	on("image.prune", func(ctx context.Context, _ *driver, a struct {
		All bool `json:"all"`
	}) (any, error) {
		r, err := microsandbox.PruneImages(ctx, a.All)
		if err != nil {
			return nil, err
		}
		return object{"freed_bytes": r.FreedBytes, "removed_references": r.RemovedReferences}, nil
	})
	on("commit", func(ctx context.Context, _ *driver, a struct {
		SandboxName string   `json:"sandbox_name" need:"1"`
		Reference   string   `json:"reference" need:"1"`
		Author      string   `json:"author"`
		Message     string   `json:"message"`
		Changes     []string `json:"changes"`
	}) (any, error) {
		id, err := microsandbox.CommitSandbox(ctx, a.SandboxName, a.Reference,
			microsandbox.CommitOptions{Author: a.Author, Message: a.Message, Changes: a.Changes})
		return object{"id": id}, err
	})
}

func volumeOf(v *microsandbox.Volume) object {
	return object{"name": v.Name(), "path": v.Path(), "kind": v.Kind().String(),
		"size_bytes": v.SizeBytes(), "used_bytes": v.UsedBytes(), "users": v.Users()}
}

func volumes() {
	on("volume.create", func(ctx context.Context, _ *driver, a struct {
		Name      string `json:"name" need:"1"`
		Kind      string `json:"kind"`
		SizeBytes uint64 `json:"size_bytes"`
	}) (any, error) {
		kind, err := pick("kind", a.Kind, map[string]microsandbox.VolumeKind{
			"": microsandbox.VolumeDir, "dir": microsandbox.VolumeDir, "disk": microsandbox.VolumeDisk})
		if err != nil {
			return nil, err
		}
		_, err = microsandbox.CreateVolume(ctx, a.Name, microsandbox.WithVolumeKind(kind),
			microsandbox.WithVolumeBytes(a.SizeBytes))
		return nil, err
	})
	on("volume.list", func(ctx context.Context, _ *driver, _ struct{}) (any, error) {
		list, err := microsandbox.ListVolumes(ctx)
		out := []object{}
		for _, v := range list {
			out = append(out, volumeOf(v))
		}
		return object{"volumes": out}, err
	})
	on("volume.inspect", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		v, err := microsandbox.GetVolume(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return volumeOf(v), nil
	})
	on("volume.remove", func(ctx context.Context, _ *driver, a removeArgs) (any, error) {
		return nil, microsandbox.RemoveVolume(ctx, a.Name, a.options()...)
	})
	on("volume.prune", func(ctx context.Context, _ *driver, _ struct{}) (any, error) {
		r, err := microsandbox.PruneVolumes(ctx)
		if err != nil {
			return nil, err
		}
		return object{"names": r.Names, "freed_bytes": r.FreedBytes}, nil
	})
}

func snapshotOf(s *microsandbox.Snapshot) object {
	return object{"name": s.Name, "digest": s.Digest, "image": s.Image, "sandbox": s.Sandbox,
		"labels": s.Labels, "size_bytes": s.SizeBytes, "content": s.Content}
}

func snapshots() {
	on("snapshot.create", func(ctx context.Context, _ *driver, a struct {
		SandboxName string            `json:"sandbox_name" need:"1"`
		Name        string            `json:"name" need:"1"`
		Labels      map[string]string `json:"labels"`
		Replace     bool              `json:"replace"`
		Integrity   bool              `json:"integrity"`
	}) (any, error) {
		_, err := microsandbox.CreateSnapshot(ctx, a.SandboxName, a.Name, microsandbox.SnapshotOptions{
			Labels: a.Labels, Replace: a.Replace, Integrity: a.Integrity})
		return nil, err
	})
	on("snapshot.list", func(ctx context.Context, _ *driver, _ struct{}) (any, error) {
		list, err := microsandbox.ListSnapshots(ctx)
		out := []object{}
		for _, s := range list {
			out = append(out, snapshotOf(s))
		}
		return object{"snapshots": out}, err
	})
	on("snapshot.inspect", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		s, err := microsandbox.GetSnapshot(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return snapshotOf(s), nil
	})
	on("snapshot.verify", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		s, err := microsandbox.GetSnapshot(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return nil, s.Verify(ctx)
	})
	on("snapshot.remove", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		return nil, microsandbox.RemoveSnapshot(ctx, a.Name)
	})
	on("snapshot.save", func(ctx context.Context, _ *driver, a struct {
		Name      string `json:"name" need:"1"`
		Path      string `json:"path" need:"1"`
		WithImage bool   `json:"with_image"`
	}) (any, error) {
		s, err := microsandbox.GetSnapshot(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return nil, s.Save(ctx, a.Path, microsandbox.SnapshotSaveOptions{WithImage: a.WithImage})
	})
	on("snapshot.load", func(ctx context.Context, _ *driver, a struct {
		Path string `json:"path" need:"1"`
		Name string `json:"name"`
	}) (any, error) {
		name, err := microsandbox.LoadSnapshot(ctx, a.Path, a.Name)
		return object{"name": name}, err
	})
}

func network() {
	on("net.explain", func(ctx context.Context, _ *driver, a struct {
		Name     string `json:"name" need:"1"`
		Host     string `json:"host" need:"1"`
		Port     uint16 `json:"port"`
		Protocol string `json:"protocol"`
	}) (any, error) {
		v, err := microsandbox.NetExplain(ctx, a.Name, a.Host, a.Port, a.Protocol)
		if err != nil {
			return nil, err
		}
		return v.JSON, nil
	})
	on("net.rules", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		p, err := microsandbox.NetRules(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		return p.JSON, nil
	})
	on("net.ports", func(ctx context.Context, _ *driver, a nameArgs) (any, error) {
		ports, err := microsandbox.Ports(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		out, err := json.Marshal(ports)
		return object{"ports": json.RawMessage(out)}, err
	})
}
