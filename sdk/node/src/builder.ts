/** Options of a sandbox as methods. */
import * as check from "./check";
import type { Rlimits } from "./exec";
import type { HomeOption } from "./home";
import type { Image, PullPolicy, PullProgress } from "./image";
import { MountBuilder } from "./mount";
import { NetworkBuilder, type NetworkProfile } from "./network";
import type { SandboxOptions } from "./options";
import { PatchBuilder } from "./patch";
import type { PullSession } from "./pull";
import { Sandbox, type SandboxHandle } from "./sandbox";
import { SecretBuilder } from "./secret";
import type { TlsOptions } from "./tls";

/** A callback that makes something of a fresh builder; what it returns counts, if it returns one. */
function made<T extends object>(fresh: T, make: unknown, what: string): T {
  const fn = check.callback(make, what);
  return ((fn as ((b: T) => T | void) | undefined)?.(fresh) as T | undefined) ?? fresh;
}

/** How another process 1 is called. */
export class InitOptionsBuilder {
  /** @internal */
  words: string[] = [];
  /** @internal */
  variables: Record<string, string> = {};

  arg(arg: string): this {
    return this.args([arg]);
  }

  args(args: readonly string[]): this {
    this.words.push(...check.texts(args, "args"));
    return this;
  }

  env(key: string, value: string): this {
    return this.envs({ [key]: value });
  }

  envs(env: Readonly<Record<string, string>>): this {
    this.variables = { ...this.variables, ...env };
    return this;
  }
}

/** How a registry is talked to; credentials are those of docker and `msb registry login`. */
export class RegistryConfigBuilder {
  /** @internal */
  options: SandboxOptions = {};

  insecure(): this {
    this.options = { ...this.options, insecureRegistry: true };
    return this;
  }
}

/** Where that goes which is written, and how much. */
export class RootDiskBuilder {
  /** @internal */
  options: SandboxOptions = {};

  size(mib: number): this {
    this.options = { ...this.options, diskMib: mib };
    return this;
  }

  tmpfs(): this {
    this.options = { ...this.options, upper: "tmpfs" };
    return this;
  }
}

/** `Sandbox.builder("n").image("python").cpus(1).memory(512).create()` */
export class SandboxBuilder {
  #options: SandboxOptions;
  #network: NetworkBuilder | undefined;

  constructor(name?: string) {
    this.#options = name === undefined ? {} : { name: check.name(name, "name") };
  }

  #with(more: SandboxOptions): this {
    this.#options = { ...this.#options, ...more };
    return this;
  }

  /** A reference, a path, or an Image. */
  image(image: string | Image): this {
    return this.#with({ image });
  }

  fromSnapshot(name: string): this {
    return this.#with({ fromSnapshot: name });
  }

  cpus(count: number): this {
    return this.#with({ cpus: count });
  }

  /** In MiB. */
  memory(mib: number): this {
    return this.#with({ memoryMib: mib });
  }

  /** How much may be written, in MiB. */
  disk(mib: number): this {
    return this.#with({ diskMib: mib });
  }

  /** In MiB, or `d => d.size(1024)`, `d => d.tmpfs()`. */
  rootDisk(disk: number | ((d: RootDiskBuilder) => unknown)): this {
    if (typeof disk === "number") return this.disk(disk);
    const fresh = new RootDiskBuilder();
    disk(fresh);
    return this.#with(fresh.options);
  }

  /** Where that goes which is written. */
  upper(kind: "disk" | "tmpfs"): this {
    return this.#with({ upper: kind });
  }

  hostname(name: string): this {
    return this.#with({ hostname: name });
  }

  env(key: string, value: string): this {
    return this.#with({ env: { ...this.#options.env, [key]: value } });
  }

  envs(env: Readonly<Record<string, string>>): this {
    return this.#with({ env: { ...this.#options.env, ...check.object(env, "env") } as Record<string, string> });
  }

  label(key: string, value: string): this {
    return this.#with({ labels: { ...this.#options.labels, [key]: value } });
  }

  labels(labels: Readonly<Record<string, string>>): this {
    return this.#with({
      labels: { ...this.#options.labels, ...check.object(labels, "labels") } as Record<string, string>,
    });
  }

  workdir(path: string): this {
    return this.#with({ workdir: path });
  }

  user(user: string): this {
    return this.#with({ user });
  }

  entrypoint(path: string | readonly string[]): this {
    return this.#with({ entrypoint: path });
  }

  shell(path: string): this {
    return this.#with({ shell: path });
  }

  rlimits(limits: Rlimits): this {
    return this.#with({ rlimits: limits });
  }

  rlimit(resource: string, soft: number, hard: number = soft): this {
    const now = (this.#options.rlimits ?? {}) as Record<string, [number, number]>;
    return this.#with({ rlimits: { ...now, [resource]: [soft, hard] } });
  }

  rlimitRange(resource: string, soft: number, hard: number): this {
    return this.rlimit(resource, soft, hard);
  }

  /** A file in /.msb/scripts, which PATH has first. */
  script(name: string, body: string): this {
    return this.#with({ scripts: { ...this.#options.scripts, [name]: body } });
  }

  scripts(scripts: Readonly<Record<string, string>>): this {
    return this.#with({
      scripts: { ...this.#options.scripts, ...check.object(scripts, "scripts") } as Record<string, string>,
    });
  }

  /** Another process 1: a path, or "auto". */
  init(init: NonNullable<SandboxOptions["init"]>, args?: readonly string[]): this {
    return this.#with({ init: args === undefined ? init : { command: init as string, args } });
  }

  /** `initWith("/sbin/init", i => i.arg("-x").env("A", "b"))` */
  initWith(command: string, make: (i: InitOptionsBuilder) => unknown): this {
    const fresh = new InitOptionsBuilder();
    make(fresh);
    return this.#with({ init: { command, args: fresh.words, env: fresh.variables } });
  }

  /** `registry(r => r.insecure())` */
  registry(make: (r: RegistryConfigBuilder) => unknown): this {
    const fresh = new RegistryConfigBuilder();
    make(fresh);
    return this.#with(fresh.options);
  }

  /** The main command, which start() runs. */
  cmd(command: readonly string[]): this {
    return this.#with({ command });
  }

  /** `.volume("/data", m => m.bind("/src").readonly())` */
  volume(target: string, make: ((m: MountBuilder) => MountBuilder | void) | MountBuilder | string): this {
    const mount =
      typeof make === "string" || make instanceof MountBuilder ? make : made(new MountBuilder(), make, "the mount");
    return this.#with({ volumes: { ...this.#options.volumes, [check.name(target, "target")]: mount } });
  }

  /** `.patch(p => p.text("/etc/motd", "hello\n"))` */
  patch(make: (p: PatchBuilder) => PatchBuilder | void): this {
    const ops = made(new PatchBuilder(), make, "the patch").ops;
    return this.#with({ patches: [...(this.#options.patches ?? []), ...ops] });
  }

  /** `.network(n => n.profile("public").rule("deny@*.example.com"))` */
  network(make: ((n: NetworkBuilder) => NetworkBuilder | void) | NetworkBuilder | NetworkProfile): this {
    if (make instanceof NetworkBuilder) this.#network = make;
    else if (typeof make === "string") this.#network = new NetworkBuilder({ profile: make });
    else this.#network = made(this.#network ?? new NetworkBuilder(), make, "the network");
    return this.#with({ network: this.#network });
  }

  disableNetwork(): this {
    return this.network((n) => n.enabled(false));
  }

  /** Port @host of 127.0.0.1 here leads to port @guest inside. */
  port(host: number, guest: number): this {
    return this.network((n) => n.port(host, guest));
  }

  portBind(bind: string, host: number, guest: number): this {
    return this.network((n) => n.portBind(bind, host, guest));
  }

  portUdp(host: number, guest: number): this {
    return this.network((n) => n.portUdp(host, guest));
  }

  portUdpBind(bind: string, host: number, guest: number): this {
    return this.network((n) => n.portUdpBind(bind, host, guest));
  }

  proxy(url: string): this {
    return this.network((n) => n.proxy(url));
  }

  /** "HOST_PATH:PORT[/stream|/dgram]", or a path and a port. */
  vsock(...paths: string[]): this;
  vsock(hostPath: string, port: number): this;
  vsock(...said: (string | number)[]): this {
    const [path, port] = said;
    const routes = typeof port === "number" ? [`${path}:${port}`] : (said as string[]);
    return this.network((n) => n.vsock(...routes));
  }

  vsockDgram(hostPath: string, port: number): this {
    return this.vsock(`${hostPath}:${port}/dgram`);
  }

  /** `.secret(s => s.env("KEY").value(v).allowHost("api.example.com"))` */
  secret(make: ((s: SecretBuilder) => SecretBuilder | void) | SecretBuilder): this {
    const secret = make instanceof SecretBuilder ? make : made(new SecretBuilder(), make, "the secret");
    return this.#with({ secrets: [...(this.#options.secrets ?? []), secret] });
  }

  secretEnv(variable: string, value: string, host: string): this {
    return this.secret((s) => s.env(variable).value(value).allowHost(host));
  }

  tls(options: TlsOptions): this {
    return this.#with({ tls: options });
  }

  /** In seconds, since it is ready. */
  maxDuration(seconds: number): this {
    return this.#with({ maxDurationSecs: seconds });
  }

  /** In seconds without command and touch. */
  idleTimeout(seconds: number): this {
    return this.#with({ idleTimeoutSecs: seconds });
  }

  bootTimeout(ms: number): this {
    return this.#with({ bootTimeoutMs: ms });
  }

  engine(engine: NonNullable<SandboxOptions["engine"]>): this {
    return this.#with({ engine });
  }

  accel(accel: NonNullable<SandboxOptions["accel"]>): this {
    return this.#with({ accel });
  }

  ephemeral(on = true): this {
    return this.#with({ ephemeral: on });
  }

  detached(on = true): this {
    return this.#with({ detached: on });
  }

  replace(on = true): this {
    return this.#with({ replace: on });
  }

  replaceWithTimeout(ms: number): this {
    return this.#with({ replace: true, replaceTimeoutMs: ms });
  }

  logLevel(level: NonNullable<SandboxOptions["logLevel"]>): this {
    return this.#with({ logLevel: level });
  }

  pullPolicy(policy: PullPolicy): this {
    return this.#with({ pullPolicy: policy });
  }

  onPullProgress(report: (event: PullProgress) => void): this {
    return this.#with({ onPullProgress: report });
  }

  home(home: HomeOption["home"]): this {
    return this.#with({ home });
  }

  signal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** The options so far, for Sandbox.create(). */
  build(): SandboxOptions {
    return { ...this.#options };
  }

  create(): Promise<Sandbox> {
    return Sandbox.create(this.build());
  }

  /** The one of this name: connected to when it runs, started when it is on record, else created. */
  connectOrCreate(): Promise<Sandbox> {
    return Sandbox.connectOrCreate(this.build());
  }

  createDetached(): Promise<Sandbox> {
    return Sandbox.create({ ...this.build(), detached: true });
  }

  /** Only put it on record; start() starts it. */
  createStopped(): Promise<SandboxHandle> {
    return Sandbox.createStopped(this.build());
  }

  /** The progress of its pull as an async iterator, and the sandbox by result(). */
  createWithPullProgress(): PullSession {
    return Sandbox.createWithPullProgress(this.build());
  }
}
