/**
 * A network runs without a pause, and while it runs the isolate answers nobody: of a batch of pictures, for seconds, in which other callers' connections
 * may even be closed as idle. Long work in one request takes a breath between its runs: the event loop turns, and what came meanwhile is read and answered.
 */
const BREATH_AFTER_MS = 20;

export class Breather {
  #since = performance.now();

  /** Nothing while little time has passed. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#since < BREATH_AFTER_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#since = performance.now();
  }
}
