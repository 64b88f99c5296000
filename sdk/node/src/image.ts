/** Images: what sandboxes are made of. */
import {
  msb_archive_format as FORMAT,
  msb_pull_event_kind as EVENT,
  msb_pull_policy as POLICY,
  msb_root as ROOT,
} from "./api.gen";
import * as check from "./check";
import { type HomeOption, homeOf } from "./home";
import { call, callSync, type CallOptions, camel, closeHandle, dateOf, fromPairs, type Handle } from "./native";

export type PullPolicy = "if-missing" | "always" | "never";
const policies: Record<PullPolicy | "missing", number> = {
  "if-missing": POLICY.MSB_PULL_MISSING,
  missing: POLICY.MSB_PULL_MISSING,
  always: POLICY.MSB_PULL_ALWAYS,
  never: POLICY.MSB_PULL_NEVER,
};

export interface PullProgress {
  readonly kind: "resolving" | "resolved" | "layer" | "layerDone" | "merging" | "done";
  readonly reference: string;
  readonly digest: string | null;
  readonly layer: number;
  readonly layerCount: number;
  /** Compressed bytes; total 0: not known. */
  readonly done: number;
  readonly total: number;
  readonly cached: boolean;
  /** The same as layer, done and total. */
  readonly layerIndex: number;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
}

const events: Record<number, PullProgress["kind"]> = {
  [EVENT.MSB_PULL_RESOLVING]: "resolving",
  [EVENT.MSB_PULL_RESOLVED]: "resolved",
  [EVENT.MSB_PULL_LAYER]: "layer",
  [EVENT.MSB_PULL_LAYER_DONE]: "layerDone",
  [EVENT.MSB_PULL_MERGING]: "merging",
  [EVENT.MSB_PULL_DONE]: "done",
};

export interface PullOptions extends HomeOption {
  policy?: PullPolicy;
  /** Fetch and convert again. */
  force?: boolean;
  /** Plain HTTP, or TLS without verification. */
  insecure?: boolean;
  /** At once; 4. */
  downloads?: number;
  /** A PEM file besides the system's. */
  caCerts?: string;
  /** "linux/amd64"; this machine's. */
  platform?: string;
  /** Of a folder: use it as it is, below the sandboxes, instead of a copy. */
  live?: boolean;
  onProgress?: (event: PullProgress) => void;
  signal?: AbortSignal;
}

export interface ImageSaveOptions extends HomeOption {
  /** In the place of the path. */
  outputPath?: string;
  format?: "docker" | "oci";
  onProgress?: (event: PullProgress) => void;
  signal?: AbortSignal;
}

const PULL_KEYS = [
  "policy",
  "force",
  "insecure",
  "downloads",
  "caCerts",
  "platform",
  "live",
  "onProgress",
  "signal",
  "home",
];

function pullOptions(o: Record<string, unknown>): [object, CallOptions] {
  const on = (key: string): number => (check.optional(o[key], (v) => check.flag(v, key)) ? 1 : 0);
  const report = check.callback(o["onProgress"], "onProgress") as ((e: PullProgress) => void) | undefined;
  const native = {
    policy: check.optional(o["policy"], (v) => check.oneOf(v, "policy", policies)),
    force: on("force"),
    insecure: on("insecure"),
    downloads: check.optional(o["downloads"], (v) => check.integer(v, "downloads", 1, 64)),
    ca_certs: check.optional(o["caCerts"], (v) => check.name(v, "caCerts")),
    platform: check.optional(o["platform"], (v) => check.name(v, "platform")),
    root: on("live") ? ROOT.MSB_ROOT_LIVE : ROOT.MSB_ROOT_PACKED,
  };
  const progress = report && ((e: { kind: number; cached: number }) => report(progressOf(e)));
  return [native, { signal: check.signalOf(o["signal"]), subject: "image", progress }];
}

const progressOf = (e: { kind: number; cached: number }): PullProgress => {
  const plain = camel<PullProgress>(e);
  return {
    ...plain,
    kind: events[e.kind] ?? "merging",
    cached: e.cached !== 0,
    layerIndex: plain.layer,
    downloadedBytes: plain.done,
    totalBytes: plain.total,
  };
};

/** What an image is, and says about its command. */
export interface ImageInfo {
  readonly reference: string;
  /** Manifest digest "sha256:..."; "" for folders. */
  readonly id: string;
  readonly platform: string;
  readonly sizeBytes: number;
  readonly created: Date | undefined;
  readonly pulled: Date | undefined;
  readonly layerCount: number;
  readonly layers: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string;
  readonly stopSignal: string;
  readonly configJson: string;
  readonly configDigest: string;
}

/** An image that is here. */
export class Image implements AsyncDisposable {
  /** @internal */
  readonly handle: Handle;
  readonly info: ImageInfo;

  private constructor(handle: Handle) {
    this.handle = handle;
    const { createdUnix, pulledUnix, ...info } = camel<
      ImageInfo & { env: string[]; createdUnix: number; pulledUnix: number }
    >(callSync<object>("msb_image_info", [handle]));
    this.info = {
      ...info,
      env: fromPairs(info.env),
      created: dateOf(createdUnix * 1000),
      pulled: dateOf(pulledUnix * 1000),
    };
  }

  get reference(): string {
    return this.info.reference;
  }

  get id(): string {
    return this.info.id;
  }

  get manifestDigest(): string {
    return this.info.id;
  }

  get sizeBytes(): number {
    return this.info.sizeBytes;
  }

  get layerCount(): number {
    return this.info.layerCount;
  }

  get os(): string {
    return this.info.platform.split("/")[0] ?? "";
  }

  get architecture(): string {
    return this.info.platform.split("/").slice(1).join("/");
  }

  /**
   * Make @reference usable: "alpine", "localhost:5000/a/b:tag", "x@sha256:...", or a path that begins with "." or "/":
   * an archive, an OCI layout, a folder with a root file system, a disk image.
   */
  static async pull(reference: string, options?: PullOptions): Promise<Image> {
    const o = check.options(options, "options", PULL_KEYS);
    const what = check.name(reference, "reference");
    const [native, rest] = pullOptions(o);
    const home = await homeOf(o["home"]);
    return new Image(await call<Handle>("msb_image_pull", [home, what, native], rest));
  }

  /** One that is here, by reference or the beginning of its id (12 digits at least). */
  static async get(reference: string, options?: HomeOption): Promise<Image> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(reference, "reference");
    return new Image(await call<Handle>("msb_image_open", [await homeOf(o["home"]), what], { subject: "image" }));
  }

  static async inspect(reference: string, options?: HomeOption): Promise<ImageInfo> {
    await using image = await Image.get(reference, options);
    return image.info;
  }

  /** All, by reference. */
  static async list(options?: HomeOption): Promise<Image[]> {
    const o = check.options(options, "options", ["home"]);
    return (await call<Handle[]>("msb_image_list", [await homeOf(o["home"])])).map((h) => new Image(h));
  }

  /** Read all images of an archive or an OCI layout; their references. `tag` names the only image. */
  static async load(path: string, options?: Omit<PullOptions, "policy"> & { tag?: string }): Promise<string[]> {
    const o = check.options(options, "options", [...PULL_KEYS, "tag"]);
    const what = check.name(path, "path");
    const tag = check.optional(o["tag"], (v) => check.name(v, "tag"));
    const [native, rest] = pullOptions(o);
    return call("msb_image_load", [await homeOf(o["home"]), what, tag, native], rest);
  }

  /** Write images to an archive that docker, podman and load() read. */
  static async save(
    references: string | readonly string[],
    path: string | ImageSaveOptions,
    options?: ImageSaveOptions,
  ): Promise<void> {
    const said = typeof path === "string" ? { ...options, outputPath: path } : path;
    const o = check.options(said, "options", ["outputPath", "format", "onProgress", "signal", "home"]);
    const what =
      typeof references === "string" ? [check.name(references, "references")] : check.texts(references, "references");
    const to = check.name(o["outputPath"], "path");
    const formats = { docker: FORMAT.MSB_ARCHIVE_DOCKER, oci: FORMAT.MSB_ARCHIVE_OCI };
    const format = check.optional(o["format"], (v) => check.oneOf<number>(v, "format", formats));
    const [, rest] = pullOptions({ onProgress: o["onProgress"], signal: o["signal"] });
    await call("msb_image_save", [await homeOf(o["home"]), what, { format }, to], rest);
  }

  /** The names of sandboxes made of it. */
  static async users(reference: string, options?: HomeOption): Promise<string[]> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(reference, "reference");
    return call("msb_image_users", [await homeOf(o["home"]), what], { subject: "image" });
  }

  /** Drop the name. Content that no other image needs goes with a prune. */
  static async remove(reference: string, options?: HomeOption): Promise<void> {
    const o = check.options(options, "options", ["home"]);
    const what = check.name(reference, "reference");
    await call("msb_image_remove", [await homeOf(o["home"]), what], { subject: "image" });
  }

  /** Drop all content that no name reaches; with `all` every name before. */
  static async prune(
    options?: HomeOption & { all?: boolean },
  ): Promise<{ freedBytes: number; removedReferences: number }> {
    const o = check.options(options, "options", ["all", "home"]);
    const all = check.optional(o["all"], (v) => check.flag(v, "all")) ? 1 : 0;
    const [freedBytes, removedReferences] = await call<[number, number]>("msb_image_prune", [
      await homeOf(o["home"]),
      all,
    ]);
    return { freedBytes, removedReferences };
  }

  /** @internal */
  static wrap(handle: Handle): Image {
    return new Image(handle);
  }

  async close(): Promise<void> {
    await closeHandle(this.handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
