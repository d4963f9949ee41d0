/**
 * A network runs without a pause, and while it runs the isolate answers nobody: of a batch of pictures, for seconds, in which other callers' connections
 * may even be closed as idle. Long work in one request takes a breath between its runs: the event loop turns, and what came meanwhile is read and answered.
 */
const BREATH_AFTER_MS = 20;
/** On Cloudflare the clock stands still while a Worker computes; then so many runs take that long. */
const BREATH_AFTER_RUNS = 2;

export class Breather {
  #since = performance.now();
  #runs = 0;

  /** To be called after each run. Nothing while little time has passed. */
  async breathe(): Promise<void> {
    this.#runs += 1;
    const passed = performance.now() - this.#since;
    if (passed === 0 ? this.#runs < BREATH_AFTER_RUNS : passed < BREATH_AFTER_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#since = performance.now();
    this.#runs = 0;
  }
}
