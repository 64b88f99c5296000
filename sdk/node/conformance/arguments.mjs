// Arguments of the suite, which have the names of C, as the SDK takes them.
let InvalidConfigError;

export function setErrors(msb) {
  InvalidConfigError = msb.InvalidConfigError;
}

export const invalid = (message) => new InvalidConfigError(message);

/** An argument that a call does not know is refused. */
export function take(given, known) {
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw invalid(`there is no argument ${key}`);
  }
  return given;
}

const snakeKey = (k) => k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
export const snake = (o) => Object.fromEntries(Object.entries(o).map(([k, v]) => [snakeKey(k), v]));

export function toBytes(value) {
  if (typeof value === "string") return value;
  if (typeof value?.base64 === "string") return Buffer.from(value.base64, "base64");
  throw invalid("bytes are a string, or {base64}");
}

export function fromBytes(buffer) {
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer) ? text : { base64: buffer.toString("base64") };
}

// What has only another name.
const SAME = {
  name: "name",
  image: "image",
  snapshot: "fromSnapshot",
  cpus: "cpus",
  memory_bytes: "memoryBytes",
  upper_bytes: "diskBytes",
  upper: "upper",
  hostname: "hostname",
  boot_timeout_ms: "bootTimeoutMs",
  labels: "labels",
  max_duration_s: "maxDurationSecs",
  idle_timeout_s: "idleTimeoutSecs",
  replace: "replace",
  detached: "detached",
  env: "env",
  rlimits: "rlimits",
  workdir: "workdir",
  user: "user",
  entrypoint: "entrypoint",
  shell: "shell",
  scripts: "scripts",
  command: "command",
};

export const OPTIONS = [
  ...Object.keys(SAME),
  "keep",
  "start",
  "init",
  "init_args",
  "init_env",
  "mounts",
  "patches",
  "network",
  "secrets",
  "tls",
];

function renamed(given, names, what) {
  const out = {};
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(names, key)) throw invalid(`${what}: there is no argument ${key}`);
    if (value !== undefined && value !== null) out[names[key]] = value;
  }
  return out;
}

function mountOf(given, { MountBuilder }) {
  const { kind, source, target, ...rest } = given;
  const m = new MountBuilder();
  const kinds = { dir: "dir", file: "file", named: "named", disk: "disk", tmpfs: "tmpfs" };
  if (!Object.hasOwn(kinds, kind)) throw invalid(`there is no kind of mount ${kind}`);
  m[kinds[kind]](...(kind === "tmpfs" ? [] : [source]));
  const switches = { read_only: "readonly", noexec: "noexec", nosuid: "nosuid", nodev: "nodev" };
  const values = { size_bytes: "sizeBytes", quota_bytes: "quotaBytes", cache: "cache" };
  for (const [key, value] of Object.entries(rest)) {
    if (key === "create") value && m.create();
    else if (Object.hasOwn(switches, key)) m[switches[key]](value);
    else if (Object.hasOwn(values, key)) m[values[key]](value);
    else throw invalid(`a mount: there is no argument ${key}`);
  }
  return [target, m];
}

function patchOf(given, { Patch }) {
  const { kind, path, data, source, ...rest } = given;
  const options = renamed(rest, { mode: "mode", uid: "uid", gid: "gid", replace: "replace" }, "a patch");
  const kinds = {
    text: () => Patch.file(path, Buffer.from(toBytes(data)), options),
    append: () => Patch.append(path, Buffer.from(toBytes(data))),
    copy: () => Patch.copyFile(source, path, options),
    mkdir: () => Patch.mkdir(path, options),
    symlink: () => Patch.symlink(source, path, options),
    remove: () => Patch.remove(path),
    mode: () => Patch.chmod(path, options.mode),
    owner: () => Patch.chown(path, options.uid, options.gid),
  };
  if (!Object.hasOwn(kinds, kind)) throw invalid(`there is no kind of patch ${kind}`);
  return kinds[kind]();
}

function networkOf(given) {
  const { disabled, profile, ...rest } = given;
  const names = {
    rules: "rules",
    default_egress: "defaultEgress",
    default_ingress: "defaultIngress",
    ports: "ports",
    nameservers: "nameservers",
    max_connections: "maxConnections",
    proxy: "proxy",
    strict: "strict",
    mtu: "mtu",
    vsock: "vsock",
  };
  return {
    ...renamed(rest, names, "network"),
    ...(disabled === undefined ? {} : { enabled: !disabled }),
    ...(profile === undefined ? {} : { profile }),
  };
}

const VIOLATIONS = {
  block: "block",
  block_log: "block-and-log",
  block_terminate: "block-and-terminate",
  pass: "passthrough",
};

function secretOf(given) {
  const names = {
    env: "env",
    value: "value",
    source: "source",
    placeholder: "placeholder",
    hosts: "allowHosts",
    headers: "injectHeaders",
    basic: "injectBasicAuth",
    query: "injectQuery",
    body: "injectBody",
    mask: "mask",
    violation: "onViolation",
  };
  const out = renamed(given, names, "a secret");
  if (out.onViolation !== undefined) out.onViolation = VIOLATIONS[out.onViolation] ?? out.onViolation;
  return out;
}

function tlsOf(given) {
  const { no_block_quic, ...rest } = given;
  const names = { intercept: "intercept", bypass: "bypass", ports: "ports", upstream_cas: "upstreamCas" };
  return { ...renamed(rest, names, "tls"), ...(no_block_quic === undefined ? {} : { blockQuic: !no_block_quic }) };
}

const listOf = (value, what) => {
  if (!Array.isArray(value)) throw invalid(`${what} must be an array`);
  return value;
};

export function sandboxOptions(a, msb) {
  const same = Object.fromEntries(Object.entries(a).filter(([k]) => Object.hasOwn(SAME, k)));
  const o = renamed(same, SAME, "the options");
  if (a.keep !== undefined) o.ephemeral = !a.keep;
  if (a.init !== undefined) o.init = { command: a.init, args: a.init_args, env: a.init_env };
  if (a.mounts !== undefined) o.volumes = Object.fromEntries(listOf(a.mounts, "mounts").map((m) => mountOf(m, msb)));
  if (a.patches !== undefined) o.patches = listOf(a.patches, "patches").map((p) => patchOf(p, msb));
  if (a.network !== undefined) o.network = networkOf(a.network);
  if (a.secrets !== undefined) o.secrets = listOf(a.secrets, "secrets").map(secretOf);
  if (a.tls !== undefined) o.tls = tlsOf(a.tls);
  return o;
}

const CHANGES = {
  dry_run: "dryRun",
  cpus: "cpus",
  memory_bytes: "memoryBytes",
  upper_bytes: "diskBytes",
  env: "env",
  env_rm: "removeEnv",
  labels: "labels",
  labels_rm: "removeLabels",
  workdir: "workdir",
  user: "user",
  hostname: "hostname",
  shell: "shell",
  max_duration_s: "maxDurationSecs",
  idle_timeout_s: "idleTimeoutSecs",
  secrets: "secrets",
  secrets_rm: "removeSecrets",
};

export const MODIFY = Object.keys(CHANGES);

export function modifyOptions(a) {
  const { name: _name, ...rest } = a;
  const o = renamed(rest, CHANGES, "the options");
  if (o.secrets !== undefined) o.secrets = listOf(o.secrets, "secrets").map(secretOf);
  for (const key of ["maxDurationSecs", "idleTimeoutSecs"]) {
    if (o[key] === -1) o[key] = null;
  }
  return o;
}
