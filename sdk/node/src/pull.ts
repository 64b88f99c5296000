/** A sandbox that is being made, and what its pull does meanwhile. */
import type { PullProgress } from "./image";
import type { Sandbox } from "./sandbox";

/** A sandbox that is being made: `for await (const event of session.progress)`, then `await session.result()`. */
export class PullSession {
  readonly progress: AsyncIterable<PullProgress>;
  readonly #result: Promise<Sandbox>;
  readonly #events: PullProgress[] = [];
  readonly #stop = new AbortController();
  #done = false;
  #wake: (() => void) | undefined;

  /** @internal */
  constructor(
    make: (report: (e: PullProgress) => void, signal: AbortSignal) => Promise<Sandbox>,
    signal?: AbortSignal,
  ) {
    const report = (e: PullProgress): void => {
      this.#events.push(e);
      this.#wake?.();
    };
    const finish = (): void => {
      this.#done = true;
      this.#wake?.();
    };
    this.#result = make(report, signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal);
    this.#result.then(finish, finish);
    this.progress = { [Symbol.asyncIterator]: () => this.#iterate() };
  }

  async *#iterate(): AsyncGenerator<PullProgress, void, void> {
    for (;;) {
      for (let e = this.#events.shift(); e; e = this.#events.shift()) yield e;
      if (this.#done) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  result(): Promise<Sandbox> {
    return this.#result;
  }

  awaitSandbox(): Promise<Sandbox> {
    return this.#result;
  }

  [Symbol.asyncIterator](): AsyncIterator<PullProgress> {
    return this.#iterate();
  }

  cancel(): void {
    this.#stop.abort();
  }
}
