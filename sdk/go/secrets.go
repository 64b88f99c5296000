package microsandbox

/*
#include "msb_api.h"
*/
import "C"

import (
	"slices"
	"unsafe"
)

// ViolationAction is what happens when a placeholder goes where it must not.
type ViolationAction int

// Violations.
const (
	ViolationActionDefault           ViolationAction = iota // block and log, or what the sandbox says
	ViolationActionBlock                                    // without a word
	ViolationActionBlockAndLog                              //
	ViolationActionBlockAndTerminate                        // the sandbox ends
	ViolationActionPassthrough                              // the placeholder goes there
)

// SecretEntry is one secret; Secret makes them.
type SecretEntry struct {
	Env         string  // the guest's variable
	Value       *string // nil: read from this process's variable Source at each start
	Source      string  // "": as Env
	Placeholder string  // "": MSB_ and 32 random digits
	AllowHosts  []string
	Headers     bool // where a placeholder may stand; none of the four: headers and basic
	BasicAuth   bool
	Query       bool
	Body        bool
	Mask        bool // the value in an answer becomes the placeholder again
	OnViolation ViolationAction
}

// String says which secret it is, never its value.
func (s SecretEntry) String() string { return "secret " + s.Env }

// GoString is String, so that %#v does not show the value.
func (s SecretEntry) GoString() string { return s.String() }

// SecretEnvOptions is more about a secret.
type SecretEnvOptions struct {
	AllowHosts        []string // NAME, *.NAME (and NAME itself), or *; at least one
	AllowHostPatterns []string // more of them
	Placeholder       string
	Source            string // FromEnv: another variable of this process
	Headers           bool
	BasicAuth         bool
	Query             bool
	Body              bool
	Mask              bool
	OnViolation       ViolationAction
}

type secretFactory struct{}

// Secret makes secrets for WithSecrets.
var Secret secretFactory

// Env is a secret with this value. It is kept nowhere: who starts the sandbox
// again gives it again (WithStartSecrets), or has it in the variable env.
func (secretFactory) Env(env, value string, opts SecretEnvOptions) SecretEntry {
	s := opts.entry(env)
	s.Value = &value
	return s
}

// FromEnv is a secret whose value is in a variable of this process.
func (secretFactory) FromEnv(env string, opts SecretEnvOptions) SecretEntry {
	s := opts.entry(env)
	s.Source = opts.Source
	return s
}

func (o SecretEnvOptions) entry(env string) SecretEntry {
	return SecretEntry{Env: env, Placeholder: o.Placeholder, AllowHosts: append(slices.Clone(o.AllowHosts), o.AllowHostPatterns...),
		Headers: o.Headers, BasicAuth: o.BasicAuth, Query: o.Query, Body: o.Body,
		Mask: o.Mask, OnViolation: o.OnViolation}
}

func (a *arena) secret(s SecretEntry) unsafe.Pointer {
	a.wipe = a.wipe || s.Value != nil
	p := a.alloc(C.sizeof_struct_msb_secret)
	o := (*C.struct_msb_secret)(p)
	o.size = C.sizeof_struct_msb_secret
	o.env = a.str("the secret's variable", s.Env)
	o.value = a.ptr("the secret "+s.Env, s.Value)
	o.source = a.opt("the secret's source", s.Source)
	o.placeholder = a.opt("the placeholder", s.Placeholder)
	o.hosts = a.strs("the secret's host", s.AllowHosts)
	o.violation = C.int32_t(s.OnViolation)
	for flag, set := range map[C.uint32_t]bool{
		C.MSB_SECRET_HEADERS: s.Headers, C.MSB_SECRET_BASIC: s.BasicAuth,
		C.MSB_SECRET_QUERY: s.Query, C.MSB_SECRET_BODY: s.Body, C.MSB_SECRET_MASK: s.Mask,
	} {
		if set {
			o.flags |= flag
		}
	}
	return p
}

func (a *arena) secrets(secrets []SecretEntry) **C.struct_msb_secret {
	if len(secrets) == 0 {
		return nil
	}
	list := a.pointers(len(secrets))
	for i, s := range secrets {
		list[i] = a.secret(s)
	}
	return (**C.struct_msb_secret)(unsafe.Pointer(unsafe.SliceData(list)))
}

// TLSConfig says how TLS of the guest is looked into.
type TLSConfig struct {
	Intercept        bool     // every name, not only those that secrets are for
	AllowQUIC        bool     // do not block UDP to these ports
	InterceptedPorts []uint16 // nil: 443
	Bypass           []string // NAME, *.NAME: never looked into
	CACert           string   // PEM files; "": made at each start
	CAKey            string
	UpstreamCACerts  []string          // PEM files, for all names
	UpstreamCAsFor   map[string]string // by pattern
	NoVerifyUpstream []string          // patterns; no secret goes there
	OnViolation      ViolationAction   // of secrets that do not say
}

func (a *arena) tls(t *TLSConfig) *C.struct_msb_tls {
	if t == nil {
		return nil
	}
	o := (*C.struct_msb_tls)(a.alloc(C.sizeof_struct_msb_tls))
	o.size = C.sizeof_struct_msb_tls
	if t.Intercept {
		o.flags |= C.MSB_TLS_INTERCEPT
	}
	if t.AllowQUIC {
		o.flags |= C.MSB_TLS_NO_BLOCK_QUIC
	}
	o.violation = C.int32_t(t.OnViolation)
	o.ports = a.strs("a port", portStrings(t.InterceptedPorts))
	o.bypass = a.strs("a bypass", t.Bypass)
	o.ca_cert = a.opt("the CA's certificate", t.CACert)
	o.ca_key = a.opt("the CA's key", t.CAKey)
	o.upstream_cas = a.strs("an upstream CA", t.UpstreamCACerts)
	o.upstream_cas_for = a.pairs("an upstream CA", t.UpstreamCAsFor)
	o.no_verify_for = a.strs("a pattern", t.NoVerifyUpstream)
	return o
}
