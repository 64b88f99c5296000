/** Where images and sandboxes are kept. */
import * as check from "./check";
import { call, callSync, closeHandle, type Handle } from "./native";

/**
 * A folder with images, sandboxes, volumes and snapshots. Most programs need none: without the option `home` all calls
 * use the one of MSB_HOME, else ~/.microsandbox.
 */
export class Home implements AsyncDisposable {
  /** @internal */
  readonly handle: Handle;
  /** Its absolute path. */
  readonly path: string;

  private constructor(handle: Handle) {
    this.handle = handle;
    this.path = callSync<string>("msb_home_path", [handle]);
  }

  /** Open the folder, and make what is missing in it. */
  static async open(path?: string): Promise<Home> {
    const checked = check.optional(path, (v) => check.name(v, "path"));
    return new Home(await call<Handle>("msb_home_open", [checked ?? null]));
  }

  async close(): Promise<void> {
    await closeHandle(this.handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The option that all calls about things on record take. */
export interface HomeOption {
  /** Another home than the process's own: a Home, or its path. */
  home?: Home | string;
}

const opened = new Map<string, Promise<Home>>();

function byPath(path: string | undefined): Promise<Home> {
  const key = path ?? "";
  let home = opened.get(key);
  if (!home) {
    home = Home.open(path);
    opened.set(key, home);
    // One that could not be opened may be tried again.
    home.catch(() => opened.delete(key));
  }
  return home;
}

/** The process's own home, or the one that is named; opened once. */
export async function homeOf(value: unknown): Promise<Handle> {
  if (value instanceof Home) return value.handle;
  return (await byPath(check.optional(value, (v) => check.name(v, "home")))).handle;
}

/** The home that calls without the option `home` use. */
export const defaultHome = (): Promise<Home> => byPath(undefined);
