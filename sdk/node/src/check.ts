/** Checks of what callers give: TypeScript's types are gone when the program runs. */
import { invalid } from "./errors";

const shown = (v: unknown): string =>
  v === null
    ? "null"
    : Array.isArray(v)
      ? "an array"
      : typeof v === "object"
        ? "an object"
        : typeof v === "string"
          ? "a string"
          : `${typeof v === "function" ? "a function" : String(v)}`;

export function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw invalid(`${what} must be a string, not ${shown(value)}`);
  if (value.includes("\0")) throw invalid(`${what} must not contain a NUL character`);
  return value;
}

export function name(value: unknown, what: string): string {
  if (text(value, what) === "") throw invalid(`${what} must not be empty`);
  return value as string;
}

export function integer(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw invalid(`${what} must be a whole number, not ${shown(value)}`);
  }
  if (value < min || value > max) throw invalid(`${what} must be from ${min} to ${max}, not ${value}`);
  return value;
}

export const U16 = 0xffff;
export const U32 = 0xffffffff;
export const I32 = 0x7fffffff;
export const SAFE = Number.MAX_SAFE_INTEGER;

export function flag(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw invalid(`${what} must be true or false, not ${shown(value)}`);
  return value;
}

export function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} must be an array, not ${shown(value)}`);
  return value;
}

export function texts(value: unknown, what: string): string[] {
  return list(value, what).map((v, i) => text(v, `${what}[${i}]`));
}

export function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${what} must be an object, not ${shown(value)}`);
  }
  return value as Record<string, unknown>;
}

/** An options object, or nothing; keys that nobody knows are refused. */
export function options(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (value === undefined) return {};
  const o = object(value, what);
  for (const key of Object.keys(o)) {
    if (!known.includes(key)) throw invalid(`${what}: there is no option ${JSON.stringify(key)}`);
  }
  return o;
}

/** {A: "b"} as ["A=b"]. */
export function pairs(value: unknown, what: string): string[] {
  return Object.entries(object(value, what)).map(([k, v]) => {
    name(k, `a key of ${what}`);
    if (k.includes("=")) throw invalid(`${what}: a key must not contain "=": ${k}`);
    return `${k}=${text(v, `${what}.${k}`)}`;
  });
}

export function oneOf<T>(value: unknown, what: string, choices: Record<string, T>): T {
  if (typeof value === "string" && Object.hasOwn(choices, value)) return choices[value] as T;
  const names = Object.keys(choices).join(", ");
  throw invalid(
    `${what} must be one of ${names}, not ${typeof value === "string" ? JSON.stringify(value) : shown(value)}`,
  );
}

/** Strings become UTF-8. */
export function bytes(value: unknown, what: string): Uint8Array {
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw invalid(`${what} must be a string or bytes (Uint8Array, ArrayBuffer), not ${shown(value)}`);
}

export function mib(value: unknown, what: string): number {
  return integer(value, what, 0, 2 ** 33) * 2 ** 20;
}

/** -1 is for ever. */
export function milliseconds(value: unknown, what: string): number {
  return value === undefined ? -1 : integer(value, what, 0, I32);
}

export function signalOf(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw invalid(`signal must be an AbortSignal, not ${shown(value)}`);
}

export function callback(value: unknown, what: string): ((...args: never[]) => unknown) | undefined {
  if (value === undefined || typeof value === "function") return value as never;
  throw invalid(`${what} must be a function, not ${shown(value)}`);
}

/** What is there of @names in @o, each by its check. */
export function optional<T>(value: unknown, check: (v: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}
