/** What commands wrote, and what the machine said. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { msb_log_source as SOURCE } from "./api.gen";
import * as check from "./check";
import { CancelledError } from "./errors";
import { still } from "./exec";
import { type HomeOption, homeOf } from "./home";
import { addon, call, callSync, closeHandle, type Handle } from "./native";

export type LogSource = "stdout" | "stderr" | "output" | "console" | "system";
export type LogReadSource = LogSource | "all";
const sources: Record<LogSource, number> = {
  stdout: SOURCE.MSB_LOG_STDOUT,
  stderr: SOURCE.MSB_LOG_STDERR,
  output: SOURCE.MSB_LOG_OUTPUT,
  console: SOURCE.MSB_LOG_CONSOLE,
  system: SOURCE.MSB_LOG_SYSTEM,
};
const readSources: Record<LogReadSource, number> = {
  ...sources,
  all: Object.values(sources).reduce((sum, bit) => sum | bit, 0),
};
const names = new Map(Object.entries(sources).map(([k, v]) => [v, k as LogSource]));

/** A piece of output as it was captured: any bytes, not always a line. */
export class LogEntry {
  readonly timestamp: Date;
  readonly source: LogSource;
  /** Of which command; 0n: of none. */
  readonly session: bigint;
  readonly data: Buffer;

  /** @internal */
  constructor(native: { unix_ms: number; session: bigint; source: number; data: Buffer }) {
    this.timestamp = new Date(native.unix_ms);
    this.source = names.get(native.source) ?? "system";
    this.session = native.session;
    this.data = native.data;
  }

  /** The same as a number; null: of none. */
  get sessionId(): number | null {
    return this.session === 0n ? null : Number(this.session);
  }

  text(): string {
    return this.data.toString("utf8");
  }
}

export interface LogOptions extends HomeOption {
  /** Of commands, if nothing is said. */
  sources?: readonly LogReadSource[];
  /** Only the last so many lines. */
  tail?: number;
  since?: Date | number;
  until?: Date | number;
  /** Only of this command. */
  session?: bigint;
}

export interface LogStreamOptions extends LogOptions {
  /** Go on with what is written later, until the machine ends; true. */
  follow?: boolean;
  signal?: AbortSignal;
}

const KEYS = ["sources", "tail", "since", "until", "session", "follow", "signal", "home"];

function time(value: unknown, what: string): number {
  const ms = value instanceof Date ? value.getTime() : value;
  return check.integer(ms, what, 0, check.SAFE);
}

function sessionOf(value: unknown): bigint {
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n) return value;
  return BigInt(check.integer(value, "session", 0, check.SAFE));
}

/** An open log; `for await` gives its entries, oldest first. */
export class LogStream implements AsyncIterable<LogEntry>, AsyncDisposable {
  readonly #handle: Handle;
  readonly #fd: number;
  #closed = false;
  #cancelled: { reason: unknown } | undefined;

  private constructor(handle: Handle, follow: boolean, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#fd = follow ? callSync<number>("msb_logs_fd", [handle]) : -1;
    const weak = new WeakRef(this);
    const abort = (): void => still(weak, (it) => it.#cancel(signal?.reason));
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) this.#cancel(signal.reason);
  }

  #cancel(reason: unknown): void {
    if (this.#closed) return;
    this.#cancelled = { reason };
    void this.close();
  }

  /** @internal */
  static async open(name: string, options: unknown, follows: boolean): Promise<LogStream> {
    const o = check.options(options, "options", KEYS);
    const what = check.name(name, "name");
    const follow = check.optional(o["follow"], (v) => check.flag(v, "follow")) ?? follows;
    const bits = check
      .list(o["sources"] ?? [], "sources")
      .reduce<number>((sum, s) => sum | check.oneOf(s, "a source", readSources), 0);
    const native = {
      sources: bits,
      follow: follow ? 1 : 0,
      tail: check.optional(o["tail"], (v) => check.integer(v, "tail", 0, check.SAFE)),
      since_ms: check.optional(o["since"], (v) => time(v, "since")),
      until_ms: check.optional(o["until"], (v) => time(v, "until")),
      session: check.optional(o["session"], sessionOf),
    };
    const signal = check.signalOf(o["signal"]);
    const home = await homeOf(o["home"]);
    return new LogStream(
      await call("msb_logs_open", [home, what, native], { subject: "sandbox", signal }),
      follow,
      signal,
    );
  }

  /** The next entry; null when there will be none. */
  async next(): Promise<LogEntry | null> {
    for (;;) {
      if (this.#cancelled) throw new CancelledError("the stream was cancelled", { cause: this.#cancelled.reason });
      if (this.#closed) return null;
      const e = callSync<ConstructorParameters<typeof LogEntry>[0] | null>("msb_logs_next", [this.#handle, 0]);
      if (e) return new LogEntry(e);
      if (this.#fd < 0 || callSync<number>("msb_logs_ended", [this.#handle])) return null;
      await addon().watch(this.#fd);
    }
  }

  recv(): Promise<LogEntry | null> {
    return this.next();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogEntry, void, void> {
    try {
      let count = 0;
      for (let e = await this.next(); e; e = await this.next()) {
        yield e;
        if (++count % 64 === 0) await nextTurn();
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#fd >= 0) addon().unwatch(this.#fd);
    await closeHandle(this.#handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** All entries that are there. */
export async function readLogs(name: string, options?: LogOptions): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const e of await LogStream.open(name, options, false)) entries.push(e);
  return entries;
}
