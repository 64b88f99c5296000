/** A sandbox's network: what it may reach, and its ports on the host. */
import { msb_net_action as ACTION, msb_net_flags as FLAG, msb_port_flags as PORT } from "./api.gen";
import * as check from "./check";
import { type NetworkPolicy, NetworkPolicyBuilder, type Rule, ruleTexts } from "./policy";
import { type TlsOptions, TlsBuilder } from "./tls";
import { SecretBuilder, type ViolationAction, ViolationActionBuilder } from "./secret";

export type NetworkProfile = "public" | "private" | "host" | "all" | "none";
export type NetworkAction = "allow" | "deny";

export interface PortOptions {
  /** Of the host; 0: one that is free, see ports(). */
  host: number;
  guest: number;
  /** An address of the host; 127.0.0.1. */
  bind?: string;
  udp?: boolean;
}

/** So many bytes or packets a second, and how many at once. */
export interface Rate {
  perSecond: number;
  burst?: number;
}

export interface NetworkOptions {
  /** false: no interface at all. */
  enabled?: boolean;
  /** "public", ["public", "host"], "all", "none". */
  profile?: NetworkProfile | readonly NetworkProfile[];
  /** "[allow|deny][:egress|ingress|any]@TARGET[:PROTO[:PORTS]]"; the first that matches decides. */
  rules?: readonly (string | Rule)[];
  defaultEgress?: NetworkAction;
  defaultIngress?: NetworkAction;
  ports?: readonly PortOptions[];
  nameservers?: readonly string[];
  dnsTimeoutMs?: number;
  ipv4Pool?: string;
  ipv6Pool?: string;
  mtu?: number;
  egressBytes?: Rate;
  egressPackets?: Rate;
  ingressBytes?: Rate;
  ingressPackets?: Rate;
  maxConnections?: number;
  /** socks4://, socks5://, http://ADDR:PORT */
  proxy?: string;
  socks4UserId?: string;
  socks5Username?: string;
  /** The variable of this process that has the password. */
  socks5PasswordEnv?: string;
  /** "HOST_PATH:PORT[/stream|/dgram]" */
  vsock?: readonly string[];
  /** A file that gets all frames. */
  pcap?: string;
  /** A rule's name must be confirmed by the flow itself. */
  strict?: boolean;
  rebindProtection?: boolean;
  trustHostCas?: boolean;
  logDenied?: boolean;
}

const actions: Record<NetworkAction, number> = { allow: ACTION.MSB_NET_ALLOW, deny: ACTION.MSB_NET_DENY };

const KEYS = [
  "enabled",
  "profile",
  "rules",
  "defaultEgress",
  "defaultIngress",
  "ports",
  "nameservers",
  "dnsTimeoutMs",
  "ipv4Pool",
  "ipv6Pool",
  "mtu",
  "egressBytes",
  "egressPackets",
  "ingressBytes",
  "ingressPackets",
  "maxConnections",
  "proxy",
  "socks4UserId",
  "socks5Username",
  "socks5PasswordEnv",
  "vsock",
  "pcap",
  "strict",
  "rebindProtection",
  "trustHostCas",
  "logDenied",
] as const satisfies readonly (keyof NetworkOptions)[];

export function portOf(value: unknown): object {
  const o = check.options(check.object(value, "a port"), "a port", ["host", "guest", "bind", "udp"]);
  return {
    host: check.integer(o["host"], "the host's port", 0, check.U16),
    guest: check.integer(o["guest"], "the guest's port", 1, check.U16),
    bind: check.optional(o["bind"], (v) => check.name(v, "bind")),
    flags: check.optional(o["udp"], (v) => check.flag(v, "udp")) ? PORT.MSB_PORT_UDP : 0,
  };
}

function rateOf(value: unknown, what: string): object {
  const o = check.options(check.object(value, what), what, ["perSecond", "burst"]);
  return {
    per_second: check.integer(o["perSecond"], `${what}.perSecond`, 1, check.SAFE),
    burst: check.optional(o["burst"], (v) => check.integer(v, `${what}.burst`, 0, check.SAFE)),
  };
}

const profileOf = (value: unknown): string =>
  Array.isArray(value) ? check.texts(value, "profile").join(",") : check.name(value, "profile");

function flagsOf(o: Record<string, unknown>): number {
  const on = (key: string): boolean | undefined => check.optional(o[key], (v) => check.flag(v, key));
  return (
    (on("enabled") === false ? FLAG.MSB_NET_DISABLED : 0) |
    (on("strict") ? FLAG.MSB_NET_STRICT : 0) |
    (on("rebindProtection") === false ? FLAG.MSB_NET_NO_REBIND_PROTECTION : 0) |
    (on("trustHostCas") ? FLAG.MSB_NET_TRUST_HOST_CAS : 0) |
    (on("logDenied") ? FLAG.MSB_NET_LOG_DENIED : 0)
  );
}

function checked(value: unknown): object {
  const o = check.options(value, "network", KEYS);
  const word = (key: string): string | undefined => check.optional(o[key], (v) => check.name(v, key));
  const words = (key: string): string[] | undefined => check.optional(o[key], (v) => check.texts(v, key));
  const rate = (key: string): object | undefined => check.optional(o[key], (v) => rateOf(v, key));
  const number = (key: string, max: number): number | undefined =>
    check.optional(o[key], (v) => check.integer(v, key, 0, max));
  return {
    flags: flagsOf(o),
    profile: check.optional(o["profile"], profileOf),
    rules: check.optional(o["rules"], ruleTexts),
    default_egress: check.optional(o["defaultEgress"], (v) => check.oneOf(v, "defaultEgress", actions)),
    default_ingress: check.optional(o["defaultIngress"], (v) => check.oneOf(v, "defaultIngress", actions)),
    ports: check.optional(o["ports"], (v) => check.list(v, "ports").map(portOf)),
    nameservers: words("nameservers"),
    dns_timeout_ms: number("dnsTimeoutMs", check.U32),
    ipv4_pool: word("ipv4Pool"),
    ipv6_pool: word("ipv6Pool"),
    mtu: number("mtu", check.U16),
    egress_bytes: rate("egressBytes"),
    egress_packets: rate("egressPackets"),
    ingress_bytes: rate("ingressBytes"),
    ingress_packets: rate("ingressPackets"),
    max_connections: number("maxConnections", check.U32),
    proxy: word("proxy"),
    socks4_user_id: word("socks4UserId"),
    socks5_username: word("socks5Username"),
    socks5_password_env: word("socks5PasswordEnv"),
    vsock: words("vsock"),
    pcap: word("pcap"),
  };
}

/** `n.profile("public").rule("deny@*.example.com").port(8080, 80)` */
export class NetworkBuilder {
  #options: NetworkOptions;
  /** @internal What is said of TLS and secrets here, for the sandbox. */
  tlsOptions: TlsOptions | undefined;
  /** @internal */
  readonly secrets: SecretBuilder[] = [];

  constructor(options: NetworkOptions = {}) {
    checked(options);
    this.#options = { ...options };
  }

  #with(more: NetworkOptions): this {
    checked(more);
    this.#options = { ...this.#options, ...more };
    return this;
  }

  /** All that a NetworkOptions can say. */
  options(options: NetworkOptions): this {
    return this.#with(options);
  }

  enabled(on: boolean): this {
    return this.#with({ enabled: on });
  }

  profile(...profiles: NetworkProfile[]): this {
    return this.#with({ profile: profiles });
  }

  /** Take over another policy: Network.none(), NetworkPolicy.none() and the like. */
  policy(policy: NetworkBuilder | NetworkOptions | NetworkPolicy | NetworkPolicyBuilder): this {
    if (policy instanceof NetworkPolicyBuilder) return this.#with(policy.build());
    return this.#with(policy instanceof NetworkBuilder ? policy.#options : policy);
  }

  /** `n.dns(d => d.nameservers(["1.1.1.1"]))` */
  dns(make: (d: DnsBuilder) => unknown): this {
    const fresh = new DnsBuilder();
    make(fresh);
    return this.#with(fresh.options);
  }

  /** `n.tls(t => t.bypass("*.example.com"))`: TLS is looked into. */
  tls(make: (t: TlsBuilder) => unknown): this {
    const fresh = new TlsBuilder();
    make(fresh);
    this.tlsOptions = { ...this.tlsOptions, ...fresh.build() };
    return this;
  }

  secret(make: (s: SecretBuilder) => unknown): this {
    const fresh = new SecretBuilder();
    make(fresh);
    this.secrets.push(fresh);
    return this;
  }

  secretEnv(variable: string, value: string, placeholder: string, host: string): this {
    return this.secret((s) => s.env(variable).value(value).placeholder(placeholder).allowHost(host));
  }

  /** `n.rateLimiter(r => r.egress(l => l.bandwidth(MB, 1000)))` */
  rateLimiter(make: (r: NetworkRateLimiterBuilder) => unknown): this {
    const fresh = new NetworkRateLimiterBuilder();
    make(fresh);
    return this.#with(fresh.options);
  }

  onSecretViolation(action: ViolationAction | ((v: ViolationActionBuilder) => unknown)): this {
    this.tlsOptions = { ...this.tlsOptions, onViolation: ViolationActionBuilder.made(action) };
    return this;
  }

  ipv4Pool(pool: string): this {
    return this.#with({ ipv4Pool: pool });
  }

  ipv6Pool(pool: string): this {
    return this.#with({ ipv6Pool: pool });
  }

  rule(...rules: string[]): this {
    return this.#with({ rules: [...(this.#options.rules ?? []), ...rules] });
  }

  defaultEgress(action: NetworkAction): this {
    return this.#with({ defaultEgress: action });
  }

  defaultIngress(action: NetworkAction): this {
    return this.#with({ defaultIngress: action });
  }

  #port(port: PortOptions): this {
    return this.#with({ ports: [...(this.#options.ports ?? []), port] });
  }

  port(host: number, guest: number): this {
    return this.#port({ host, guest });
  }

  portBind(bind: string, host: number, guest: number): this {
    return this.#port({ bind, host, guest });
  }

  portUdp(host: number, guest: number): this {
    return this.#port({ host, guest, udp: true });
  }

  portUdpBind(bind: string, host: number, guest: number): this {
    return this.#port({ bind, host, guest, udp: true });
  }

  nameserver(...servers: string[]): this {
    return this.#with({ nameservers: [...(this.#options.nameservers ?? []), ...servers] });
  }

  maxConnections(count: number): this {
    return this.#with({ maxConnections: count });
  }

  proxy(url: string): this {
    return this.#with({ proxy: url });
  }

  strict(on = true): this {
    return this.#with({ strict: on });
  }

  mtu(mtu: number): this {
    return this.#with({ mtu });
  }

  trustHostCas(on = true): this {
    return this.#with({ trustHostCas: on });
  }

  trustHostCAs(on: boolean): this {
    return this.trustHostCas(on);
  }

  logDenied(on = true): this {
    return this.#with({ logDenied: on });
  }

  vsock(...paths: string[]): this {
    return this.#with({ vsock: [...(this.#options.vsock ?? []), ...paths] });
  }

  /** @internal */
  get native(): object {
    return checked(this.#options);
  }
}

/** Limits of one direction: so many at once, and as many again in the time. */
export class RateLimiterBuilder {
  /** @internal */
  bytes: Rate | undefined;
  /** @internal */
  packets: Rate | undefined;

  bandwidth(sizeBytes: number, refillTimeMs: number): this {
    this.bytes = bucket(sizeBytes, refillTimeMs);
    return this;
  }

  ops(count: number, refillTimeMs: number): this {
    this.packets = bucket(count, refillTimeMs);
    return this;
  }
}

function bucket(size: unknown, refillTimeMs: unknown): Rate {
  const burst = check.integer(size, "the bucket's size", 1, check.SAFE);
  const ms = check.integer(refillTimeMs, "refillTimeMs", 1, check.U32);
  return { perSecond: Math.max(1, Math.floor((burst * 1000) / ms)), burst };
}

/** Of both directions. */
export class NetworkRateLimiterBuilder {
  /** @internal */
  options: NetworkOptions = {};

  egress(make: (l: RateLimiterBuilder) => unknown): this {
    return this.#way(make, "egressBytes", "egressPackets");
  }

  ingress(make: (l: RateLimiterBuilder) => unknown): this {
    return this.#way(make, "ingressBytes", "ingressPackets");
  }

  #way(
    make: (l: RateLimiterBuilder) => unknown,
    bytes: "egressBytes" | "ingressBytes",
    packets: "egressPackets" | "ingressPackets",
  ): this {
    const fresh = new RateLimiterBuilder();
    make(fresh);
    if (fresh.bytes) this.options = { ...this.options, [bytes]: fresh.bytes };
    if (fresh.packets) this.options = { ...this.options, [packets]: fresh.packets };
    return this;
  }
}

/** Names: whom the gateway's name server asks. */
export class DnsBuilder {
  /** @internal */
  options: NetworkOptions = {};

  #with(more: NetworkOptions): this {
    this.options = { ...this.options, ...more };
    return this;
  }

  nameservers(servers: readonly string[]): this {
    return this.#with({ nameservers: servers });
  }

  rebindProtection(on: boolean): this {
    return this.#with({ rebindProtection: on });
  }

  queryTimeoutMs(ms: number): this {
    return this.#with({ dnsTimeoutMs: ms });
  }
}

/** Whole policies. */
export const Network = {
  /** No network at all. */
  none: (): NetworkBuilder => new NetworkBuilder({ enabled: false }),
  /** The public internet, nothing private: the default. */
  publicOnly: (): NetworkBuilder => new NetworkBuilder({ profile: "public" }),
  /** Everything, both ways. */
  allowAll: (): NetworkBuilder => new NetworkBuilder({ profile: "all" }),
  fromProfiles: (...profiles: NetworkProfile[]): NetworkBuilder => new NetworkBuilder({ profile: profiles }),
  /** Only these names, and on these ports if any are given; no other name is looked up. */
  only: (hosts: readonly string[], ports: readonly number[] = []): NetworkBuilder => {
    const to = check.list(ports, "ports").map((p) => check.integer(p, "a port", 1, check.U16));
    const ends = to.length > 0 ? to.map((p) => `:tcp:${p}`) : [""];
    const rules = check.texts(hosts, "hosts").flatMap((h) => ends.map((end) => `allow@${h}${end}`));
    return new NetworkBuilder({ defaultEgress: "deny", rules });
  },
};

/** What the option `network` takes, as the library does. */
export function networkOf(value: unknown): object {
  if (value instanceof NetworkBuilder) return value.native;
  if (typeof value === "string") return checked({ profile: value as NetworkProfile });
  return checked(value);
}
