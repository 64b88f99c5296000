package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// PortProtocol is TCP or UDP.
type PortProtocol string

// Protocols of published ports; "" is TCP.
const (
	PortProtocolTCP PortProtocol = "tcp"
	PortProtocolUDP PortProtocol = "udp"
)

// PortBinding makes a port of the guest reachable on the host.
type PortBinding struct {
	Bind      string // an address of the host; "": 127.0.0.1
	HostPort  uint16 // 0: any that is free
	GuestPort uint16
	Protocol  PortProtocol
}

func withPorts(ports map[uint16]uint16, protocol PortProtocol) SandboxOption {
	return func(cfg *SandboxConfig) {
		var list []PortBinding
		for host, guest := range ports {
			list = append(list, PortBinding{HostPort: host, GuestPort: guest, Protocol: protocol})
		}
		sort.Slice(list, func(i, j int) bool { return list[i].HostPort < list[j].HostPort })
		cfg.Ports = append(cfg.Ports, list...)
	}
}

// PolicyAction is what a rule, or a default, does.
type PolicyAction string

// Actions; "" is the default's default.
const (
	PolicyActionAllow PolicyAction = "allow"
	PolicyActionDeny  PolicyAction = "deny"
)

// PolicyDirection is which flows a rule is about.
type PolicyDirection string

// Directions; "" is egress.
const (
	PolicyDirectionEgress  PolicyDirection = "egress"
	PolicyDirectionIngress PolicyDirection = "ingress"
	PolicyDirectionAny     PolicyDirection = "any"
)

// PolicyProtocol is which protocol a rule is about.
type PolicyProtocol string

// Protocols of rules; "" is any.
const (
	PolicyProtocolTCP    PolicyProtocol = "tcp"
	PolicyProtocolUDP    PolicyProtocol = "udp"
	PolicyProtocolICMPv4 PolicyProtocol = "icmpv4"
	PolicyProtocolICMPv6 PolicyProtocol = "icmpv6"
	PolicyProtocolAny    PolicyProtocol = "any"
)

// PolicyRule is a rule of the policy; the first that matches a flow decides.
type PolicyRule struct {
	// Text is a whole rule, in place of all below: "allow@example.com:tcp:443".
	Text        string
	Action      PolicyAction
	Direction   PolicyDirection
	Destination string // public, private, host, dns, any...; an address, network or name
	Protocol    PolicyProtocol
	Protocols   []PolicyProtocol
	Port        string // "443", "8000-8100"
	Ports       []string
}

// Rule is a rule in the library's own words; docs/network.md has the grammar.
func Rule(text string) PolicyRule { return PolicyRule{Text: text} }

// texts writes the rule: one for each protocol and port.
func (r PolicyRule) texts() []string {
	if r.Text != "" {
		return []string{r.Text}
	}
	protocols, ports := r.Protocols, r.Ports
	if r.Protocol != "" || len(protocols) == 0 {
		protocols = append([]PolicyProtocol{r.Protocol}, protocols...)
	}
	if r.Port != "" || len(ports) == 0 {
		ports = append([]string{r.Port}, ports...)
	}
	head := string(r.Action)
	if r.Direction != "" {
		head += ":" + string(r.Direction)
	}
	target := r.Destination
	switch {
	case target == "*":
		target = "any"
	case target == "metadata":
		target = "meta"
	case strings.HasPrefix(target, "."):
		target = "suffix=" + target[1:]
	}
	var out []string
	for _, proto := range protocols {
		for _, port := range ports {
			text := head + "@" + target
			if proto == "" && port != "" {
				proto = PolicyProtocolAny
			}
			if proto != "" {
				text += ":" + string(proto)
			}
			if port != "" {
				text += ":" + port
			}
			out = append(out, text)
		}
	}
	return out
}

// DNSConfig is how the gateway resolves names.
type DNSConfig struct {
	Nameservers           []string // ADDRESS[:PORT]; nil: the host's
	QueryTimeout          time.Duration
	AllowPrivateAddresses bool // answers may hold them: no protection from rebinding
}

// Rate is so much a second, and how much at once; 0 is no limit.
type Rate struct {
	PerSecond uint64
	Burst     uint64 // 0: a second's worth
}

// NetworkConfig is a sandbox's network; NetworkPolicy makes the usual ones.
type NetworkConfig struct {
	Disabled       bool     // no interface at all
	Profiles       []string // public, private, host; or all, none alone; nil: public
	Rules          []PolicyRule
	DefaultEgress  PolicyAction
	DefaultIngress PolicyAction

	// DenyDomains and DenyDomainSuffixes come before the rules.
	DenyDomains        []string
	DenyDomainSuffixes []string

	Strict         bool // a rule's name must be confirmed by the flow itself
	TrustHostCAs   bool // the guest trusts what the host trusts
	LogDenied      bool // to the system log
	Ports          []PortBinding
	DNS            *DNSConfig
	TLS            *TLSConfig
	MaxConnections uint32
	MTU            uint32
	IPv4Pool       string
	IPv6Pool       string
	EgressBytes    Rate
	EgressPackets  Rate
	IngressBytes   Rate
	IngressPackets Rate

	Proxy             string // socks4://, socks5://, http://ADDRESS:PORT
	Socks4UserID      string
	Socks5Username    string
	Socks5PasswordEnv string // the variable of this process that has it
	PcapFile          string // gets all frames
}

type networkFactory struct{}

// NetworkPolicy makes networks for WithNetwork.
var NetworkPolicy networkFactory

// None allows nothing, not even names.
func (networkFactory) None() *NetworkConfig { return &NetworkConfig{Profiles: []string{"none"}} }

// PublicOnly allows the public internet: the default.
func (networkFactory) PublicOnly() *NetworkConfig {
	return &NetworkConfig{Profiles: []string{"public"}}
}

// NonLocal allows the public internet and private networks.
func (networkFactory) NonLocal() *NetworkConfig {
	return &NetworkConfig{Profiles: []string{"public", "private"}}
}

// AllowAll allows everything, also this host and metadata services.
func (networkFactory) AllowAll() *NetworkConfig { return &NetworkConfig{Profiles: []string{"all"}} }

// NetworkProfile is places that are allowed together.
type NetworkProfile string

// Profiles.
const (
	NetworkProfilePublic  NetworkProfile = "public"
	NetworkProfilePrivate NetworkProfile = "private"
	NetworkProfileHost    NetworkProfile = "host"
)

// FromProfiles allows what these profiles do.
func (networkFactory) FromProfiles(profiles ...NetworkProfile) *NetworkConfig {
	n := &NetworkConfig{Profiles: []string{}}
	for _, p := range profiles {
		n.Profiles = append(n.Profiles, string(p))
	}
	return n
}

// Disabled has no interface at all.
func (networkFactory) Disabled() *NetworkConfig { return &NetworkConfig{Disabled: true} }

func portStrings(ports []uint16) []string {
	var out []string
	for _, p := range ports {
		out = append(out, strconv.Itoa(int(p)))
	}
	return out
}

func (a *arena) port(p PortBinding) unsafe.Pointer {
	at := a.alloc(C.sizeof_struct_msb_port)
	o := (*C.struct_msb_port)(at)
	o.size = C.sizeof_struct_msb_port
	o.bind = a.opt("the port's address", p.Bind)
	o.host, o.guest = C.uint16_t(p.HostPort), C.uint16_t(p.GuestPort)
	switch p.Protocol {
	case "", PortProtocolTCP:
	case PortProtocolUDP:
		o.flags = C.MSB_PORT_UDP
	default:
		a.bad("%q is no protocol of a port: tcp or udp is", string(p.Protocol))
	}
	return at
}

func (a *arena) action(action PolicyAction) C.int32_t {
	switch action {
	case "":
		return C.MSB_NET_UNSET
	case PolicyActionAllow:
		return C.MSB_NET_ALLOW
	case PolicyActionDeny:
		return C.MSB_NET_DENY
	}
	a.bad("%q is no action: allow or deny is", string(action))
	return 0
}

func (a *arena) rules(n *NetworkConfig) **C.char {
	var list []string
	for _, d := range n.DenyDomains {
		list = append(list, "deny@domain="+d)
	}
	for _, d := range n.DenyDomainSuffixes {
		list = append(list, "deny@suffix="+strings.TrimPrefix(d, "."))
	}
	for _, r := range n.Rules {
		list = append(list, r.texts()...)
	}
	return a.strs("a rule", list)
}

func rate(r Rate) C.struct_msb_rate {
	return C.struct_msb_rate{per_second: C.uint64_t(r.PerSecond), burst: C.uint64_t(r.Burst)}
}

// network is the whole of it; NULL when nothing was said.
func (a *arena) network(n *NetworkConfig, ports []PortBinding, vsock []string) *C.struct_msb_network {
	if n == nil && len(ports) == 0 && len(vsock) == 0 {
		return nil
	}
	if n == nil {
		n = &NetworkConfig{}
	}
	o := (*C.struct_msb_network)(a.alloc(C.sizeof_struct_msb_network))
	o.size = C.sizeof_struct_msb_network
	for flag, set := range map[C.uint32_t]bool{
		C.MSB_NET_DISABLED: n.Disabled, C.MSB_NET_STRICT: n.Strict,
		C.MSB_NET_TRUST_HOST_CAS: n.TrustHostCAs, C.MSB_NET_LOG_DENIED: n.LogDenied,
		C.MSB_NET_NO_REBIND_PROTECTION: n.DNS != nil && n.DNS.AllowPrivateAddresses,
	} {
		if set {
			o.flags |= flag
		}
	}
	o.profile = a.opt("the profile", strings.Join(n.Profiles, ","))
	o.rules = a.rules(n)
	o.default_egress = a.action(n.DefaultEgress)
	o.default_ingress = a.action(n.DefaultIngress)
	all := append(append([]PortBinding{}, n.Ports...), ports...)
	if len(all) > 0 {
		list := a.pointers(len(all))
		for i, p := range all {
			list[i] = a.port(p)
		}
		o.ports = (**C.struct_msb_port)(unsafe.Pointer(unsafe.SliceData(list)))
	}
	if n.DNS != nil {
		o.nameservers = a.strs("a name server", n.DNS.Nameservers)
		o.dns_timeout_ms = a.millis("the query timeout", n.DNS.QueryTimeout)
	}
	o.ipv4_pool = a.opt("the IPv4 pool", n.IPv4Pool)
	o.ipv6_pool = a.opt("the IPv6 pool", n.IPv6Pool)
	o.mtu = C.uint32_t(n.MTU)
	o.max_connections = C.uint32_t(n.MaxConnections)
	o.egress_bytes, o.egress_packets = rate(n.EgressBytes), rate(n.EgressPackets)
	o.ingress_bytes, o.ingress_packets = rate(n.IngressBytes), rate(n.IngressPackets)
	o.proxy = a.opt("the proxy", n.Proxy)
	o.socks4_user_id = a.opt("the proxy's user", n.Socks4UserID)
	o.socks5_username = a.opt("the proxy's user", n.Socks5Username)
	o.socks5_password_env = a.opt("the proxy's variable", n.Socks5PasswordEnv)
	o.vsock = a.strs("a vsock socket", vsock)
	o.pcap = a.opt("the pcap file", n.PcapFile)
	return o
}

// PublishedPort is a port of the host that leads into a sandbox that runs.
type PublishedPort struct {
	Bind     string       `json:"bind"`
	Host     uint16       `json:"host"`
	Guest    uint16       `json:"guest"`
	Protocol PortProtocol `json:"protocol"`
}

// NetVerdict is what would become of a connection. JSON has all of it, as
// docs/network.md says.
type NetVerdict struct {
	Host      string `json:"host"`
	Port      uint16 `json:"port"`
	Protocol  string `json:"protocol"`
	Direction string `json:"direction"`
	Verdict   string `json:"verdict"` // allow, deny or depends
	Rule      string `json:"rule"`
	Number    int    `json:"number"` // of the rule, from 1; 0: the default
	Reason    string `json:"reason"`
	JSON      json.RawMessage
}

// Allowed says whether the connection would be let through.
func (v *NetVerdict) Allowed() bool { return v.Verdict == "allow" }

// NetRule is a rule with its number.
type NetRule struct {
	Number int    `json:"number"`
	Rule   string `json:"rule"`
}

// NetPolicyInfo is a sandbox's policy, a profile's rules included.
type NetPolicyInfo struct {
	Rules    []NetRule `json:"rules"`
	Defaults struct {
		Egress  PolicyAction `json:"egress"`
		Ingress PolicyAction `json:"ingress"`
	} `json:"defaults"`
	Strict bool `json:"strict"`
	JSON   json.RawMessage
}

// answer makes a call that gives JSON, and decodes it.
func (h *Home) answer(ctx context.Context, name string, to any,
	fn func(c *call, name *C.char, ret **C.char) C.int) (json.RawMessage, error) {
	c, err := begin(ctx, aboutSandbox, h.handle())
	if err != nil {
		return nil, err
	}
	defer c.end()
	cname := c.str("the name", name)
	var text *C.char
	if err := c.do(func() C.int { return fn(c, cname, &text) }); err != nil {
		return nil, err
	}
	raw := json.RawMessage(C.GoString(text))
	C.msb_free(unsafe.Pointer(text))
	if err := json.Unmarshal(raw, to); err != nil {
		return nil, fail(ErrProtocol, "the library's answer is no JSON: %v", err)
	}
	return raw, nil
}

// Ports tells the published ports of a sandbox that runs, with those of the
// host that were picked.
func (h *Home) Ports(ctx context.Context, name string) ([]PublishedPort, error) {
	var ports []PublishedPort
	_, err := h.answer(ctx, name, &ports, func(c *call, name *C.char, ret **C.char) C.int {
		return C.msb_sandbox_ports(h.c(), name, ret, &c.error)
	})
	return ports, err
}

// NetExplain says which rule decides when the sandbox connects to a name or
// address, and why. Port 0 is any; protocol is tcp, udp, icmp or "" for tcp.
func (h *Home) NetExplain(ctx context.Context, name, host string, port uint16,
	protocol string) (*NetVerdict, error) {
	v := &NetVerdict{}
	raw, err := h.answer(ctx, name, v, func(c *call, name *C.char, ret **C.char) C.int {
		chost, cprotocol := c.str("the host", host), c.opt("the protocol", protocol)
		if c.err != nil {
			return c.refuse()
		}
		return C.msb_net_explain(h.c(), name, chost, C.uint16_t(port), cprotocol, ret, &c.error)
	})
	if err != nil {
		return nil, err
	}
	v.JSON = raw
	return v, nil
}

// NetRules tells a sandbox's rules in the order in which they are asked.
func (h *Home) NetRules(ctx context.Context, name string) (*NetPolicyInfo, error) {
	p := &NetPolicyInfo{}
	raw, err := h.answer(ctx, name, p, func(c *call, name *C.char, ret **C.char) C.int {
		return C.msb_net_rules(h.c(), name, ret, &c.error)
	})
	if err != nil {
		return nil, err
	}
	p.JSON = raw
	return p, nil
}

// String shows a binding as -p takes it.
func (p PortBinding) String() string {
	text := fmt.Sprintf("%d:%d", p.HostPort, p.GuestPort)
	if p.Bind != "" {
		text = p.Bind + ":" + text
	}
	if p.Protocol == PortProtocolUDP {
		text += "/udp"
	}
	return text
}
