/** Commands in sandboxes: what they are told, what they wrote, and handles of those that run. */
import { constants } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { msb_exec_event_kind as KIND, msb_exec_flags as FLAG } from "./api.gen";
import * as check from "./check";
import {
  CancelledError,
  ExecFailedError,
  ExecTimeoutError,
  GoneError,
  InvalidConfigError,
  MicrosandboxError,
  TimeoutError,
} from "./errors";
import { addon, call, callSync, closeHandle, type Handle, throwIfAborted } from "./native";

/** "1024", [1024, 4096] or 1024 for soft and hard limits. */
export type RlimitValue = number | string | readonly [number, number];
export type Rlimits = Readonly<Record<string, RlimitValue>> | readonly string[];

export interface ExecOptions {
  args?: readonly string[];
  /** Variables over those of the sandbox. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** NAME, UID, NAME:GROUP, UID:GID */
  user?: string;
  /** {nofile: 1024} or ["nofile=1024:4096"] */
  rlimits?: Rlimits;
  /** Its standard input: bytes or text; "pipe" with a stream, for takeStdin(); null: none. */
  stdin?: string | Uint8Array | null;
  tty?: boolean;
  rows?: number;
  cols?: number;
  /** false: its output does not go to the sandbox's logs. */
  log?: boolean;
  /** Then it is killed: ExecTimeoutError. */
  timeoutMs?: number;
  /** At most so much of each stream is collected; 64 MiB. */
  maxOutputBytes?: number;
  signal?: AbortSignal;
  /** args are for the image's ENTRYPOINT; none: the image's CMD. */
  imageCommand?: boolean;
}

const OPTIONS = [
  "args",
  "env",
  "cwd",
  "user",
  "rlimits",
  "stdin",
  "tty",
  "rows",
  "cols",
  "log",
  "timeoutMs",
  "maxOutputBytes",
  "signal",
  "imageCommand",
];

export function rlimits(value: unknown, what: string): string[] {
  if (Array.isArray(value)) return check.texts(value, what);
  return Object.entries(check.object(value, what)).map(([k, v]) => {
    const limit = (n: unknown): number => check.integer(n, `${what}.${k}`, 0, check.SAFE);
    if (Array.isArray(v)) return `${k}=${limit(v[0])}:${limit(v[1])}`;
    return `${k}=${typeof v === "string" ? check.text(v, `${what}.${k}`) : limit(v)}`;
  });
}

/** @internal Options that were checked, as the library takes them. */
export interface Prepared {
  native: Record<string, unknown>;
  input: Uint8Array | null;
  pipe: boolean;
  timeoutMs: number;
  max: number;
  signal: AbortSignal | undefined;
}

/** @internal */
export function prepareExec(argv: readonly string[], options: unknown, script: boolean): Prepared {
  const o = check.options(options, "options", OPTIONS);
  const args = check.optional(o["args"], (v) => check.texts(v, "args")) ?? [];
  const pipe = o["stdin"] === "pipe";
  const is = (key: string): boolean => check.optional(o[key], (v) => check.flag(v, key)) ?? false;
  const log = check.optional(o["log"], (v) => check.flag(v, "log")) ?? true;
  const flags =
    (is("tty") ? FLAG.MSB_EXEC_TTY : 0) |
    (pipe ? FLAG.MSB_EXEC_STDIN : 0) |
    (is("imageCommand") ? FLAG.MSB_EXEC_IMAGE_COMMAND : 0) |
    (script ? FLAG.MSB_EXEC_SHELL : 0) |
    (log ? 0 : FLAG.MSB_EXEC_NO_LOG);
  return {
    native: {
      flags,
      argv: [...argv, ...args],
      env: check.optional(o["env"], (v) => check.pairs(v, "env")),
      rlimits: check.optional(o["rlimits"], (v) => rlimits(v, "rlimits")),
      cwd: check.optional(o["cwd"], (v) => check.name(v, "cwd")),
      user: check.optional(o["user"], (v) => check.name(v, "user")),
      rows: check.optional(o["rows"], (v) => check.integer(v, "rows", 0, check.U16)),
      cols: check.optional(o["cols"], (v) => check.integer(v, "cols", 0, check.U16)),
    },
    input: pipe || o["stdin"] === null || o["stdin"] === undefined ? null : check.bytes(o["stdin"], "stdin"),
    pipe,
    timeoutMs: check.milliseconds(o["timeoutMs"], "timeoutMs"),
    max: check.optional(o["maxOutputBytes"], (v) => check.integer(v, "maxOutputBytes", 1, check.SAFE)) ?? 0,
    signal: check.signalOf(o["signal"]),
  };
}

/** exec("ls", ["-l"], {...}) and exec("ls", {args: ["-l"]}). */
export function commandLine(command: unknown, args: unknown, options: unknown): [string[], unknown] {
  const argv = [check.name(command, "the command")];
  if (args === undefined || Array.isArray(args))
    return [argv.concat(args === undefined ? [] : check.texts(args, "args")), options];
  if (options !== undefined) throw new InvalidConfigError("args must be an array");
  return [argv, args];
}

export interface ExitStatus {
  /** 0..255; 128+n when signal n ended it. */
  readonly code: number;
  readonly success: boolean;
  /** The guest's number of the signal that ended it, or 0. */
  readonly signal: number;
}

export const exitStatus = (code: number, signal: number): ExitStatus => ({
  code: signal ? 128 + signal : code,
  success: signal === 0 && code === 0,
  signal,
});

/** All that a command wrote, and how it ended. */
export class ExecOutput implements ExitStatus {
  readonly code: number;
  readonly success: boolean;
  readonly signal: number;
  /** A stream went past maxOutputBytes, and is not whole. */
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
  readonly #out: Buffer;
  readonly #err: Buffer;

  /** @internal */
  constructor(status: ExitStatus, out: Buffer, err: Buffer, truncated = 0) {
    this.code = status.code;
    this.success = status.success;
    this.signal = status.signal;
    this.stdoutTruncated = (truncated & 1) !== 0;
    this.stderrTruncated = (truncated & 2) !== 0;
    this.#out = out;
    this.#err = err;
  }

  /** As text; bytes that are no UTF-8 become U+FFFD. */
  stdout(): string {
    return this.#out.toString("utf8");
  }

  stderr(): string {
    return this.#err.toString("utf8");
  }

  stdoutBytes(): Buffer {
    return this.#out;
  }

  stderrBytes(): Buffer {
    return this.#err;
  }

  get status(): ExitStatus {
    return { code: this.code, success: this.success, signal: this.signal };
  }
}

interface NativeOutput {
  code: number;
  signal: number;
  out: Buffer;
  err: Buffer;
  truncated: number;
}

/** @internal */
export function outputOf(o: NativeOutput): ExecOutput {
  return new ExecOutput(exitStatus(o.code, o.signal), o.out, o.err, o.truncated);
}

/** eventType and kind are the same. */
export type ExecEvent =
  | { readonly eventType: "started"; readonly kind: "started"; readonly pid: number }
  | { readonly eventType: "stdout"; readonly kind: "stdout"; readonly data: Buffer }
  | { readonly eventType: "stderr"; readonly kind: "stderr"; readonly data: Buffer }
  | { readonly eventType: "exited"; readonly kind: "exited"; readonly code: number; readonly success: boolean; readonly signal: number }
  | { readonly eventType: "failed"; readonly kind: "failed"; readonly stage: string; readonly errno: number; readonly message: string };

interface NativeEvent {
  kind: number;
  pid: number;
  data: Buffer;
  code: number;
  signal: number;
  error_no: number;
  stage: string | null;
  message: string | null;
}

const makers: Record<number, (e: NativeEvent) => ExecEvent> = {
  [KIND.MSB_EXEC_STARTED]: (e) => ({ eventType: "started", kind: "started", pid: e.pid }),
  [KIND.MSB_EXEC_STDOUT]: (e) => ({ eventType: "stdout", kind: "stdout", data: e.data }),
  [KIND.MSB_EXEC_STDERR]: (e) => ({ eventType: "stderr", kind: "stderr", data: e.data }),
  [KIND.MSB_EXEC_EXITED]: (e) => ({ eventType: "exited", kind: "exited", ...exitStatus(e.code, e.signal) }),
  [KIND.MSB_EXEC_FAILED]: (e) => ({
    eventType: "failed",
    kind: "failed",
    stage: e.stage ?? "",
    errno: e.error_no,
    message: e.message ?? "",
  }),
};

export interface RecvOptions {
  /** TimeoutError when nothing came; the command goes on. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** So much is read ahead while a writer waits for room and nobody reads. */
const AHEAD_MAX = 8 << 20;
/** So many events in a row, then timers and others have their turn. */
const BURST = 64;

export function signalNumber(value: unknown): number {
  if (typeof value === "string") {
    const known = constants.signals as Record<string, number>;
    const n = known[value.startsWith("SIG") ? value : `SIG${value}`];
    if (n !== undefined) return n;
    throw new InvalidConfigError(`there is no signal ${JSON.stringify(value)}`);
  }
  return check.integer(value, "signal", 1, 64);
}

/** Timers and signals must not keep a handle from being collected. */
export function still<T extends object>(weak: WeakRef<T>, act: (it: T) => void): void {
  const it = weak.deref();
  if (it) act(it);
}

/** Rejects when the time is up or the signal fires; else what @ready says. */
async function within(ready: Promise<unknown>, deadline: number, signal: AbortSignal | undefined): Promise<void> {
  if (deadline === Infinity && !signal) return void (await ready);
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const limits = new Promise<void>((_resolve, reject) => {
    if (deadline !== Infinity) {
      timer = setTimeout(() => reject(new TimeoutError("no event came in time")), Math.max(0, deadline - Date.now()));
    }
    if (signal) {
      abort = () => reject(new CancelledError("the call was cancelled", { cause: signal.reason }));
      signal.addEventListener("abort", abort, { once: true });
    }
  });
  try {
    await Promise.race([ready, limits]);
  } finally {
    clearTimeout(timer);
    if (abort) signal?.removeEventListener("abort", abort);
  }
}

/**
 * A command that runs. Its events come by `for await` or recv(); who takes none holds it up once its windows are full.
 * When the handle goes (close(), `await using`, or the garbage collector) the command is killed.
 */
export class ExecHandle implements AsyncIterable<ExecEvent>, AsyncDisposable {
  readonly #handle: Handle;
  readonly #fd: number;
  /** The sandbox must not be collected before. */
  readonly #owner: object;
  readonly #ahead: ExecEvent[] = [];
  #aheadBytes = 0;
  #exit: ExitStatus | undefined;
  #failure: ExecFailedError | undefined;
  #ended = false;
  #closed = false;
  /** Why it was ended by us. */
  #broken: MicrosandboxError | undefined;
  #watch: Promise<unknown> | undefined;
  #news: Promise<void> | undefined;
  #tell: (() => void) | undefined;
  #readers = 0;
  #room = 0;
  #taken: (() => void) | undefined;
  #burst = 0;
  #stdin: ExecSink | undefined;
  #detach: (() => void) | undefined;
  /** The command's number, as logs and attach() know it. */
  readonly session: bigint;
  readonly tty: boolean;

  /** @internal */
  constructor(handle: Handle, owner: object, pipe: boolean, signal?: AbortSignal, timeoutMs = -1) {
    this.#handle = handle;
    this.#owner = owner;
    this.#fd = callSync<number>("msb_exec_fd", [handle]);
    this.session = callSync<bigint>("msb_exec_session", [handle]);
    this.tty = callSync<number>("msb_exec_is_tty", [handle]) !== 0;
    if (pipe) this.#stdin = new ExecSink(this);
    if (signal) this.#listen(signal);
    if (timeoutMs >= 0) this.#limit(timeoutMs);
  }

  #limit(ms: number): void {
    const weak = new WeakRef(this);
    const timer = setTimeout(() => still(weak, (it) => it.#expire(ms)), ms);
    timer.unref();
    const before = this.#detach;
    this.#detach = () => {
      clearTimeout(timer);
      before?.();
    };
  }

  #expire(ms: number): void {
    if (this.#ended) return;
    this.#broken = new ExecTimeoutError(`the command was killed: it ran longer than ${ms} ms`);
    void this.close();
  }

  #listen(signal: AbortSignal): void {
    const weak = new WeakRef(this);
    const abort = (): void => still(weak, (it) => it.#cancel(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    this.#detach = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) this.#cancel(signal.reason);
  }

  #cancel(reason: unknown): void {
    if (this.#ended) return;
    this.#broken = new CancelledError("the command was cancelled", { cause: reason });
    void this.close();
  }

  #check(): void {
    if (this.#broken) throw this.#broken;
    if (this.#closed) throw new GoneError("the command's handle was closed");
  }

  /** One event of the library, if there is one now, to the queue. False: none. */
  #pull(): boolean {
    const e = callSync<NativeEvent | null>("msb_exec_next", [this.#handle, 0], "exec");
    if (!e) return false;
    this.#tell?.(); // it may be what another one waits for, and nothing may follow
    this.#tell = this.#news = undefined;
    if (e.kind === KIND.MSB_EXEC_WRITABLE) {
      this.#room++;
      return true;
    }
    const event = makers[e.kind]?.(e);
    if (!event) return true;
    if (event.eventType === "exited") this.#exit = exitStatus(e.code, e.signal);
    if (event.eventType === "failed") {
      this.#failure = new ExecFailedError(event.message, { errno: event.errno });
      this.#failure.stage = event.stage;
    }
    if (this.#exit || this.#failure) this.#finish();
    this.#ahead.push(event);
    this.#aheadBytes += "data" in event ? event.data.length : 0;
    return true;
  }

  #finish(): void {
    this.#ended = true;
    this.#detach?.();
    this.#wake();
  }

  #wake(): void {
    this.#taken?.();
    this.#taken = undefined;
  }

  #shift(): ExecEvent | undefined {
    const event = this.#ahead.shift();
    if (event && "data" in event) {
      this.#aheadBytes -= event.data.length;
      this.#wake();
    }
    return event;
  }

  /** Until there may be something to pull, or somebody else has pulled something. */
  #readable(): Promise<unknown> {
    this.#watch ??= addon()
      .watch(this.#fd)
      .finally(() => (this.#watch = undefined));
    this.#news ??= new Promise((resolve) => (this.#tell = resolve));
    return Promise.race([this.#watch, this.#news]);
  }

  /** Pulls until @done, or the end. */
  async #until(done: () => boolean, deadline: number, signal: AbortSignal | undefined): Promise<void> {
    while (!done() && !this.#ended) {
      throwIfAborted(signal);
      this.#check();
      try {
        if (this.#pull()) continue;
      } catch (e) {
        this.#finish();
        throw e;
      }
      this.#burst = 0;
      await within(this.#readable(), deadline, signal);
    }
  }

  /** The next event; null after the last. */
  async recv(options?: RecvOptions): Promise<ExecEvent | null> {
    const o = check.options(options, "options", ["timeoutMs", "signal"]);
    const wait = check.milliseconds(o["timeoutMs"], "timeoutMs");
    const signal = check.signalOf(o["signal"]);
    throwIfAborted(signal);
    if (++this.#burst >= BURST) {
      this.#burst = 0;
      await nextTurn();
    }
    this.#readers++;
    try {
      await this.#until(() => this.#ahead.length > 0, wait < 0 ? Infinity : Date.now() + wait, signal);
    } finally {
      this.#readers--;
    }
    const event = this.#shift();
    if (!event && this.#broken) throw this.#broken;
    return event ?? null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ExecEvent, void, void> {
    for (let event = await this.recv(); event; event = await this.recv()) yield event;
  }

  #status(): ExitStatus {
    if (this.#failure) throw this.#failure;
    if (this.#exit) return this.#exit;
    this.#check();
    throw new GoneError("the command's end is not known");
  }

  /** Wait for the end; output that nobody else takes meanwhile is dropped. ExecFailedError when it never ran. */
  async wait(options?: RecvOptions): Promise<ExitStatus> {
    const o = check.options(options, "options", ["timeoutMs", "signal"]);
    const ms = check.milliseconds(o["timeoutMs"], "timeoutMs");
    const deadline = ms < 0 ? Infinity : Date.now() + ms;
    while (!this.#ended) {
      if (this.#readers === 0) {
        const left = deadline === Infinity ? {} : { timeoutMs: Math.max(0, deadline - Date.now()) };
        await this.recv({ ...left, signal: o["signal"] as AbortSignal });
      } else {
        this.#check();
        await within(this.#readable(), deadline, check.signalOf(o["signal"]));
        await nextTurn();
      }
    }
    return this.#status();
  }

  /** Take all that it writes from now on, to its end. */
  async collect(): Promise<ExecOutput> {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    for await (const e of this) {
      if (e.eventType === "stdout") out.push(e.data);
      else if (e.eventType === "stderr") err.push(e.data);
    }
    return new ExecOutput(this.#status(), Buffer.concat(out), Buffer.concat(err));
  }

  /** Its standard input, once; null when it was not started with stdin: "pipe". */
  takeStdin(): ExecSink | null {
    const sink = this.#stdin ?? null;
    this.#stdin = undefined;
    return sink;
  }

  /** @internal */
  async offer(data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    let rest = data;
    while (rest.length > 0 && !this.#ended) {
      throwIfAborted(signal);
      this.#check();
      const before = this.#room;
      const n = callSync<number>("msb_exec_write", [this.#handle, rest], "exec");
      rest = rest.subarray(n);
      if (rest.length > 0 && n === 0) await this.#untilRoom(before, signal);
    }
  }

  async #untilRoom(before: number, signal: AbortSignal | undefined): Promise<void> {
    const full = (): boolean => this.#aheadBytes >= AHEAD_MAX;
    while (this.#room === before && !this.#ended) {
      await this.#until(() => this.#room !== before || full(), Infinity, signal);
      if (this.#room !== before || this.#ended) return;
      const taken = new Promise<void>((resolve) => (this.#taken = resolve));
      await within(taken, Infinity, signal);
      this.#check();
    }
  }

  /** @internal */
  closeStdin(): void {
    if (this.#ended || this.#closed) return;
    callSync("msb_exec_close_stdin", [this.#handle], "exec");
  }

  /** Bytes written that the command has not taken yet. */
  unread(): number {
    return this.#closed ? 0 : callSync<number>("msb_exec_unread", [this.#handle]);
  }

  /** To the command and its children: a number, "SIGTERM" or "TERM". */
  async signal(value: number | string): Promise<void> {
    const number = signalNumber(value);
    this.#check();
    callSync("msb_exec_signal", [this.#handle, number], "exec");
  }

  async kill(): Promise<void> {
    await this.signal("SIGKILL");
  }

  async resize(rows: number, cols: number): Promise<void> {
    const size = [check.integer(rows, "rows", 1, check.U16), check.integer(cols, "cols", 1, check.U16)];
    this.#check();
    callSync("msb_exec_resize", [this.#handle, ...size], "exec");
  }

  /** The command goes on without this process, its output goes to the logs; Sandbox.attach() takes it back. */
  async detach(): Promise<void> {
    this.#check();
    addon().unwatch(this.#fd);
    await call("msb_exec_detach", [this.#handle], { subject: "exec" });
    this.#finish();
    await this.close();
  }

  /** Ends the session: a command that still runs is killed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#finish();
    addon().unwatch(this.#fd);
    await closeHandle(this.#handle);
    void this.#owner;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A command's standard input. */
export class ExecSink implements AsyncDisposable {
  readonly #exec: ExecHandle;
  #closed = false;
  #queue: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(exec: ExecHandle) {
    this.#exec = exec;
  }

  /** Resolves when all of it was taken. What comes after the command's end is dropped. */
  write(data: string | Uint8Array, options?: { signal?: AbortSignal }): Promise<void> {
    const o = check.options(options, "options", ["signal"]);
    const bytes = check.bytes(data, "data");
    if (this.#closed) throw new GoneError("the standard input was closed");
    const signal = check.signalOf(o["signal"]);
    const done = this.#queue.then(() => this.#exec.offer(bytes, signal));
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** End of input, behind what was written. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#queue;
    this.#exec.closeStdin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
