/** The files of a sandbox that runs. */
import { msb_copy_flags as COPY, msb_file_flags as FLAG, msb_file_mode as MODE } from "./api.gen";
import * as check from "./check";
import { GoneError, PathNotFoundError } from "./errors";
import { call, type CallOptions, camel, closeHandle, type Handle } from "./native";

export type FileKind = "file" | "directory" | "symlink" | "block" | "character" | "fifo" | "socket" | "unknown";

export interface FileInfo {
  /** As asked for; of an entry of a folder: its name. */
  readonly path: string;
  readonly kind: FileKind;
  /** Of a symbolic link: where it points to, else "". */
  readonly target: string;
  readonly sizeBytes: number;
  /** The same. */
  readonly size: number;
  /** With the type, as st_mode on Linux. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: number;
  readonly mtimeS: number;
  readonly mtimeNs: number;
  readonly modified: Date;
}

const kinds: Record<number, FileKind> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "symlink",
  0o060000: "block",
  0o020000: "character",
  0o010000: "fifo",
  0o140000: "socket",
};

function infoOf(native: object): FileInfo {
  const info = camel<FileInfo>(native);
  return {
    ...info,
    size: info.sizeBytes,
    kind: kinds[info.mode & 0o170000] ?? "unknown",
    modified: new Date(info.mtimeS * 1000 + Math.floor(info.mtimeNs / 1e6)),
  };
}

export interface SignalOption {
  signal?: AbortSignal;
}
export interface ReadOptions extends SignalOption {
  /** More is NoSpaceError; 64 MiB. */
  maxBytes?: number;
}
export interface WriteOptions extends SignalOption {
  /** Of a new file; 0o644. */
  mode?: number;
  append?: boolean;
  /** AlreadyExistsError if it exists. */
  exclusive?: boolean;
}
export interface ReadStreamOptions extends SignalOption {
  offset?: number;
  length?: number;
  chunkSize?: number;
}
export interface CopyProgress {
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
}
export interface CopyOptions extends SignalOption {
  /** Keep uid and gid. */
  owner?: boolean;
  /** The source may be a symbolic link. */
  follow?: boolean;
  /** The content of a folder goes into the target, not the folder. */
  content?: boolean;
  onProgress?: (event: CopyProgress) => void;
}

const path = (v: unknown, what = "path"): string => check.name(v, what);
const bit = (o: Record<string, unknown>, key: string, value: number): number =>
  check.optional(o[key], (v) => check.flag(v, key)) ? value : 0;
const fileMode = (o: Record<string, unknown>, key = "mode"): number =>
  check.optional(o[key], (v) => check.integer(v, key, 0, 0o7777)) ?? 0;

function copyOptions(options: unknown): [object, CallOptions] {
  const o = check.options(options, "options", ["owner", "follow", "content", "onProgress", "signal"]);
  const flags =
    bit(o, "owner", COPY.MSB_COPY_OWNER) |
    bit(o, "follow", COPY.MSB_COPY_FOLLOW) |
    bit(o, "content", COPY.MSB_COPY_CONTENT);
  const progress = check.callback(o["onProgress"], "onProgress");
  return [{ flags }, { signal: check.signalOf(o["signal"]), subject: "path", progress }];
}

/** Something with a machine behind it; a Sandbox. */
export interface HandleOwner {
  /** @internal */
  readonly handle: Handle;
}

/**
 * Files inside the guest. Paths are absolute, or relative to "/", and mean what they mean there: links are followed
 * by the guest's rules only. It is done as root.
 */
export class SandboxFs {
  readonly #owner: HandleOwner;

  /** @internal */
  constructor(owner: HandleOwner) {
    this.#owner = owner;
  }

  #call<T>(fn: Parameters<typeof call>[0], args: unknown[], options: CallOptions = {}): Promise<T> {
    return call<T>(fn, [this.#owner.handle, ...args], { subject: "path", ...options });
  }

  /** A whole file. */
  async read(file: string, options?: ReadOptions): Promise<Buffer> {
    const o = check.options(options, "options", ["maxBytes", "signal"]);
    const max = check.optional(o["maxBytes"], (v) => check.integer(v, "maxBytes", 1, check.SAFE)) ?? 0;
    return this.#call("msb_file_read", [path(file), max], { signal: check.signalOf(o["signal"]) });
  }

  /** A whole file as UTF-8. */
  async readToString(file: string, options?: ReadOptions): Promise<string> {
    return (await this.read(file, options)).toString("utf8");
  }

  /** A large file in pieces: `for await (const chunk of await fs.readStream(path))`. */
  async readStream(file: string, options?: ReadStreamOptions): Promise<FileReader> {
    const o = check.options(options, "options", ["offset", "length", "chunkSize", "signal"]);
    const number = (key: string, min: number, max: number): number | undefined =>
      check.optional(o[key], (v) => check.integer(v, key, min, max));
    const native = {
      mode: MODE.MSB_FILE_READ,
      offset: number("offset", 0, check.SAFE),
      length: number("length", 0, check.SAFE),
    };
    const chunk = number("chunkSize", 1, 16 << 20) ?? 256 << 10;
    const signal = check.signalOf(o["signal"]);
    return new FileReader(
      await this.#call("msb_file_open", [path(file), native], { signal }),
      this.#owner,
      chunk,
      signal,
    );
  }

  /** All of a file; it appears under its name when it is complete. */
  async write(file: string, data: string | Uint8Array, options?: WriteOptions): Promise<void> {
    const o = check.options(options, "options", ["mode", "append", "exclusive", "signal"]);
    const flags = bit(o, "append", FLAG.MSB_FILE_APPEND) | bit(o, "exclusive", FLAG.MSB_FILE_EXCLUSIVE);
    const bytes = check.bytes(data, "data");
    await this.#call("msb_file_write", [path(file), bytes, fileMode(o), flags], {
      signal: check.signalOf(o["signal"]),
    });
  }

  /** A large file, piece by piece; there when close() was called, dropped by abort(). */
  async writeStream(file: string, options?: WriteOptions): Promise<FileWriter> {
    const o = check.options(options, "options", ["mode", "append", "exclusive", "signal"]);
    const flags = bit(o, "append", FLAG.MSB_FILE_APPEND) | bit(o, "exclusive", FLAG.MSB_FILE_EXCLUSIVE);
    const native = { mode: MODE.MSB_FILE_WRITE, flags, permissions: fileMode(o) };
    const signal = check.signalOf(o["signal"]);
    return new FileWriter(await this.#call("msb_file_open", [path(file), native], { signal }), this.#owner, signal);
  }

  /** A folder's entries, by name. */
  async list(folder: string): Promise<FileInfo[]> {
    return (await this.#call<object[]>("msb_file_list", [path(folder)])).map(infoOf);
  }

  async stat(file: string, options?: { noFollow?: boolean }): Promise<FileInfo> {
    const o = check.options(options, "options", ["noFollow"]);
    return infoOf(await this.#call<object>("msb_file_stat", [path(file), bit(o, "noFollow", FLAG.MSB_FILE_NO_FOLLOW)]));
  }

  async exists(file: string): Promise<boolean> {
    try {
      await this.stat(file);
      return true;
    } catch (e) {
      if (e instanceof PathNotFoundError) return false;
      throw e;
    }
  }

  async mkdir(folder: string, options?: { mode?: number; recursive?: boolean }): Promise<void> {
    const o = check.options(options, "options", ["mode", "recursive"]);
    const mode = o["mode"] === undefined ? 0o755 : fileMode(o);
    await this.#call("msb_file_mkdir", [path(folder), mode, bit(o, "recursive", FLAG.MSB_FILE_RECURSIVE)]);
  }

  /** A file, a link, or an empty folder; `recursive`: a folder with all in it. */
  async remove(file: string, options?: { recursive?: boolean; force?: boolean }): Promise<void> {
    const o = check.options(options, "options", ["recursive", "force"]);
    const flags = bit(o, "recursive", FLAG.MSB_FILE_RECURSIVE) | bit(o, "force", FLAG.MSB_FILE_FORCE);
    await this.#call("msb_file_remove", [path(file), flags]);
  }

  /** A folder with all in it. */
  async removeDir(folder: string): Promise<void> {
    await this.remove(folder, { recursive: true });
  }

  async rename(from: string, to: string, options?: { noReplace?: boolean }): Promise<void> {
    const o = check.options(options, "options", ["noReplace"]);
    await this.#call("msb_file_rename", [
      path(from, "from"),
      path(to, "to"),
      bit(o, "noReplace", FLAG.MSB_FILE_NO_REPLACE),
    ]);
  }

  /** Within the guest; folders with all in them. */
  async copy(from: string, to: string, options?: SignalOption): Promise<void> {
    const o = check.options(options, "options", ["signal"]);
    await this.#call("msb_file_copy", [path(from, "from"), path(to, "to")], { signal: check.signalOf(o["signal"]) });
  }

  /** A link at @link that points to @target. */
  async symlink(target: string, link: string): Promise<void> {
    await this.#call("msb_file_symlink", [path(target, "target"), path(link, "link")]);
  }

  async chmod(file: string, mode: number): Promise<void> {
    await this.#call("msb_file_chmod", [path(file), check.integer(mode, "mode", 0, 0o7777)]);
  }

  async chown(file: string, uid: number, gid: number, options?: { noFollow?: boolean }): Promise<void> {
    const o = check.options(options, "options", ["noFollow"]);
    const ids = [check.integer(uid, "uid", 0, check.U32), check.integer(gid, "gid", 0, check.U32)];
    await this.#call("msb_file_chown", [path(file), ...ids, bit(o, "noFollow", FLAG.MSB_FILE_NO_FOLLOW)]);
  }

  /** A file or folder of the host, as docker cp does it. */
  async copyFromHost(from: string, to: string, options?: CopyOptions): Promise<void> {
    const [native, rest] = copyOptions(options);
    await this.#call("msb_copy_in", [path(from, "from"), path(to, "to"), native], rest);
  }

  /** To the host; nothing is written outside of the target. */
  async copyToHost(from: string, to: string, options?: CopyOptions): Promise<void> {
    const [native, rest] = copyOptions(options);
    await this.#call("msb_copy_out", [path(from, "from"), path(to, "to"), native], rest);
  }

  /** To another sandbox, without a copy on the host. */
  async copyToSandbox(from: string, target: HandleOwner, to: string, options?: CopyOptions): Promise<void> {
    const [native, rest] = copyOptions(options);
    const other = check.object(target, "target")["handle"];
    await this.#call("msb_copy_across", [path(from, "from"), other, path(to, "to"), native], rest);
  }

  /** A tar stream (pax) of the host's descriptor @fd into the folder @to. */
  async extractTar(fd: number, to: string, options?: CopyOptions): Promise<void> {
    const [native, rest] = copyOptions(options);
    await this.#call("msb_copy_in_tar", [check.integer(fd, "fd", 0, check.I32), path(to, "to"), native], rest);
  }

  /** A tar stream (pax) of what is at @from, to the host's descriptor @fd. */
  async createTar(from: string, fd: number, options?: CopyOptions): Promise<void> {
    const [native, rest] = copyOptions(options);
    await this.#call("msb_copy_out_tar", [path(from, "from"), check.integer(fd, "fd", 0, check.I32), native], rest);
  }
}

/** Calls on a file one after the other: its handle is for one thread at a time. */
class FileHandle {
  protected readonly owner: HandleOwner;
  protected readonly signal: AbortSignal | undefined;
  readonly #handle: Handle;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(handle: Handle, owner: HandleOwner, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.owner = owner;
    this.signal = signal;
  }

  protected run<T>(fn: Parameters<typeof call>[0], args: unknown[]): Promise<T> {
    const next = this.#queue.then(() => {
      if (this.#closed) throw new GoneError("the file was closed");
      return call<T>(fn, [this.#handle, ...args], { subject: "path", signal: this.signal });
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  protected async end(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeHandle(this.#handle);
  }
}

/** A file that is read in pieces. */
export class FileReader extends FileHandle implements AsyncIterable<Buffer>, AsyncDisposable {
  readonly #chunk: number;

  /** @internal */
  constructor(handle: Handle, owner: HandleOwner, chunk: number, signal: AbortSignal | undefined) {
    super(handle, owner, signal);
    this.#chunk = chunk;
  }

  /** The next piece; null at the end. */
  async read(): Promise<Buffer | null> {
    const data = await this.run<Buffer>("msb_file_get", [this.#chunk]);
    return data.length > 0 ? data : null;
  }

  recv(): Promise<Buffer | null> {
    return this.read();
  }

  /** All that is left. */
  async collect(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this) parts.push(part);
    return Buffer.concat(parts);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, void> {
    try {
      for (let data = await this.read(); data; data = await this.read()) yield data;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A file that is written in pieces. Without close(), also behind `await using`, what was written is dropped. */
export class FileWriter extends FileHandle implements AsyncDisposable {
  #finished = false;

  /** @internal */
  constructor(handle: Handle, owner: HandleOwner, signal: AbortSignal | undefined) {
    super(handle, owner, signal);
  }

  /** All of @data, behind what was written before. */
  async write(data: string | Uint8Array): Promise<void> {
    await this.run("msb_file_put", [check.bytes(data, "data")]);
  }

  /** It is complete now, or nothing of it is left. */
  async close(): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    try {
      await this.run("msb_file_finish", []);
    } finally {
      await this.end();
    }
  }

  /** Nothing of it is left. */
  async abort(): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    await this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }
}
