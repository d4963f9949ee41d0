/** One at a time: the wasm runtime has one memory and no threads, so overlapping runs only cost memory and can corrupt its state. */
import { outlive } from './outlive.ts';

export class RunQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** How many wait or run. */
  get length(): number {
    return this.#waiting;
  }

  /** Runs `work` when everything before it has ended, well or badly: a failure is its own caller's alone. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const mine = outlive(this.#last.then(work));
    // The chain goes on after a failure; the failure itself reaches the caller through `mine`.
    this.#last = mine.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await mine;
    } finally {
      this.#waiting -= 1;
    }
  }
}
