import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The way to the tests' server, which can be cut and mended as a restart of the server does. */
export class Way {
  address = '';
  private isOpen = true;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor() {
    const [host = '', port = ''] = (process.env.TEST_TEMPORAL_ADDRESS ?? '').split(':');
    this.server = createServer((socket) => {
      if (!this.isOpen) return void socket.destroy();
      const onward = connect(Number(port), host);
      for (const each of [socket, onward]) {
        this.sockets.add(each);
        each.on('error', () => undefined).on('close', () => [socket, onward].forEach((one) => one.destroy()));
      }
      socket.pipe(onward).pipe(socket);
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.address = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  cut(): void {
    this.isOpen = false;
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  mend(): void {
    this.isOpen = true;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
