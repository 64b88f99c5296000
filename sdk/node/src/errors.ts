/** What goes wrong, as classes: one for each code of the C library, and more special ones below them. */

/** What the addon throws. */
interface NativeError {
  code: number;
  errno: number;
  message: string;
  hint: string;
  output?: unknown;
}

export interface ErrorDetails {
  errno?: number;
  hint?: string;
  cause?: unknown;
}

/** Every error of this package. */
export class MicrosandboxError extends Error {
  /** The number of the code, as in microsandbox.h. */
  readonly code: number;
  /** Its name: "not_found", "invalid", ... */
  readonly codeName: string;
  /** The errno behind it, or 0. */
  readonly errno: number;
  /** What to do about it, or "". */
  readonly hint: string;

  constructor(message: string, code = 1, codeName = "internal", details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.codeName = codeName;
    this.errno = details.errno ?? 0;
    this.hint = details.hint ?? "";
  }
}

type ErrorClass = new (message: string, details?: ErrorDetails) => MicrosandboxError;

/** A class for one code. */
function ofCode(code: number, codeName: string, base = MicrosandboxError) {
  return class extends base {
    constructor(message: string, details: ErrorDetails = {}) {
      super(message, code, codeName, details);
    }
  };
}

/** A fault of the library's own. */
export class InternalError extends ofCode(1, "internal") {}
/** An argument is wrong: its type, its range, or what it says. */
export class InvalidConfigError extends ofCode(2, "invalid") {}
/** There is no such thing. */
export class NotFoundError extends ofCode(3, "not_found") {}
export class SandboxNotFoundError extends NotFoundError {}
export class ImageNotFoundError extends NotFoundError {}
export class VolumeNotFoundError extends NotFoundError {}
export class SnapshotNotFoundError extends NotFoundError {}
/** No such file in the guest, or on the host. */
export class PathNotFoundError extends NotFoundError {}
/** The name is taken. */
export class AlreadyExistsError extends ofCode(4, "exists") {}
export class SandboxAlreadyExistsError extends AlreadyExistsError {}
export class VolumeAlreadyExistsError extends AlreadyExistsError {}
export class SnapshotAlreadyExistsError extends AlreadyExistsError {}
/** It is in use. */
export class BusyError extends ofCode(5, "busy") {}
/** The sandbox runs, and must not for this. */
export class SandboxStillRunningError extends BusyError {}
export class ImageInUseError extends BusyError {}
/** The host has no memory left. */
export class NoMemoryError extends ofCode(6, "no_memory") {}
/** A disk or a quota is full, or something is larger than its limit. */
export class NoSpaceError extends ofCode(7, "no_space") {}
/** The host's files and sockets, or the guest's. */
export class IoError extends ofCode(8, "io") {}
export class PermissionDeniedError extends ofCode(9, "permission") {}
/** Not on this host, or not in this version. */
export class UnsupportedError extends ofCode(10, "unsupported") {}
export class TimeoutError extends ofCode(11, "timeout") {}
/** It was cancelled; `cause` is the reason of the AbortSignal. */
export class CancelledError extends ofCode(12, "cancelled") {}
/** A registry: it wants other credentials, or cannot be reached. */
export class ImageError extends MicrosandboxError {}
/** A registry wants other credentials. */
export class AuthError extends ofCode(13, "auth", ImageError) {}
/** A registry cannot be reached. */
export class NetworkError extends ofCode(14, "network", ImageError) {}
/** Content is not what it claims to be. */
export class DigestError extends ofCode(15, "digest") {}
export class SnapshotIntegrityError extends DigestError {}
/** A part of the installation is missing. */
export class InstallError extends ofCode(16, "install") {}
/** libmicrosandbox, or the addon of this package, cannot be loaded. */
export class LibraryNotFoundError extends InstallError {}
/** The machine did not get ready. */
export class BootError extends ofCode(17, "boot") {
  /** The last lines of its console. */
  console = "";
}
/** The machine has ended, or what is used was closed. */
export class GoneError extends ofCode(18, "gone") {}
export class SandboxNotRunningError extends GoneError {}
/** The other side broke the protocol. */
export class ProtocolError extends ofCode(19, "protocol") {}
/** The command never ran. */
export class ExecFailedError extends ofCode(20, "exec") {
  /** What could not be done: user, cwd, rlimit, pty, exec, fork; "" when not known. */
  stage = "";
}
/** The command was killed because its time was up; `output` is what it wrote until then. */
export class ExecTimeoutError extends TimeoutError {
  output: unknown;
}

const classes: ErrorClass[] = [
  InternalError,
  InternalError,
  InvalidConfigError,
  NotFoundError,
  AlreadyExistsError,
  BusyError,
  NoMemoryError,
  NoSpaceError,
  IoError,
  PermissionDeniedError,
  UnsupportedError,
  TimeoutError,
  CancelledError,
  AuthError,
  NetworkError,
  DigestError,
  InstallError,
  BootError,
  GoneError,
  ProtocolError,
  ExecFailedError,
];

/** What a call is about: it picks the more special class. */
export type Subject = "sandbox" | "image" | "volume" | "snapshot" | "path" | "exec";

const special: Record<Subject, Record<number, ErrorClass>> = {
  sandbox: {
    3: SandboxNotFoundError,
    4: SandboxAlreadyExistsError,
    5: SandboxStillRunningError,
    18: SandboxNotRunningError,
  },
  image: { 3: ImageNotFoundError, 5: ImageInUseError },
  volume: { 3: VolumeNotFoundError, 4: VolumeAlreadyExistsError },
  snapshot: { 3: SnapshotNotFoundError, 4: SnapshotAlreadyExistsError, 15: SnapshotIntegrityError },
  path: { 3: PathNotFoundError, 18: SandboxNotRunningError },
  exec: { 11: ExecTimeoutError, 18: SandboxNotRunningError },
};

function isNative(e: unknown): e is NativeError {
  return typeof e === "object" && e !== null && !(e instanceof Error) && typeof (e as NativeError).code === "number";
}

/** The addon's error as one of ours; anything else as it is. */
export function wrapError(e: unknown, subject?: Subject, cause?: unknown): unknown {
  if (!isNative(e)) return e;
  const kind = (subject && special[subject][e.code]) ?? classes[e.code];
  const details = { errno: e.errno, hint: e.hint, cause };
  if (!kind) return new MicrosandboxError(e.message, e.code, "unknown", details);
  const error = new kind(e.message || "it failed", details);
  if (error instanceof ExecTimeoutError) error.output = e.output;
  if (error instanceof ExecFailedError) error.stage = /^(user|cwd|rlimit|pty|exec|fork)\b/.exec(e.message)?.[1] ?? "";
  return error;
}

export function invalid(message: string): InvalidConfigError {
  return new InvalidConfigError(message);
}
