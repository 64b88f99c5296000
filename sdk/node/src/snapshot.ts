/** Snapshots: what was written in a sandbox, kept for others to start from. */
import { msb_snapshot_flags as FLAG, msb_snapshot_save_flags as SAVE } from "./api.gen";
import * as check from "./check";
import { SnapshotNotFoundError } from "./errors";
import { type HomeOption, homeOf } from "./home";
import { Image } from "./image";
import { call, camel, fromPairs, type Handle } from "./native";

export interface SnapshotInfo {
  readonly name: string;
  /** "sha256:..." of its description: its identity. */
  readonly digest: string;
  readonly image: string;
  readonly imageId: string;
  /** Whose it was. */
  readonly sandbox: string;
  readonly parent: string;
  /** "sha256:..." of the content, or "". */
  readonly content: string;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly created: Date;
  readonly labels: Readonly<Record<string, string>>;
  readonly path: string;
}

export interface SnapshotOptions extends HomeOption {
  labels?: Readonly<Record<string, string>>;
  /** One of the same name goes before. */
  replace?: boolean;
  /** A digest of the content, too, for verify(). */
  integrity?: boolean;
  onProgress?: (event: { readonly path: string | null; readonly files: number; readonly bytes: number }) => void;
  signal?: AbortSignal;
}

function infoOf(native: object): SnapshotInfo {
  const {
    size: _size,
    createdMs,
    labels,
    ...rest
  } = camel<Record<string, unknown> & { createdMs: number; labels: string[] }>(native);
  return { ...(rest as unknown as SnapshotInfo), created: new Date(createdMs), labels: fromPairs(labels) };
}

/** A snapshot on record. */
export class Snapshot {
  readonly info: SnapshotInfo;
  readonly #home: HomeOption["home"];

  private constructor(info: SnapshotInfo, home: HomeOption["home"]) {
    this.info = info;
    this.#home = home;
  }

  get name(): string {
    return this.info.name;
  }

  get digest(): string {
    return this.info.digest;
  }

  get path(): string {
    return this.info.path;
  }

  get imageRef(): string {
    return this.info.image;
  }

  get imageManifestDigest(): string {
    return this.info.imageId;
  }

  /** null: it has none. */
  get parent(): string | null {
    return this.info.parent || null;
  }

  get sourceSandbox(): string {
    return this.info.sandbox;
  }

  get sizeBytes(): number {
    return this.info.sizeBytes;
  }

  /** `Snapshot.builder("prepared").fromSandbox("base").recordIntegrity().create()` */
  static builder(name: string): SnapshotBuilder {
    return new SnapshotBuilder(name);
  }

  /** Of a sandbox that does not run. No data is copied. */
  static async create(sandbox: string, name: string, options?: SnapshotOptions): Promise<Snapshot> {
    const o = check.options(options, "options", ["labels", "replace", "integrity", "onProgress", "signal", "home"]);
    const args = [check.name(sandbox, "sandbox"), check.name(name, "name")];
    const on = (key: string, bit: number): number => (check.optional(o[key], (v) => check.flag(v, key)) ? bit : 0);
    const native = {
      labels: check.optional(o["labels"], (v) => check.pairs(v, "labels")),
      flags: on("replace", FLAG.MSB_SNAPSHOT_REPLACE) | on("integrity", FLAG.MSB_SNAPSHOT_INTEGRITY),
    };
    const progress = check.callback(o["onProgress"], "onProgress");
    const home = await homeOf(o["home"]);
    await call("msb_snapshot_create", [home, ...args, native], {
      signal: check.signalOf(o["signal"]),
      subject: "sandbox",
      progress,
    });
    return Snapshot.get(args[1] as string, { home: o["home"] as HomeOption["home"] });
  }

  /** By name, or the beginning of its digest (12 digits at least). */
  static async get(name: string, options?: HomeOption): Promise<Snapshot> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(name, "name");
    const [info] = await call<object[]>("msb_snapshot_list", [await homeOf(o["home"]), what], { subject: "snapshot" });
    if (!info) throw new SnapshotNotFoundError(`there is no snapshot ${what}`);
    return new Snapshot(infoOf(info), o["home"] as HomeOption["home"]);
  }

  static open(name: string, options?: HomeOption): Promise<Snapshot> {
    return Snapshot.get(name, options);
  }

  static async list(options?: HomeOption): Promise<Snapshot[]> {
    const o = check.options(options, "options", ["home"]);
    const all = await call<object[]>("msb_snapshot_list", [await homeOf(o["home"]), null]);
    return all.map((s) => new Snapshot(infoOf(s), o["home"] as HomeOption["home"]));
  }

  /** The name goes; data that a sandbox or another snapshot needs stays. */
  static async remove(name: string, options?: HomeOption): Promise<void> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(name, "name");
    await call("msb_snapshot_remove", [await homeOf(o["home"]), what], { subject: "snapshot" });
  }

  /** Read it all and compare: SnapshotIntegrityError. */
  static async verify(name: string, options?: HomeOption & { signal?: AbortSignal }): Promise<void> {
    const o = check.options(options, "options", ["home", "signal"]);
    const what = check.name(name, "name");
    const signal = check.signalOf(o["signal"]);
    await call("msb_snapshot_verify", [await homeOf(o["home"]), what], { subject: "snapshot", signal });
  }

  /** One portable file. */
  static async save(
    name: string,
    path: string,
    options?: HomeOption & { withImage?: boolean; plain?: boolean; signal?: AbortSignal },
  ): Promise<void> {
    const o = check.options(options, "options", ["withImage", "plain", "home", "signal"]);
    const args = [check.name(name, "name"), check.name(path, "path")];
    const on = (key: string, bit: number): number => (check.optional(o[key], (v) => check.flag(v, key)) ? bit : 0);
    const flags = on("withImage", SAVE.MSB_SNAPSHOT_WITH_IMAGE) | on("plain", SAVE.MSB_SNAPSHOT_PLAIN);
    const signal = check.signalOf(o["signal"]);
    await call("msb_snapshot_save", [await homeOf(o["home"]), ...args, flags], { subject: "snapshot", signal });
  }

  /** From such a file; `name`: another one than it has. */
  static async load(path: string, options?: HomeOption & { name?: string; signal?: AbortSignal }): Promise<Snapshot> {
    const o = check.options(options, "options", ["name", "home", "signal"]);
    const what = check.name(path, "path");
    const as = check.optional(o["name"], (v) => check.name(v, "name"));
    const signal = check.signalOf(o["signal"]);
    const name = await call<string>("msb_snapshot_load", [await homeOf(o["home"]), what, as], {
      subject: "snapshot",
      signal,
    });
    return Snapshot.get(name, { home: o["home"] as HomeOption["home"] });
  }

  /** The image that it was written over. */
  async image(): Promise<Image> {
    const home = await homeOf(this.#home);
    return Image.wrap(await call<Handle>("msb_snapshot_image", [home, this.name], { subject: "snapshot" }));
  }

  async verify(options?: { signal?: AbortSignal }): Promise<void> {
    await Snapshot.verify(this.name, { ...options, home: this.#home });
  }

  async save(path: string, options?: { withImage?: boolean; plain?: boolean; signal?: AbortSignal }): Promise<void> {
    await Snapshot.save(this.name, path, { ...options, home: this.#home });
  }

  async remove(): Promise<void> {
    await Snapshot.remove(this.name, { home: this.#home });
  }
}

/** A snapshot's options as methods. */
export class SnapshotBuilder {
  readonly #name: string;
  #sandbox: string | undefined;
  #options: SnapshotOptions = {};

  constructor(name: string) {
    this.#name = check.name(name, "name");
  }

  #with(more: SnapshotOptions): this {
    this.#options = { ...this.#options, ...more };
    return this;
  }

  fromSandbox(sandbox: string): this {
    this.#sandbox = check.name(sandbox, "sandbox");
    return this;
  }

  label(key: string, value: string): this {
    return this.#with({ labels: { ...this.#options.labels, [key]: value } });
  }

  /** One of the same name goes before. */
  force(): this {
    return this.#with({ replace: true });
  }

  recordIntegrity(): this {
    return this.#with({ integrity: true });
  }

  create(): Promise<Snapshot> {
    return Snapshot.create(check.name(this.#sandbox, "fromSandbox()"), this.#name, this.#options);
  }
}
