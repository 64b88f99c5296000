/** Run commands in their own small virtual machines. */
import "./dispose";

export { SandboxBuilder } from "./builder";
export { type CheckStatus, doctor, type HostCheck, isInstalled, repair, version } from "./doctor";
export * from "./errors";
export {
  type ExecEvent,
  ExecHandle,
  type ExecOptions,
  ExecOutput,
  ExecSink,
  type ExitStatus,
  type RecvOptions,
  type Rlimits,
  type RlimitValue,
} from "./exec";
export { ExecOptionsBuilder } from "./execbuilder";
export {
  type CopyOptions,
  type CopyProgress,
  type FileInfo,
  type FileKind,
  FileReader,
  FileWriter,
  type ReadOptions,
  type ReadStreamOptions,
  SandboxFs,
  type WriteOptions,
} from "./fs";
export { defaultHome, Home, type HomeOption } from "./home";
export { Image, type ImageInfo, type PullOptions, type PullPolicy, type PullProgress } from "./image";
export type { Change, Metrics, MountInfo, SandboxInfo, SandboxState, SandboxTimes, SecretInfo } from "./info";
export { LogEntry, type LogOptions, type LogSource, LogStream, type LogStreamOptions } from "./logs";
export { type CacheMode, MountBuilder, type VolumeKind } from "./mount";
export {
  Network,
  type NetworkAction,
  NetworkBuilder,
  type NetworkOptions,
  type NetworkProfile,
  type PortOptions,
  type Rate,
} from "./network";
export type { SandboxOptions } from "./options";
export { Patch, PatchBuilder, type PatchOp, type PatchOptions } from "./patch";
export {
  commit,
  type CommitOptions,
  type ModifyOptions,
  netExplain,
  type NetExplanation,
  netRules,
  type NetRules,
  ports,
  type PublishedPort,
  type StartOptions,
} from "./record";
export { PullSession } from "./pull";
export { Sandbox, SandboxHandle, type StopOptions, type WaitOptions } from "./sandbox";
export { Secret, SecretBuilder, type SecretOptions, type TlsOptions, type ViolationAction } from "./secret";
export { Snapshot, type SnapshotInfo, type SnapshotOptions } from "./snapshot";
export { Volume, VolumeBuilder, type VolumeInfo, type VolumeOptions } from "./volume";
