/** Run commands in their own small virtual machines. */
import "./dispose";

export { InitOptionsBuilder, RegistryConfigBuilder, RootDiskBuilder, SandboxBuilder } from "./builder";
export { type CheckStatus, doctor, type HostCheck, install, isInstalled, repair, version } from "./doctor";
export * from "./errors";
export { UnsupportedError as UnsupportedOperationError } from "./errors";
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
  type FileInfo as FsEntry,
  type FileInfo as FsMetadata,
  type FileKind,
  type FileKind as FsEntryKind,
  FileReader,
  FileReader as FsReadStream,
  FileWriter,
  FileWriter as FsWriteSink,
  type ReadOptions,
  type ReadStreamOptions,
  SandboxFs,
  SandboxFs as SandboxFsOps,
  type WriteOptions,
} from "./fs";
export { defaultHome, Home, type HomeOption } from "./home";
export { Image, Image as ImageHandle, type ImageInfo, type ImageSaveOptions, type PullOptions, type PullPolicy, type PullProgress } from "./image";
export type {
  Change,
  Metrics,
  Metrics as SandboxMetrics,
  MountInfo,
  SandboxInfo,
  SandboxState,
  SandboxStatus,
  SandboxTimes,
  SecretInfo,
} from "./info";
export { LogEntry, type LogOptions, type LogOptions as LogReadOptions, type LogReadSource, type LogSource, LogStream, type LogStreamOptions } from "./logs";
export { type CacheMode, MountBuilder, type VolumeKind } from "./mount";
export {
  type Action,
  Destination,
  type DestinationGroup,
  type Direction,
  NetworkPolicy,
  NetworkPolicyBuilder,
  PortRange,
  type Protocol,
  Rule,
  RuleBuilder,
  RuleDestinationBuilder,
} from "./policy";
export {
  DnsBuilder,
  Network,
  type NetworkAction,
  NetworkBuilder,
  type NetworkOptions,
  type NetworkProfile,
  NetworkRateLimiterBuilder,
  type PortOptions,
  type Rate,
  RateLimiterBuilder,
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
  type SecretModifySpec,
  type StartOptions,
} from "./record";
export { SandboxListBuilder, type SandboxPage } from "./page";
export { PullSession, PullSession as PullProgressCreate } from "./pull";
export {
  allSandboxMetrics,
  type DestroyOptions,
  type RestartOptions,
  Sandbox,
  SandboxHandle,
  type StopOptions,
  type WaitOptions,
} from "./sandbox";
export { Secret, SecretBuilder, type SecretOptions, type ViolationAction, ViolationActionBuilder } from "./secret";
export { GiB, KiB, type Mebibytes, MiB, TiB } from "./size";
export { Snapshot, SnapshotBuilder, Snapshot as SnapshotHandle, type SnapshotInfo, type SnapshotOptions } from "./snapshot";
export { TlsBuilder, type TlsOptions } from "./tls";
export { Volume, VolumeBuilder, Volume as VolumeHandle, type VolumeInfo, type VolumeOptions } from "./volume";
