/** Options of a command as methods. */
import * as check from "./check";
import type { ExecOptions, Rlimits } from "./exec";

/** `execWith("ls", e => e.args(["-l"]).cwd("/"))` */
export class ExecOptionsBuilder {
  #options: ExecOptions = {};

  #with(more: ExecOptions): this {
    this.#options = { ...this.#options, ...more };
    return this;
  }

  args(args: readonly string[]): this {
    return this.#with({ args: [...(this.#options.args ?? []), ...check.texts(args, "args")] });
  }

  arg(arg: string): this {
    return this.args([arg]);
  }

  env(key: string, value: string): this {
    return this.#with({ env: { ...this.#options.env, [key]: value } });
  }

  envs(env: Readonly<Record<string, string>>): this {
    return this.#with({ env: { ...this.#options.env, ...check.object(env, "env") } as Record<string, string> });
  }

  cwd(path: string): this {
    return this.#with({ cwd: path });
  }

  user(user: string): this {
    return this.#with({ user });
  }

  rlimits(limits: Rlimits): this {
    return this.#with({ rlimits: limits });
  }

  rlimit(resource: string, soft: number, hard: number = soft): this {
    const now = (this.#options.rlimits ?? {}) as Record<string, [number, number]>;
    return this.#with({ rlimits: { ...now, [resource]: [soft, hard] } });
  }

  rlimitRange(resource: string, soft: number, hard: number): this {
    return this.rlimit(resource, soft, hard);
  }

  stdinBytes(data: string | Uint8Array): this {
    return this.#with({ stdin: data });
  }

  stdinPipe(): this {
    return this.#with({ stdin: "pipe" });
  }

  stdinNull(): this {
    return this.#with({ stdin: null });
  }

  tty(on = true): this {
    return this.#with({ tty: on });
  }

  size(rows: number, cols: number): this {
    return this.#with({ rows, cols });
  }

  /** In milliseconds. */
  timeout(ms: number): this {
    return this.#with({ timeoutMs: ms });
  }

  maxOutput(bytes: number): this {
    return this.#with({ maxOutputBytes: bytes });
  }

  log(on: boolean): this {
    return this.#with({ log: on });
  }

  signal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** @internal */
  static made(make: unknown): ExecOptions {
    const fresh = new ExecOptionsBuilder();
    const fn = check.callback(make, "the options") as ((e: ExecOptionsBuilder) => unknown) | undefined;
    const out = fn?.(fresh);
    return { ...(out instanceof ExecOptionsBuilder ? out : fresh).#options };
  }
}
