/** Secrets, which the guest only has a placeholder of. */
import { msb_secret_flags as FLAG, msb_violation as VIOLATION } from "./api.gen";
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

/** `v => v.blockAndTerminate()` */
export class ViolationActionBuilder {
  #action: ViolationAction = "block-and-log";

  #to(action: ViolationAction): this {
    this.#action = action;
    return this;
  }

  block(): this {
    return this.#to("block");
  }

  blockAndLog(): this {
    return this.#to("block-and-log");
  }

  blockAndTerminate(): this {
    return this.#to("block-and-terminate");
  }

  passthroughAllHosts(iUnderstand: boolean): this {
    if (!check.flag(iUnderstand, "iUnderstand")) throw invalid("passthroughAllHosts() wants true");
    return this.#to("passthrough");
  }

  /** @internal */
  static made(action: unknown): ViolationAction {
    if (typeof action !== "function") return action as ViolationAction;
    const fresh = new ViolationActionBuilder();
    action(fresh);
    return fresh.#action;
  }
}

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

  allowHostPattern(pattern: string): this {
    return this.allowHost(pattern);
  }

  allowAnyHostDangerous(iUnderstand: boolean): this {
    if (!check.flag(iUnderstand, "iUnderstand")) throw invalid("allowAnyHostDangerous() wants true");
    return this.allowHost("*");
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

  onViolation(action: ViolationAction | ((v: ViolationActionBuilder) => unknown)): this {
    return this.#set("violation", violationOf(ViolationActionBuilder.made(action)));
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
