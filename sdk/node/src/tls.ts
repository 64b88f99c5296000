/** TLS that is looked into. */
import { msb_tls_flags as TLS } from "./api.gen";
import * as check from "./check";
import { type ViolationAction, violationOf } from "./secret";
import { UnsupportedError } from "./errors";

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

/** The same as methods. */
export class TlsBuilder {
  #options: TlsOptions = { intercept: true };

  #with(more: TlsOptions): this {
    this.#options = { ...this.#options, ...more };
    return this;
  }

  bypass(pattern: string): this {
    return this.#with({ bypass: [...(this.#options.bypass ?? []), pattern] });
  }

  interceptedPorts(ports: readonly number[]): this {
    return this.#with({ ports });
  }

  blockQuic(on: boolean): this {
    return this.#with({ blockQuic: on });
  }

  verifyUpstream(on: boolean): this {
    return check.flag(on, "verifyUpstream") ? this : this.#unverified("*");
  }

  /** Names whose certificate is not checked; no secret goes there. */
  verifyUpstreamFor(pattern: string, on: boolean): this {
    if (check.flag(on, "verifyUpstreamFor")) {
      throw new UnsupportedError("verifyUpstreamFor(): certificates are checked anyway");
    }
    return this.#unverified(pattern);
  }

  #unverified(pattern: string): this {
    return this.#with({ noVerifyFor: [...(this.#options.noVerifyFor ?? []), pattern] });
  }

  upstreamCaCert(path: string): this {
    return this.#with({ upstreamCas: [...(this.#options.upstreamCas ?? []), path] });
  }

  upstreamCaCertFor(pattern: string, path: string): this {
    const said = `${check.name(pattern, "pattern")}=${check.name(path, "path")}`;
    return this.#with({ upstreamCasFor: [...(this.#options.upstreamCasFor ?? []), said] });
  }

  interceptCaCert(path: string): this {
    return this.#with({ caCert: path });
  }

  interceptCaKey(path: string): this {
    return this.#with({ caKey: path });
  }

  build(): TlsOptions {
    return { ...this.#options };
  }
}
