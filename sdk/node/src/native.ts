/** The addon: how it is found, and calls of it with our errors. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { NativeFunction } from "./api.gen";
import { CancelledError, LibraryNotFoundError, type Subject, wrapError } from "./errors";

/** What the library gave; only to be handed back. */
export type Handle = { readonly handle: unique symbol };

interface Addon {
  load(paths: string[]): string;
  functions: Record<NativeFunction, number>;
  call(fn: number, args: unknown[]): unknown;
  start(id: number, fn: number, args: unknown[], progress?: (event: never) => void): Promise<unknown>;
  cancel(id: number): void;
  close(handle: Handle): Promise<void>;
  watch(fd: number): Promise<boolean>;
  unwatch(fd: number): void;
  end(): void;
  layout(): Record<string, { size: number; members: Record<string, number> }>;
  stats(): { workers: number; users: number; handles: number };
}

const packageFolder = join(__dirname, "..");
let loaded: { addon: Addon; library: string } | undefined;
let lastId = 0;

function requireAddon(): Addon {
  const path = join(packageFolder, "prebuilt", `${process.platform}-${process.arch}`, "microsandbox.node");
  try {
    return require(path) as Addon;
  } catch (e) {
    throw new LibraryNotFoundError(`microsandbox has no addon for this host: ${(e as Error).message}`, {
      hint: "it runs on Linux on x86-64, with glibc 2.36 or newer",
      cause: e,
    });
  }
}

/** MICROSANDBOX_LIBRARY, else the package's own, else the system's. */
function libraries(): string[] {
  const named = process.env["MICROSANDBOX_LIBRARY"];
  if (named) return [named];
  const own = join(packageFolder, "runtime", "libmicrosandbox.so.0");
  return existsSync(own) ? [own] : ["libmicrosandbox.so.0"];
}

function load() {
  if (loaded) return loaded;
  const addon = requireAddon();
  let library: string;
  try {
    library = addon.load(libraries());
  } catch (e) {
    throw new LibraryNotFoundError((e as Error).message, {
      hint: "install the npm package with its runtime folder, or libmicrosandbox, or set MICROSANDBOX_LIBRARY to the path of libmicrosandbox.so.0",
    });
  }
  // Before the process goes: what is open ends in order.
  process.once("exit", () => addon.end());
  loaded = { addon, library };
  return loaded;
}

export const addon = (): Addon => load().addon;
export const libraryPath = (): string => load().library;

/** A call that does not wait, now. */
export function callSync<T>(fn: NativeFunction, args: unknown[], subject?: Subject): T {
  const a = addon();
  try {
    return a.call(a.functions[fn], args) as T;
  } catch (e) {
    throw wrapError(e, subject);
  }
}

export interface CallOptions {
  signal?: AbortSignal;
  subject?: Subject;
  progress?: (event: never) => unknown;
}

const cancelled = (signal: AbortSignal): CancelledError =>
  new CancelledError("the call was cancelled", { cause: signal.reason });

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

/** A call that waits, in a thread of the pool. */
export async function call<T>(fn: NativeFunction, args: unknown[], options: CallOptions = {}): Promise<T> {
  const a = addon();
  const { signal, subject, progress } = options;
  throwIfAborted(signal);
  lastId = lastId === 0xfffffff0 ? 1 : lastId + 1;
  const id = lastId;
  let thrown: { error: unknown } | undefined;
  const report = progress
    ? (event: never): void => {
        if (thrown) return;
        try {
          progress(event);
        } catch (error) {
          thrown = { error };
          a.cancel(id);
        }
      }
    : undefined;
  const abort = (): void => a.cancel(id);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return (await a.start(id, a.functions[fn], args, report)) as T;
  } catch (e) {
    if (thrown) throw thrown.error;
    throw wrapError(e, subject, signal?.aborted ? signal.reason : undefined);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Back to the library. Fine when it was given back before. */
export function closeHandle(handle: Handle): Promise<void> {
  return addon().close(handle);
}

const key = (s: string): string => s.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());

const isStruct = (v: unknown): v is object =>
  typeof v === "object" && v !== null && Object.getPrototypeOf(v) === Object.prototype;

const inside = (v: unknown): unknown => (Array.isArray(v) ? v.map(inside) : isStruct(v) ? camel(v) : v);

/** Members of a C struct, and of those in it, by the names that JavaScript uses. */
export function camel<T>(object: object): T {
  return Object.fromEntries(Object.entries(object).map(([k, v]) => [key(k), inside(v)])) as T;
}

/** ["A=b"] as {A: "b"}. */
export function fromPairs(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((s) => {
      const at = s.indexOf("=");
      return at < 0 ? [s, ""] : [s.slice(0, at), s.slice(at + 1)];
    }),
  );
}

/** A time of the library; undefined when it has not come. */
export const dateOf = (ms: number): Date | undefined => (ms ? new Date(ms) : undefined);
