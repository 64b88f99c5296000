/** What a sandbox gets of its host: folders, files, volumes, disks, memory. */
import { stat } from "node:fs/promises";
import {
  msb_cache as CACHE,
  msb_mount_flags as FLAG,
  msb_mount_kind as KIND,
  msb_volume_kind as VOLUME,
} from "./api.gen";
import * as check from "./check";
import { InvalidConfigError } from "./errors";

export type CacheMode = "auto" | "always" | "none";
export const cacheModes: Record<CacheMode, number> = {
  auto: CACHE.MSB_CACHE_AUTO,
  always: CACHE.MSB_CACHE_ALWAYS,
  none: CACHE.MSB_CACHE_NONE,
};
export type VolumeKind = "dir" | "disk";
export const volumeKinds: Record<VolumeKind, number> = { dir: VOLUME.MSB_VOLUME_DIR, disk: VOLUME.MSB_VOLUME_DISK };

/** One mount: `m.bind("/src").readonly()`. */
export class MountBuilder {
  #kind: number | "bind" | undefined;
  #flags = 0;
  readonly #native: Record<string, unknown> = {};

  #source(kind: number | "bind", source: unknown, what: string): this {
    if (this.#kind !== undefined) throw new InvalidConfigError("a mount has one source");
    this.#kind = kind;
    if (source !== undefined) this.#native["source"] = check.name(source, what);
    return this;
  }

  #flag(bit: number, on: unknown): this {
    this.#flags = check.flag(on, "the switch") ? this.#flags | bit : this.#flags & ~bit;
    return this;
  }

  #set(key: string, value: unknown): this {
    this.#native[key] = value;
    return this;
  }

  /** A folder or a file of the host. */
  bind(path: string): this {
    return this.#source("bind", path, "path");
  }

  /** A folder of the host. */
  dir(path: string): this {
    return this.#source(KIND.MSB_MOUNT_DIR, path, "path");
  }

  /** A file of the host. */
  file(path: string): this {
    return this.#source(KIND.MSB_MOUNT_FILE, path, "path");
  }

  /** A volume, which must be there, or see create(). */
  named(volume: string): this {
    return this.#source(KIND.MSB_MOUNT_NAMED, volume, "the volume's name");
  }

  /** "ensure-exists": it is made, of this kind and size, when there is none. */
  namedWith(
    volume: string,
    mode: "existing" | "ensure-exists" = "existing",
    kind: VolumeKind | "directory" = "dir",
    sizeMib?: number,
    quotaMib?: number,
  ): this {
    const modes = { existing: false, "ensure-exists": true };
    this.named(volume);
    if (check.oneOf(mode, "mode", modes)) this.create(kind === "directory" ? "dir" : kind);
    if (sizeMib !== undefined) this.size(sizeMib);
    return quotaMib === undefined ? this : this.quota(quotaMib);
  }

  /** Memory of the guest. */
  tmpfs(): this {
    return this.#source(KIND.MSB_MOUNT_TMPFS, undefined, "");
  }

  /** A disk image with a file system. */
  disk(path: string): this {
    return this.#source(KIND.MSB_MOUNT_DISK, path, "path");
  }

  /** The volume is made when there is none. */
  create(kind: VolumeKind = "dir"): this {
    this.#native["volume_kind"] = check.oneOf(kind, "kind", volumeKinds);
    return this.#flag(FLAG.MSB_MOUNT_CREATE, true);
  }

  readonly(on = true): this {
    return this.#flag(FLAG.MSB_MOUNT_READ_ONLY, on);
  }

  noexec(on = true): this {
    return this.#flag(FLAG.MSB_MOUNT_NOEXEC, on);
  }

  nosuid(on = true): this {
    return this.#flag(FLAG.MSB_MOUNT_NOSUID, on);
  }

  nodev(on = true): this {
    return this.#flag(FLAG.MSB_MOUNT_NODEV, on);
  }

  /** The source may be a symbolic link itself. */
  followRootSymlinks(on = true): this {
    return this.#flag(FLAG.MSB_MOUNT_FOLLOW, on);
  }

  /** Who all files belong to in the guest. */
  owner(uid: number, gid: number): this {
    this.#native["uid"] = check.integer(uid, "uid", 0, check.U32);
    this.#native["gid"] = check.integer(gid, "gid", 0, check.U32);
    return this.#flag(FLAG.MSB_MOUNT_OWNER, true);
  }

  /** Of a tmpfs, or of a volume that is made, in MiB. */
  size(mib: number): this {
    return this.#set("size_bytes", check.mib(mib, "size"));
  }

  sizeBytes(bytes: number): this {
    return this.#set("size_bytes", check.integer(bytes, "sizeBytes", 0, check.SAFE));
  }

  /** How much the guest may add, in MiB. */
  quota(mib: number): this {
    return this.#set("quota_bytes", check.mib(mib, "quota"));
  }

  quotaBytes(bytes: number): this {
    return this.#set("quota_bytes", check.integer(bytes, "quotaBytes", 0, check.SAFE));
  }

  /** When changes on the host's side are seen. */
  cache(mode: CacheMode): this {
    return this.#set("cache", check.oneOf(mode, "cache", cacheModes));
  }

  /** Of a tmpfs: its permissions. */
  mode(mode: number): this {
    return this.#set("mode", check.integer(mode, "mode", 0, 0o7777));
  }

  /** Of a disk: "raw", "qcow2". */
  format(format: string): this {
    return this.#set("format", check.name(format, "format"));
  }

  /** Of a disk: "ext4". */
  fstype(fstype: string): this {
    return this.#set("fstype", check.name(fstype, "fstype"));
  }

  /** @internal */
  async toNative(target: string): Promise<object> {
    if (this.#kind === undefined) throw new InvalidConfigError(`the mount at ${target} has no source`);
    let kind = this.#kind;
    if (kind === "bind") {
      const info = await stat(this.#native["source"] as string).catch(() => undefined);
      kind = info && !info.isDirectory() ? KIND.MSB_MOUNT_FILE : KIND.MSB_MOUNT_DIR;
    }
    return { ...this.#native, kind, flags: this.#flags, target };
  }
}
