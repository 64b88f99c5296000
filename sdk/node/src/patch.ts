/** Changes to the image before the machine starts. */
import { msb_patch_flags as FLAG, msb_patch_kind as KIND } from "./api.gen";
import * as check from "./check";

export interface PatchOptions {
  /** What is there goes before; without it an existing target is an error. */
  replace?: boolean;
  mode?: number;
  uid?: number;
  gid?: number;
}

/** One change; made by Patch, or by a PatchBuilder. */
export interface PatchOp {
  /** @internal */
  readonly native: object;
}

function op(kind: number, path: unknown, options: unknown, more: object = {}): PatchOp {
  const o = check.options(options, "options", ["replace", "mode", "uid", "gid"]);
  const number = (key: string, max: number): number | undefined =>
    check.optional(o[key], (v) => check.integer(v, key, 0, max));
  const owned = o["uid"] !== undefined || o["gid"] !== undefined;
  const replace = check.optional(o["replace"], (v) => check.flag(v, "replace")) ?? false;
  return {
    native: {
      kind,
      path: check.name(path, "path"),
      flags:
        (replace ? FLAG.MSB_PATCH_REPLACE : 0) |
        (o["mode"] === undefined ? 0 : FLAG.MSB_PATCH_MODE) |
        (owned ? FLAG.MSB_PATCH_OWNER : 0),
      mode: number("mode", 0o7777),
      uid: number("uid", check.U32),
      gid: number("gid", check.U32),
      ...more,
    },
  };
}

/** Changes, in the order in which they apply: `patches: [Patch.text("/etc/motd", "hello\n")]`. */
export const Patch = {
  /** A file with this text. */
  text: (path: string, content: string, options?: PatchOptions): PatchOp =>
    op(KIND.MSB_PATCH_FILE, path, options, { data: Buffer.from(check.bytes(content, "content")) }),
  /** A file with these bytes. */
  file: (path: string, content: Uint8Array, options?: PatchOptions): PatchOp =>
    op(KIND.MSB_PATCH_FILE, path, options, { data: Buffer.from(check.bytes(content, "content")) }),
  /** A file of the host. */
  copyFile: (source: string, path: string, options?: PatchOptions): PatchOp =>
    op(KIND.MSB_PATCH_COPY, path, options, { source: check.name(source, "source") }),
  /** A folder of the host. */
  copyDir: (source: string, path: string, options?: PatchOptions): PatchOp =>
    op(KIND.MSB_PATCH_COPY, path, options, { source: check.name(source, "source") }),
  /** Behind a file that is there. */
  append: (path: string, content: string | Uint8Array): PatchOp =>
    op(KIND.MSB_PATCH_APPEND, path, undefined, { data: Buffer.from(check.bytes(content, "content")) }),
  mkdir: (path: string, options?: PatchOptions): PatchOp => op(KIND.MSB_PATCH_MKDIR, path, options),
  /** A link at @link that points to @target. */
  symlink: (target: string, link: string, options?: PatchOptions): PatchOp =>
    op(KIND.MSB_PATCH_SYMLINK, link, options, { source: check.name(target, "target") }),
  remove: (path: string): PatchOp => op(KIND.MSB_PATCH_REMOVE, path, undefined),
  chmod: (path: string, mode: number): PatchOp => op(KIND.MSB_PATCH_SET_MODE, path, { mode }),
  chown: (path: string, uid: number, gid: number): PatchOp => op(KIND.MSB_PATCH_SET_OWNER, path, { uid, gid }),
};

/** The same as methods: `p.text(...).mkdir(...)`. */
export class PatchBuilder {
  /** @internal */
  readonly ops: PatchOp[] = [];

  #add(one: PatchOp): this {
    this.ops.push(one);
    return this;
  }

  text(path: string, content: string, options?: PatchOptions): this {
    return this.#add(Patch.text(path, content, options));
  }

  file(path: string, content: Uint8Array, options?: PatchOptions): this {
    return this.#add(Patch.file(path, content, options));
  }

  copyFile(source: string, path: string, options?: PatchOptions): this {
    return this.#add(Patch.copyFile(source, path, options));
  }

  copyDir(source: string, path: string, options?: PatchOptions): this {
    return this.#add(Patch.copyDir(source, path, options));
  }

  append(path: string, content: string | Uint8Array): this {
    return this.#add(Patch.append(path, content));
  }

  mkdir(path: string, options?: PatchOptions): this {
    return this.#add(Patch.mkdir(path, options));
  }

  symlink(target: string, link: string, options?: PatchOptions): this {
    return this.#add(Patch.symlink(target, link, options));
  }

  remove(path: string): this {
    return this.#add(Patch.remove(path));
  }

  chmod(path: string, mode: number): this {
    return this.#add(Patch.chmod(path, mode));
  }

  chown(path: string, uid: number, gid: number): this {
    return this.#add(Patch.chown(path, uid, gid));
  }
}
