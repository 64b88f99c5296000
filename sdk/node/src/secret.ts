/** Secrets, which the guest only has a placeholder of, and what is looked into for them. */
import { msb_secret_flags as FLAG, msb_tls_flags as TLS, msb_violation as VIOLATION } from "./api.gen";
import * as check from "./check";
import { invalid } from "./errors";

/** What happens when a placeholder goes where it must not. */
export type ViolationAction = "block" | "block-and-log" | "block-and-terminate" | "passthrough";
const violations: Record<ViolationAction, number> = {
  block: VIOLATION.MSB_VIOLATION_BLOCK,
  "block-and-log": VIOLATION.MSB_VIOLATION_BLOCK_LOG,
  "block-and-terminate": VIOLATION.MSB_VIOLATION_BLOCK_TERMINATE,
  passthrough: VIOLATION.MSB_VIOLATION_PASS,
};
export const violationOf = (v: unknown): number => check.oneOf(v, "onViolation", violations);

export interface SecretOptions {
  /** Never kept; without it the process's variable of this name is read at each start. */
  value?: string;
  /** Another variable of this process to read it from. */
  source?: string;
  /** What the guest sees; MSB_ and random digits. */
  placeholder?: string;
  /** Names where the value may go: "api.example.com", "*.example.com", "*". */
  allowHosts?: readonly string[];
  /** Where a placeholder may stand. Of none is said: headers and basic. */
  injectHeaders?: boolean;
  injectBasicAuth?: boolean;
  injectQuery?: boolean;
  injectBody?: boolean;
  /** The value in an answer becomes the placeholder again. */
  mask?: boolean;
  onViolation?: ViolationAction;
}

const places = {
  injectHeaders: FLAG.MSB_SECRET_HEADERS,
  injectBasicAuth: FLAG.MSB_SECRET_BASIC,
  injectQuery: FLAG.MSB_SECRET_QUERY,
  injectBody: FLAG.MSB_SECRET_BODY,
} as const;
type Place = keyof typeof places;
const DEFAULT_PLACES = FLAG.MSB_SECRET_HEADERS | FLAG.MSB_SECRET_BASIC;

/** One secret: `s.env("API_KEY").value(key).allowHost("api.example.com")`. */
export class SecretBuilder {
  readonly #native: Record<string, unknown> = {};
  readonly #hosts: string[] = [];
  #places: number | undefined;
  #mask = 0;

  #set(key: string, value: unknown): this {
    this.#native[key] = value;
    return this;
  }

  #place(place: Place, on: unknown): this {
    const now = this.#places ?? DEFAULT_PLACES;
    this.#places = check.flag(on, place) ? now | places[place] : now & ~places[place];
    return this;
  }

  /** The guest's variable. */
  env(variable: string): this {
    return this.#set("env", check.name(variable, "env"));
  }

  value(value: string): this {
    return this.#set("value", check.text(value, "value"));
  }

  source(variable: string): this {
    return this.#set("source", check.name(variable, "source"));
  }

  placeholder(text: string): this {
    return this.#set("placeholder", check.name(text, "placeholder"));
  }

  allowHost(...hosts: string[]): this {
    this.#hosts.push(...hosts.map((h) => check.name(h, "host")));
    return this;
  }

  injectHeaders(on = true): this {
    return this.#place("injectHeaders", on);
  }

  injectBasicAuth(on = true): this {
    return this.#place("injectBasicAuth", on);
  }

  injectQuery(on = true): this {
    return this.#place("injectQuery", on);
  }

  injectBody(on = true): this {
    return this.#place("injectBody", on);
  }

  mask(on = true): this {
    this.#mask = check.flag(on, "mask") ? FLAG.MSB_SECRET_MASK : 0;
    return this;
  }

  onViolation(action: ViolationAction): this {
    return this.#set("violation", violationOf(action));
  }

  /** @internal */
  get native(): object {
    check.name(this.#native["env"], "the secret's env");
    if (this.#places === 0) throw invalid("a secret must be allowed in one place at least");
    const hosts = this.#hosts.length > 0 ? this.#hosts : undefined;
    return { ...this.#native, hosts, flags: (this.#places ?? 0) | this.#mask };
  }
}

const KEYS = [
  "value",
  "source",
  "placeholder",
  "allowHosts",
  "injectHeaders",
  "injectBasicAuth",
  "injectQuery",
  "injectBody",
  "mask",
  "onViolation",
];

export const Secret = {
  /** `Secret.env("API_KEY", {value: key, allowHosts: ["api.example.com"]})` */
  env(variable: string, options: SecretOptions = {}): SecretBuilder {
    const o = check.options(options, "options", KEYS);
    const s = new SecretBuilder().env(variable);
    if (o["value"] !== undefined) s.value(o["value"] as string);
    if (o["source"] !== undefined) s.source(o["source"] as string);
    if (o["placeholder"] !== undefined) s.placeholder(o["placeholder"] as string);
    if (o["allowHosts"] !== undefined) s.allowHost(...check.texts(o["allowHosts"], "allowHosts"));
    for (const place of Object.keys(places) as Place[]) {
      if (o[place] !== undefined) s[place](o[place] as boolean);
    }
    if (o["mask"] !== undefined) s.mask(o["mask"] as boolean);
    if (o["onViolation"] !== undefined) s.onViolation(o["onViolation"] as ViolationAction);
    return s;
  },
};

export interface TlsOptions {
  /** Look into every name, not only into those that secrets are for. */
  intercept?: boolean;
  /** Ports to look into; 443. */
  ports?: readonly (number | string)[];
  /** Names that are never looked into. */
  bypass?: readonly string[];
  /** PEM files; made at each start. */
  caCert?: string;
  caKey?: string;
  /** PEM files with certificates that servers may be signed by. */
  upstreamCas?: readonly string[];
  /** The same for some names: "PATTERN=FILE". */
  upstreamCasFor?: readonly string[];
  /** Names whose certificate is not checked; no value goes there. */
  noVerifyFor?: readonly string[];
  blockQuic?: boolean;
  onViolation?: ViolationAction;
}

export function tlsOf(value: unknown): object {
  const o = check.options(value, "tls", [
    "intercept",
    "ports",
    "bypass",
    "caCert",
    "caKey",
    "upstreamCas",
    "upstreamCasFor",
    "noVerifyFor",
    "blockQuic",
    "onViolation",
  ]);
  const list = (key: string): string[] | undefined => check.optional(o[key], (v) => check.texts(v, `tls.${key}`));
  const file = (key: string): string | undefined => check.optional(o[key], (v) => check.name(v, `tls.${key}`));
  const on = (key: string): boolean | undefined => check.optional(o[key], (v) => check.flag(v, `tls.${key}`));
  const ports = check.optional(o["ports"], (v) =>
    check
      .list(v, "tls.ports")
      .map((p) => String(typeof p === "string" ? check.name(p, "a port") : check.integer(p, "a port", 1, check.U16))),
  );
  return {
    flags: (on("intercept") ? TLS.MSB_TLS_INTERCEPT : 0) | (on("blockQuic") === false ? TLS.MSB_TLS_NO_BLOCK_QUIC : 0),
    violation: check.optional(o["onViolation"], violationOf),
    ports,
    bypass: list("bypass"),
    ca_cert: file("caCert"),
    ca_key: file("caKey"),
    upstream_cas: list("upstreamCas"),
    upstream_cas_for: list("upstreamCasFor"),
    no_verify_for: list("noVerifyFor"),
  };
}
