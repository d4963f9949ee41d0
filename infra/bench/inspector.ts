/** Calls of a runtime's inspector (Chrome DevTools Protocol), one after the other. */
export class Inspector {
  readonly #socket: WebSocket;
  #calls = 0;
  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async open(url: URL): Promise<Inspector> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error("the runtime's inspector does not answer")));
    });
    return new Inspector(socket);
  }

  async call(method: string): Promise<unknown> {
    const id = ++this.#calls;
    const told = Promise.withResolvers<unknown>();
    const listen = ({ data }: MessageEvent): void => {
      const message = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (message.id === id) told.resolve(message.result);
    };
    this.#socket.addEventListener('message', listen);
    this.#socket.send(JSON.stringify({ id, method }));
    const result = await told.promise;
    this.#socket.removeEventListener('message', listen);
    return result;
  }
}
