/** Volumes: folders and disks that stay when sandboxes go. */
import { msb_volume_kind as KIND } from "./api.gen";
import * as check from "./check";
import { VolumeNotFoundError } from "./errors";
import { type HomeOption, homeOf } from "./home";
import { MountBuilder, type VolumeKind, volumeKinds } from "./mount";
import { call, camel } from "./native";

export interface VolumeInfo {
  readonly name: string;
  /** The folder, or the disk's file. */
  readonly path: string;
  readonly kind: VolumeKind;
  /** Quota, or the disk's size; 0: no quota. */
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly created: Date;
  /** Sandboxes on record that mount it. */
  readonly users: readonly string[];
  /** A machine has it mounted now. */
  readonly inUse: boolean;
}

export interface VolumeOptions extends HomeOption {
  kind?: VolumeKind;
  /** A folder's quota, or a disk's size (16 MiB at least). */
  sizeMib?: number;
  sizeBytes?: number;
}

const KEYS = ["kind", "sizeMib", "sizeBytes", "home"];

function infoOf(native: object): VolumeInfo {
  const {
    size: _size,
    createdMs,
    inUse,
    kind,
    ...rest
  } = camel<Record<string, unknown> & { createdMs: number; inUse: number; kind: number }>(native);
  return {
    ...(rest as unknown as VolumeInfo),
    kind: kind === KIND.MSB_VOLUME_DISK ? "disk" : "dir",
    created: new Date(createdMs),
    inUse: inUse !== 0,
  };
}

/** A volume on record. */
export class Volume {
  readonly info: VolumeInfo;
  readonly #home: HomeOption["home"];

  private constructor(info: VolumeInfo, home: HomeOption["home"]) {
    this.info = info;
    this.#home = home;
  }

  get name(): string {
    return this.info.name;
  }

  get path(): string {
    return this.info.path;
  }

  get kind(): VolumeKind {
    return this.info.kind;
  }

  get usedBytes(): number {
    return this.info.usedBytes;
  }

  /** Of a folder; null: no quota. */
  get quotaMib(): number | null {
    const { kind, sizeBytes } = this.info;
    return kind === "dir" && sizeBytes > 0 ? sizeBytes / 2 ** 20 : null;
  }

  /** A new one; it stays until it is removed. */
  static async create(name: string, options?: VolumeOptions): Promise<Volume> {
    const o = check.options(options, "options", KEYS);
    const what = check.name(name, "name");
    const native = {
      kind: check.optional(o["kind"], (v) => check.oneOf(v, "kind", volumeKinds)),
      size_bytes:
        check.optional(o["sizeBytes"], (v) => check.integer(v, "sizeBytes", 0, check.SAFE)) ??
        check.optional(o["sizeMib"], (v) => check.mib(v, "sizeMib")),
    };
    await call("msb_volume_create", [await homeOf(o["home"]), what, native], { subject: "volume" });
    return Volume.get(what, { home: o["home"] as HomeOption["home"] });
  }

  static builder(name: string): VolumeBuilder {
    return new VolumeBuilder(name);
  }

  static async get(name: string, options?: HomeOption): Promise<Volume> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(name, "name");
    const [info] = await call<object[]>("msb_volume_list", [await homeOf(o["home"]), what], { subject: "volume" });
    if (!info) throw new VolumeNotFoundError(`there is no volume ${what}`);
    return new Volume(infoOf(info), o["home"] as HomeOption["home"]);
  }

  static async list(options?: HomeOption): Promise<Volume[]> {
    const o = check.options(options, "options", ["home"]);
    const all = await call<object[]>("msb_volume_list", [await homeOf(o["home"]), null]);
    return all.map((v) => new Volume(infoOf(v), o["home"] as HomeOption["home"]));
  }

  /** With all in it. `force`: also when sandboxes on record mount it. */
  static async remove(name: string, options?: HomeOption & { force?: boolean }): Promise<void> {
    const o = check.options(options, "options", ["force", "home"]);
    const what = check.name(name, "name");
    const force = check.optional(o["force"], (v) => check.flag(v, "force")) ? 1 : 0;
    await call("msb_volume_remove", [await homeOf(o["home"]), what, force], { subject: "volume" });
  }

  /** Remove all that no sandbox on record mounts. */
  static async prune(options?: HomeOption): Promise<{ names: string[]; freedBytes: number }> {
    const o = check.options(options, "options", ["home"]);
    const [names, freedBytes] = await call<[string[], number]>("msb_volume_prune", [await homeOf(o["home"])]);
    return { names, freedBytes };
  }

  async remove(options?: { force?: boolean }): Promise<void> {
    await Volume.remove(this.name, { ...options, home: this.#home });
  }

  /** For the option `volumes`: a folder or file of the host. */
  static bind(path: string): MountBuilder {
    return new MountBuilder().bind(path);
  }

  static named(name: string): MountBuilder {
    return new MountBuilder().named(name);
  }

  static tmpfs(): MountBuilder {
    return new MountBuilder().tmpfs();
  }

  static disk(path: string): MountBuilder {
    return new MountBuilder().disk(path);
  }
}

/** `Volume.builder("data").quota(1024).create()` */
export class VolumeBuilder {
  readonly #name: string;
  #options: VolumeOptions = {};

  constructor(name: string) {
    this.#name = check.name(name, "name");
  }

  #with(options: VolumeOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }

  kind(kind: VolumeKind): this {
    return this.#with({ kind });
  }

  directory(): this {
    return this.kind("dir");
  }

  disk(): this {
    return this.kind("disk");
  }

  /** In MiB. */
  size(mib: number): this {
    return this.#with({ sizeMib: mib });
  }

  /** In MiB. */
  quota(mib: number): this {
    return this.#with({ sizeMib: mib });
  }

  home(home: HomeOption["home"]): this {
    return this.#with({ home });
  }

  create(): Promise<Volume> {
    return Volume.create(this.#name, this.#options);
  }
}
