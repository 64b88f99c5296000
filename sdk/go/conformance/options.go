package main

import (
	"fmt"
	"strings"
	"time"

	microsandbox "github.com/microsandbox/microsandbox-c/sdk/go"
)

type mountArgs struct {
	Kind       string `json:"kind"`
	Source     string `json:"source"`
	Target     string `json:"target"`
	ReadOnly   bool   `json:"read_only"`
	Noexec     bool   `json:"noexec"`
	Nosuid     bool   `json:"nosuid"`
	Nodev      bool   `json:"nodev"`
	Create     bool   `json:"create"`
	SizeBytes  uint64 `json:"size_bytes"`
	QuotaBytes uint64 `json:"quota_bytes"`
	Cache      string `json:"cache"`
}

type patchArgs struct {
	Kind    string  `json:"kind"`
	Path    string  `json:"path"`
	Data    data    `json:"data"`
	Source  string  `json:"source"`
	Mode    *uint32 `json:"mode"`
	UID     *uint32 `json:"uid"`
	GID     *uint32 `json:"gid"`
	Replace bool    `json:"replace"`
}

type portArgs struct {
	Bind  string `json:"bind"`
	Host  uint16 `json:"host"`
	Guest uint16 `json:"guest"`
	UDP   bool   `json:"udp"`
}

type networkArgs struct {
	Disabled       bool       `json:"disabled"`
	Profile        string     `json:"profile"`
	Rules          []string   `json:"rules"`
	DefaultEgress  string     `json:"default_egress"`
	DefaultIngress string     `json:"default_ingress"`
	Ports          []portArgs `json:"ports"`
	Nameservers    []string   `json:"nameservers"`
	MaxConnections uint32     `json:"max_connections"`
	Proxy          string     `json:"proxy"`
	Strict         bool       `json:"strict"`
	MTU            uint32     `json:"mtu"`
	Vsock          []string   `json:"vsock"`
}

type secretArgs struct {
	Env         string   `json:"env"`
	Value       *string  `json:"value"`
	Source      string   `json:"source"`
	Placeholder string   `json:"placeholder"`
	Hosts       []string `json:"hosts"`
	Headers     bool     `json:"headers"`
	Basic       bool     `json:"basic"`
	Query       bool     `json:"query"`
	Body        bool     `json:"body"`
	Mask        bool     `json:"mask"`
	Violation   string   `json:"violation"`
}

type tlsArgs struct {
	Intercept   bool     `json:"intercept"`
	Bypass      []string `json:"bypass"`
	Ports       []uint16 `json:"ports"`
	UpstreamCAs []string `json:"upstream_cas"`
	NoBlockQUIC bool     `json:"no_block_quic"`
}

type createArgs struct {
	As            string            `json:"as" need:"1"`
	Image         string            `json:"image"`
	Snapshot      string            `json:"snapshot"`
	Name          string            `json:"name"`
	CPUs          uint32            `json:"cpus"`
	MemoryBytes   uint64            `json:"memory_bytes"`
	UpperBytes    uint64            `json:"upper_bytes"`
	Upper         string            `json:"upper"`
	Hostname      string            `json:"hostname"`
	BootTimeoutMs uint32            `json:"boot_timeout_ms"`
	Labels        map[string]string `json:"labels"`
	MaxDurationS  uint32            `json:"max_duration_s"`
	IdleTimeoutS  uint32            `json:"idle_timeout_s"`
	Replace       bool              `json:"replace"`
	Keep          *bool             `json:"keep"`
	Start         *bool             `json:"start"`
	Detached      bool              `json:"detached"`
	Env           map[string]string `json:"env"`
	Rlimits       []string          `json:"rlimits"`
	Workdir       string            `json:"workdir"`
	User          string            `json:"user"`
	Entrypoint    *string           `json:"entrypoint"`
	Shell         string            `json:"shell"`
	Scripts       map[string]string `json:"scripts"`
	Init          string            `json:"init"`
	InitArgs      []string          `json:"init_args"`
	InitEnv       map[string]string `json:"init_env"`
	Command       []string          `json:"command"`
	Mounts        []mountArgs       `json:"mounts"`
	Patches       []patchArgs       `json:"patches"`
	Network       *networkArgs      `json:"network"`
	Secrets       []secretArgs      `json:"secrets"`
	TLS           *tlsArgs          `json:"tls"`
}

func invalid(format string, args ...any) error {
	return &microsandbox.Error{Kind: microsandbox.ErrInvalidConfig, Code: 2, CodeName: "invalid",
		Message: fmt.Sprintf(format, args...)}
}

// pick is the value of a word.
func pick[T any](what, word string, from map[string]T) (T, error) {
	v, ok := from[word]
	if !ok {
		return v, invalid("%q is no %s", word, what)
	}
	return v, nil
}

func (m mountArgs) config() (microsandbox.MountConfig, error) {
	cache, err := pick("cache", m.Cache, map[string]microsandbox.Cache{"": 0, "auto": 0,
		"always": microsandbox.CacheAlways, "none": microsandbox.CacheNone})
	return microsandbox.MountConfig{Kind: microsandbox.MountKind(m.Kind), Source: m.Source,
		Readonly: m.ReadOnly, Noexec: m.Noexec, Nosuid: m.Nosuid, Nodev: m.Nodev,
		Create: m.Create, SizeBytes: m.SizeBytes, QuotaBytes: m.QuotaBytes, Cache: cache}, err
}

func (p patchArgs) config() (microsandbox.PatchConfig, error) {
	kind, err := pick("patch", p.Kind, map[string]microsandbox.PatchKind{
		"text": microsandbox.PatchFile, "append": microsandbox.PatchAppend,
		"copy": microsandbox.PatchCopy, "mkdir": microsandbox.PatchMkdir,
		"symlink": microsandbox.PatchSymlink, "remove": microsandbox.PatchRemove,
		"mode": microsandbox.PatchSetMode, "owner": microsandbox.PatchSetOwner})
	c := microsandbox.PatchConfig{Kind: kind, Path: p.Path, Source: p.Source, Data: p.Data,
		Mode: p.Mode, Replace: p.Replace}
	if p.UID != nil || p.GID != nil {
		c.Owner = &microsandbox.Owner{}
		if p.UID != nil {
			c.Owner.UID = *p.UID
		}
		if p.GID != nil {
			c.Owner.GID = *p.GID
		}
	}
	return c, err
}

func (n *networkArgs) config() *microsandbox.NetworkConfig {
	if n == nil {
		return nil
	}
	c := &microsandbox.NetworkConfig{Disabled: n.Disabled, Strict: n.Strict, MTU: n.MTU,
		MaxConnections: n.MaxConnections, Proxy: n.Proxy,
		DefaultEgress:  microsandbox.PolicyAction(n.DefaultEgress),
		DefaultIngress: microsandbox.PolicyAction(n.DefaultIngress)}
	if n.Profile != "" {
		c.Profiles = strings.Split(n.Profile, ",")
	}
	for _, r := range n.Rules {
		c.Rules = append(c.Rules, microsandbox.Rule(r))
	}
	for _, p := range n.Ports {
		b := microsandbox.PortBinding{Bind: p.Bind, HostPort: p.Host, GuestPort: p.Guest}
		if p.UDP {
			b.Protocol = microsandbox.PortProtocolUDP
		}
		c.Ports = append(c.Ports, b)
	}
	if n.Nameservers != nil {
		c.DNS = &microsandbox.DNSConfig{Nameservers: n.Nameservers}
	}
	return c
}

var violations = map[string]microsandbox.ViolationAction{"": 0, "block": microsandbox.ViolationActionBlock,
	"block_log":       microsandbox.ViolationActionBlockAndLog,
	"block_terminate": microsandbox.ViolationActionBlockAndTerminate,
	"pass":            microsandbox.ViolationActionPassthrough}

func (s secretArgs) entry() (microsandbox.SecretEntry, error) {
	violation, err := pick("violation", s.Violation, violations)
	opts := microsandbox.SecretEnvOptions{AllowHosts: s.Hosts, Placeholder: s.Placeholder,
		Source: s.Source, Headers: s.Headers, BasicAuth: s.Basic, Query: s.Query, Body: s.Body,
		Mask: s.Mask, OnViolation: violation}
	if s.Value != nil {
		return microsandbox.Secret.Env(s.Env, *s.Value, opts), err
	}
	return microsandbox.Secret.FromEnv(s.Env, opts), err
}

func secretEntries(list []secretArgs) ([]microsandbox.SecretEntry, error) {
	var out []microsandbox.SecretEntry
	for _, s := range list {
		e, err := s.entry()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func limits(list []string) ([]microsandbox.Rlimit, error) {
	var out []microsandbox.Rlimit
	for _, text := range list {
		l, err := microsandbox.ParseRlimit(text)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (a *createArgs) options() ([]microsandbox.SandboxOption, error) {
	opts := []microsandbox.SandboxOption{
		microsandbox.WithImage(a.Image), microsandbox.WithSnapshot(a.Snapshot),
		microsandbox.WithCPUs(a.CPUs), microsandbox.WithMemoryBytes(a.MemoryBytes),
		microsandbox.WithHostname(a.Hostname), microsandbox.WithLabels(a.Labels),
		microsandbox.WithBootTimeout(time.Duration(a.BootTimeoutMs) * time.Millisecond),
		microsandbox.WithMaxDuration(time.Duration(a.MaxDurationS) * time.Second),
		microsandbox.WithIdleTimeout(time.Duration(a.IdleTimeoutS) * time.Second),
		microsandbox.WithEnv(a.Env), microsandbox.WithWorkdir(a.Workdir),
		microsandbox.WithUser(a.User), microsandbox.WithShell(a.Shell),
		microsandbox.WithScripts(a.Scripts),
	}
	add := func(o microsandbox.SandboxOption) { opts = append(opts, o) }
	tmpfs, err := pick("upper", a.Upper, map[string]bool{"": false, "disk": false, "tmpfs": true})
	if err != nil {
		return nil, err
	}
	add(func(cfg *microsandbox.SandboxConfig) { cfg.UpperBytes, cfg.UpperTmpfs = a.UpperBytes, tmpfs })
	if a.Keep != nil && !*a.Keep {
		add(microsandbox.WithEphemeral())
	}
	if a.Replace {
		add(microsandbox.WithReplace())
	}
	if a.Detached {
		add(microsandbox.WithDetached())
	}
	if a.Entrypoint != nil {
		add(microsandbox.WithEntrypoint(*a.Entrypoint))
	}
	if a.Init != "" {
		add(microsandbox.WithInit(microsandbox.Init.Cmd(a.Init,
			microsandbox.InitOptions{Args: a.InitArgs, Env: a.InitEnv})))
	}
	if a.Command != nil {
		add(microsandbox.WithCommand(a.Command...))
	}
	rlimits, err := limits(a.Rlimits)
	if err != nil {
		return nil, err
	}
	add(microsandbox.WithRlimits(rlimits...))
	mounts := map[string]microsandbox.MountConfig{}
	for _, m := range a.Mounts {
		if mounts[m.Target], err = m.config(); err != nil {
			return nil, err
		}
	}
	add(microsandbox.WithMounts(mounts))
	for _, p := range a.Patches {
		patch, err := p.config()
		if err != nil {
			return nil, err
		}
		add(microsandbox.WithPatches(patch))
	}
	if a.Network != nil {
		add(microsandbox.WithNetwork(a.Network.config()))
		add(microsandbox.WithVsock(a.Network.Vsock...))
	}
	secrets, err := secretEntries(a.Secrets)
	if err != nil {
		return nil, err
	}
	add(microsandbox.WithSecrets(secrets...))
	if a.TLS != nil {
		add(microsandbox.WithTLS(microsandbox.TLSConfig{Intercept: a.TLS.Intercept,
			Bypass: a.TLS.Bypass, InterceptedPorts: a.TLS.Ports, UpstreamCACerts: a.TLS.UpstreamCAs,
			AllowQUIC: a.TLS.NoBlockQUIC}))
	}
	return opts, nil
}
