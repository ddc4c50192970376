import { type AddressInfo, createServer, connect as netConnect, type Socket } from "node:net";

/** What a relay does to the bytes that pass it; each may change while connections are open. */
export interface Faults {
	/** Every chunk waits this long, each way. */
	delayMs: number;
	/** Nothing passes, and nothing is refused: a machine that sleeps. */
	stalled: boolean;
	/** Both sides are cut once this many bytes came back from the target on one connection. */
	cutAfterBytes: number;
}

export interface FaultRelay extends AsyncDisposable {
	readonly host: "127.0.0.1";
	readonly port: number;
	readonly faults: Faults;
	/** Cuts every open connection now (RST where the system does so). */
	cut(): void;
	connections(): number;
	close(): Promise<void>;
}

/** A TCP relay in front of a real server, for what real networks do. */
export async function faultRelay(target: { readonly host: string; readonly port: number }): Promise<FaultRelay> {
	const faults: Faults = { delayMs: 0, stalled: false, cutAfterBytes: Number.POSITIVE_INFINITY };
	const sockets = new Set<Socket>();
	const timers = new Set<NodeJS.Timeout>();
	const server = createServer((near) => {
		const far = netConnect(target.port, target.host);
		let cameBack = 0;
		const cutBoth = () => {
			near.destroy();
			far.destroy();
		};
		for (const socket of [near, far]) {
			sockets.add(socket);
			socket.setNoDelay(true);
			socket.on("error", cutBoth);
			socket.once("close", () => {
				sockets.delete(socket);
				cutBoth();
			});
		}
		const pass = (to: Socket, chunk: Buffer) => {
			if (faults.stalled || to.destroyed) return;
			if (faults.delayMs === 0) return void to.write(chunk);
			const timer = setTimeout(() => {
				timers.delete(timer);
				if (!to.destroyed) to.write(chunk);
			}, faults.delayMs);
			timers.add(timer);
		};
		near.on("data", (chunk: Buffer) => pass(far, chunk));
		far.on("data", (chunk: Buffer) => {
			const room = faults.cutAfterBytes - cameBack;
			cameBack += chunk.length;
			if (chunk.length < room) return pass(near, chunk);
			if (room > 0) near.write(chunk.subarray(0, room), cutBoth);
			else cutBoth();
		});
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	let closing: Promise<void> | undefined;
	const cut = () => {
		for (const socket of sockets) socket.destroy();
	};
	const close = () => {
		closing ??= new Promise<void>((resolve) => {
			server.close(() => resolve());
			for (const timer of timers) clearTimeout(timer);
			cut();
		});
		return closing;
	};
	return {
		host: "127.0.0.1",
		port: (server.address() as AddressInfo).port,
		faults,
		cut,
		connections: () => sockets.size / 2,
		close,
		[Symbol.asyncDispose]: close,
	};
}
