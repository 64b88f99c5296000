/** Lists of sandboxes. */
import * as check from "./check";
import type { SandboxHandle } from "./sandbox";

/** Sandboxes on record: an array, which `sandboxes` is, too. */
export interface SandboxPage extends Array<SandboxHandle> {
  readonly sandboxes: SandboxHandle[];
  /** Of listWith(): where the next page begins. */
  readonly nextCursor: string | undefined;
}

/** An array as any other: what it has more is not counted with its members. */
export function pageOf(items: SandboxHandle[], nextCursor?: string): SandboxPage {
  const more = { sandboxes: { value: items }, nextCursor: { value: nextCursor } };
  return Object.defineProperties(items, more) as SandboxPage;
}

/** What listWith() asks for. */
export class SandboxListBuilder {
  /** @internal */
  readonly wanted: string[] = [];
  /** @internal */
  after: string | undefined;
  /** @internal */
  most: number | undefined;

  limit(limit: number): this {
    this.most = check.integer(limit, "limit", 1, check.U32);
    return this;
  }

  /** A nextCursor of before. */
  cursor(cursor: string): this {
    this.after = check.name(cursor, "cursor");
    return this;
  }

  label(key: string, value: string): this {
    return this.labels({ [key]: value });
  }

  labels(labels: Readonly<Record<string, string>>): this {
    this.wanted.push(...check.pairs(labels, "labels"));
    return this;
  }
}
