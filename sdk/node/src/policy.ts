/** Network policies as objects; what becomes of them is the text of rules, see docs/network.md. */
import * as check from "./check";
import { invalid } from "./errors";

export type Action = "allow" | "deny";
export type Direction = "egress" | "ingress" | "any";
export type Protocol = "tcp" | "udp" | "icmpv4" | "icmpv6";
export type DestinationGroup =
  "public" | "loopback" | "private" | "link-local" | "metadata" | "multicast" | "host" | "dns";

export type Destination =
  | { kind: "any" }
  | { kind: "cidr"; cidr: string }
  | { kind: "domain"; domain: string }
  | { kind: "domainSuffix"; suffix: string }
  | { kind: "group"; group: DestinationGroup };

/** Whom a rule is about. */
export const Destination = {
  any: (): Destination => ({ kind: "any" }),
  /** An address, too. */
  cidr: (cidr: string): Destination => ({ kind: "cidr", cidr }),
  domain: (domain: string): Destination => ({ kind: "domain", domain }),
  /** A name and all below it. */
  domainSuffix: (suffix: string): Destination => ({ kind: "domainSuffix", suffix }),
  group: (group: DestinationGroup): Destination => ({ kind: "group", group }),
};

export interface PortRange {
  readonly start: number;
  readonly end: number;
}

export const PortRange = {
  single: (port: number): PortRange => ({ start: port, end: port }),
  range: (start: number, end: number): PortRange => ({ start, end }),
};

export interface Rule {
  readonly direction: Direction;
  readonly destination: Destination;
  /** None: any. */
  readonly protocols: readonly Protocol[];
  /** None: any. */
  readonly ports: readonly PortRange[];
  readonly action: Action;
}

const ruleOf = (action: Action, direction: Direction, destination: Destination): Rule => ({
  direction,
  destination,
  protocols: [],
  ports: [],
  action,
});
const dns = (action: Action): Rule => ruleOf(action, "egress", { kind: "group", group: "dns" });

export const Rule = {
  allowEgress: (destination: Destination): Rule => ruleOf("allow", "egress", destination),
  denyEgress: (destination: Destination): Rule => ruleOf("deny", "egress", destination),
  allowIngress: (destination: Destination): Rule => ruleOf("allow", "ingress", destination),
  denyIngress: (destination: Destination): Rule => ruleOf("deny", "ingress", destination),
  allowAny: (destination: Destination): Rule => ruleOf("allow", "any", destination),
  denyAny: (destination: Destination): Rule => ruleOf("deny", "any", destination),
  /** The gateway's name server. */
  allowDns: (): Rule => dns("allow"),
  denyDns: (): Rule => dns("deny"),
};

/** Rules, of which the first that matches decides, and what becomes of all else. */
export interface NetworkPolicy {
  readonly defaultEgress: Action;
  readonly defaultIngress: Action;
  readonly rules: readonly Rule[];
}

const closed = (text: string): string => (text.includes(":") && !text.startsWith("[") ? `[${text}]` : text);

function targetOf(value: unknown): string {
  const d = check.object(value, "a rule's destination");
  const word = (key: string): string => check.name(d[key], `a destination's ${key}`);
  if (d["kind"] === "any") return "any";
  if (d["kind"] === "cidr") return closed(word("cidr"));
  if (d["kind"] === "domain") return `domain=${word("domain")}`;
  if (d["kind"] === "domainSuffix") return `suffix=${word("suffix").replace(/^\*?\./, "")}`;
  if (d["kind"] === "group") return word("group") === "metadata" ? "meta" : word("group");
  throw invalid("a destination's kind must be any, cidr, domain, domainSuffix or group");
}

/** A rule's text: one for each protocol and range of ports. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [check.name(value, "a rule")];
  const r = check.object(value, "a rule");
  const head = `${check.name(r["action"], "action")}:${check.name(r["direction"], "direction")}@${targetOf(r["destination"])}`;
  const protocols = check.texts(r["protocols"] ?? [], "protocols");
  const ports = check.list(r["ports"] ?? [], "ports").map((p) => {
    const range = check.object(p, "a range of ports");
    const [a, b] = ["start", "end"].map((k) => check.integer(range[k], `a port range's ${k}`, 0, check.U16));
    return a === b ? `${a}` : `${a}-${b}`;
  });
  if (protocols.length === 0 && ports.length === 0) return [head];
  const of = protocols.length > 0 ? protocols : ["any"];
  return of.flatMap((p) => (ports.length > 0 ? ports.map((n) => `${head}:${p}:${n}`) : [`${head}:${p}`]));
}

/** Rules as the library takes them. */
export const ruleTexts = (rules: unknown): string[] => check.list(rules, "rules").flatMap(textsOf);

/** Rules that share direction, protocols and ports: `r.tcp().port(443).allowDomain("api.example.com")`. */
export class RuleBuilder {
  readonly #rules: Rule[];
  #direction: Direction | undefined;
  readonly #protocols = new Set<Protocol>();
  readonly #ports: PortRange[] = [];

  /** @internal */
  constructor(rules: Rule[], direction?: Direction) {
    this.#rules = rules;
    this.#direction = direction;
  }

  #to(direction: Direction): this {
    this.#direction = direction;
    return this;
  }

  #by(protocol: Protocol): this {
    this.#protocols.add(protocol);
    return this;
  }

  #add(action: Action, ...destinations: Destination[]): this {
    if (!this.#direction) throw invalid("a rule needs its direction before: egress(), ingress() or any()");
    for (const d of destinations) {
      this.#rules.push({
        ...ruleOf(action, this.#direction, d),
        protocols: [...this.#protocols],
        ports: [...this.#ports],
      });
    }
    return this;
  }

  #groups(action: Action, ...groups: DestinationGroup[]): this {
    return this.#add(action, ...groups.map(Destination.group));
  }

  egress(): this {
    return this.#to("egress");
  }

  ingress(): this {
    return this.#to("ingress");
  }

  any(): this {
    return this.#to("any");
  }

  tcp(): this {
    return this.#by("tcp");
  }

  udp(): this {
    return this.#by("udp");
  }

  icmpv4(): this {
    return this.#by("icmpv4");
  }

  icmpv6(): this {
    return this.#by("icmpv6");
  }

  port(port: number): this {
    return this.portRange(port, port);
  }

  portRange(low: number, high: number): this {
    const [start, end] = [check.integer(low, "port", 0, check.U16), check.integer(high, "port", 0, check.U16)];
    if (start > end) throw invalid(`a range of ports must not end before it begins: ${start}-${end}`);
    this.#ports.push({ start, end });
    return this;
  }

  ports(ports: readonly number[]): this {
    for (const p of check.list(ports, "ports")) this.port(p as number);
    return this;
  }

  allowPublic(): this {
    return this.#groups("allow", "public");
  }

  denyPublic(): this {
    return this.#groups("deny", "public");
  }

  allowPrivate(): this {
    return this.#groups("allow", "private");
  }

  denyPrivate(): this {
    return this.#groups("deny", "private");
  }

  allowLoopback(): this {
    return this.#groups("allow", "loopback");
  }

  denyLoopback(): this {
    return this.#groups("deny", "loopback");
  }

  allowLinkLocal(): this {
    return this.#groups("allow", "link-local");
  }

  denyLinkLocal(): this {
    return this.#groups("deny", "link-local");
  }

  allowMeta(): this {
    return this.#groups("allow", "metadata");
  }

  denyMeta(): this {
    return this.#groups("deny", "metadata");
  }

  allowMulticast(): this {
    return this.#groups("allow", "multicast");
  }

  denyMulticast(): this {
    return this.#groups("deny", "multicast");
  }

  allowHost(): this {
    return this.#groups("allow", "host");
  }

  denyHost(): this {
    return this.#groups("deny", "host");
  }

  /** Loopback, link-local and the host. */
  allowLocal(): this {
    return this.#groups("allow", "loopback", "link-local", "host");
  }

  denyLocal(): this {
    return this.#groups("deny", "loopback", "link-local", "host");
  }

  allowDomain(name: string): this {
    return this.#add("allow", Destination.domain(name));
  }

  denyDomain(name: string): this {
    return this.#add("deny", Destination.domain(name));
  }

  allowDomains(names: readonly string[]): this {
    return this.#add("allow", ...check.texts(names, "names").map(Destination.domain));
  }

  denyDomains(names: readonly string[]): this {
    return this.#add("deny", ...check.texts(names, "names").map(Destination.domain));
  }

  allowDomainSuffix(suffix: string): this {
    return this.#add("allow", Destination.domainSuffix(suffix));
  }

  denyDomainSuffix(suffix: string): this {
    return this.#add("deny", Destination.domainSuffix(suffix));
  }

  allowDomainSuffixes(suffixes: readonly string[]): this {
    return this.#add("allow", ...check.texts(suffixes, "suffixes").map(Destination.domainSuffix));
  }

  denyDomainSuffixes(suffixes: readonly string[]): this {
    return this.#add("deny", ...check.texts(suffixes, "suffixes").map(Destination.domainSuffix));
  }

  /** `r.allow(d => d.cidr("10.1.0.0/16"))` */
  allow(make: (d: RuleDestinationBuilder) => unknown): this {
    make(new RuleDestinationBuilder((d) => this.#add("allow", d)));
    return this;
  }

  deny(make: (d: RuleDestinationBuilder) => unknown): this {
    make(new RuleDestinationBuilder((d) => this.#add("deny", d)));
    return this;
  }
}

/** What allow() and deny() are about. */
export class RuleDestinationBuilder {
  readonly #add: (d: Destination) => unknown;

  /** @internal */
  constructor(add: (d: Destination) => unknown) {
    this.#add = add;
  }

  #one(d: Destination): this {
    this.#add(d);
    return this;
  }

  ip(ip: string): this {
    return this.#one(Destination.cidr(ip));
  }

  cidr(cidr: string): this {
    return this.#one(Destination.cidr(cidr));
  }

  domain(domain: string): this {
    return this.#one(Destination.domain(domain));
  }

  domainSuffix(suffix: string): this {
    return this.#one(Destination.domainSuffix(suffix));
  }

  group(group: DestinationGroup): this {
    return this.#one(Destination.group(group));
  }

  any(): this {
    return this.#one(Destination.any());
  }
}

/** `NetworkPolicy.builder().defaultDeny().egress(e => e.tcp().port(443).allowPublic()).build()` */
export class NetworkPolicyBuilder {
  #egress: Action = "deny";
  #ingress: Action = "allow";
  readonly #rules: Rule[] = [];

  #batch(make: (r: RuleBuilder) => unknown, direction?: Direction): this {
    make(new RuleBuilder(this.#rules, direction));
    return this;
  }

  defaultAllow(): this {
    return this.defaultEgress("allow").defaultIngress("allow");
  }

  defaultDeny(): this {
    return this.defaultEgress("deny").defaultIngress("deny");
  }

  defaultEgress(action: Action): this {
    this.#egress = check.oneOf(action, "defaultEgress", { allow: "allow", deny: "deny" } as const);
    return this;
  }

  defaultIngress(action: Action): this {
    this.#ingress = check.oneOf(action, "defaultIngress", { allow: "allow", deny: "deny" } as const);
    return this;
  }

  rule(make: (r: RuleBuilder) => unknown): this {
    return this.#batch(make);
  }

  egress(make: (r: RuleBuilder) => unknown): this {
    return this.#batch(make, "egress");
  }

  ingress(make: (r: RuleBuilder) => unknown): this {
    return this.#batch(make, "ingress");
  }

  any(make: (r: RuleBuilder) => unknown): this {
    return this.#batch(make, "any");
  }

  build(): NetworkPolicy {
    return { defaultEgress: this.#egress, defaultIngress: this.#ingress, rules: [...this.#rules] };
  }
}

const policy = (defaults: Action, rules: readonly Rule[] = []): NetworkPolicy => ({
  defaultEgress: defaults,
  defaultIngress: defaults,
  rules,
});

/** Whole policies, for `.network(n => n.policy(NetworkPolicy.none()))`. */
export const NetworkPolicy = {
  builder: (): NetworkPolicyBuilder => new NetworkPolicyBuilder(),
  /** Nothing, both ways; with an interface, which Network.none() has not. */
  none: (): NetworkPolicy => policy("deny"),
  allowAll: (): NetworkPolicy => policy("allow"),
  /** public, private and host, in any combination, and name service. */
  fromProfiles: (profiles: Iterable<"public" | "private" | "host">): NetworkPolicy => {
    const rules = [...profiles].map((p) => Rule.allowEgress(Destination.group(p)));
    return { defaultEgress: "deny", defaultIngress: "allow", rules: rules.length ? [Rule.allowDns(), ...rules] : [] };
  },
};
