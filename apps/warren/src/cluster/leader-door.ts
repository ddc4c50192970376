import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Clock, type Closeable, defineErrors, type Logger, messageOf } from "@warren/kernel";
import { canonicalHost, type Listener } from "@warren/net";
import type { Leader } from "@warren/store";

const doorError = defineErrors({ port_taken: { status: 500 } });

const limits = {
	/** For a leader, by whoever comes between two of them. */
	waitMs: 5_000,
	maxWaiting: 4_096,
	/** For each line that two instances say to each other. */
	lineMs: 3_000,
	maxLineBytes: 1_024,
	/** For a first byte, which tells an instance from a client. */
	firstByteMs: 10_000,
	/** Between what a leader stopped serving and its end. */
	drainMs: 500,
} as const;

/** How another instance begins: no TLS and no HTTP does. */
const hello = "WARREN/1\n";

/** What an instance says of a client whose connection it carries on. `hop` is 1: nobody carries it further. */
interface Carried {
	readonly hop: 1;
	readonly to: string;
	readonly epoch: number;
	readonly challenge: string;
	readonly remoteAddress: string;
	readonly localAddress: string;
}

type Service = { readonly listener: Listener; readonly epoch: number };

/**
 * The port of one of several instances. Whoever leads serves what arrives; the others carry it, byte by byte, to the one
 * that does: TLS and certificates are between the client and the leader. Two instances prove to each other that they
 * share the cluster's secret, for each connection anew, before a byte of the client passes.
 */
export class LeaderDoor implements Closeable {
	readonly #deps: { readonly clock: Clock; readonly logger: Logger };
	readonly #holder: string;
	readonly #key: Uint8Array;
	readonly #server: Server;
	readonly #sockets = new Set<Socket>();
	/** Served here: they end with the lead. */
	readonly #served = new Set<Socket>();
	readonly #waiting = new Set<() => void>();
	#service: Service | null = null;
	#leader: Leader | null = null;

	private constructor(
		deps: { readonly clock: Clock; readonly logger: Logger },
		options: {
			readonly role: string;
			readonly holder: string;
			readonly secret: string;
			readonly maxConnections: number;
		},
	) {
		this.#deps = deps;
		this.#holder = options.holder;
		this.#key = Buffer.from(hkdfSync("sha256", options.secret, "", `warren-${options.role}-door-v1`, 32));
		this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
		this.#server.maxConnections = options.maxConnections;
	}

	/** @throws WarrenError `port_taken`. */
	static async open(
		deps: { readonly clock: Clock; readonly logger: Logger },
		options: {
			readonly role: string;
			readonly holder: string;
			readonly secret: string;
			readonly host: string | undefined;
			readonly port: number;
			readonly maxConnections: number;
		},
	): Promise<LeaderDoor> {
		const door = new LeaderDoor(deps, options);
		await new Promise<void>((resolve, reject) => {
			door.#server.once("error", (cause) =>
				reject(doorError("port_taken", `Port ${options.port} cannot be used: ${messageOf(cause)}.`, { cause })),
			);
			door.#server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) }, () =>
				resolve(),
			);
		});
		// A connection that the system could not hand over: the next one may be.
		door.#server.on("error", () => {});
		return door;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	/** This instance leads: connections are served here, those that waited first. */
	serve(listener: Listener, epoch: number): void {
		this.#service = { listener, epoch };
		this.#leader = null;
		this.#wake();
	}

	/** What this instance served ends, and nothing new begins here. */
	async stopServing(): Promise<void> {
		this.#service = null;
		const served = [...this.#served];
		this.#served.clear();
		// Their last words are on their way.
		await new Promise<void>((resolve) => this.#deps.clock.after(served.length === 0 ? 0 : limits.drainMs, resolve));
		for (const socket of served) socket.destroy();
	}

	follow(leader: Leader | null): void {
		this.#leader = leader;
		if (leader !== null) this.#wake();
	}

	async close(): Promise<void> {
		const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
		await this.stopServing();
		for (const socket of this.#sockets) socket.destroy();
		await closed;
	}

	#wake(): void {
		for (const wake of [...this.#waiting]) wake();
	}

	#accept(socket: Socket): void {
		this.#sockets.add(socket);
		socket.on("error", () => socket.destroy());
		socket.once("close", () => this.#sockets.delete(socket));
		const silent = () => void socket.destroy();
		socket.setTimeout(limits.firstByteMs, silent);
		socket.once("readable", () => {
			const first = socket.read() as Buffer | null;
			// With its listener: whoever serves it sets timeouts of its own.
			socket.setTimeout(0, silent);
			if (first === null) return void socket.destroy();
			socket.unshift(first);
			if (first[0] === 0x57 /* W */ && hello.startsWith(first.subarray(0, hello.length).toString("latin1")))
				void this.#fromInstance(socket).catch(() => socket.destroy());
			else
				this.#place(socket, {
					remoteAddress: canonicalHost(socket.remoteAddress ?? ""),
					localAddress: canonicalHost(socket.localAddress ?? ""),
				});
		});
	}

	#place(socket: Socket, from: Pick<Carried, "remoteAddress" | "localAddress">): void {
		if (this.#service !== null) return this.#serveHere(socket, from, this.#service);
		if (this.#leader !== null) return void this.#carry(socket, from, this.#leader);
		if (this.#waiting.size >= limits.maxWaiting) return void socket.destroy();
		const late = this.#deps.clock.after(limits.waitMs, () => socket.destroy());
		const stop = () => {
			late.cancel();
			this.#waiting.delete(wake);
			socket.off("close", stop);
		};
		const wake = () => {
			stop();
			this.#place(socket, from);
		};
		socket.once("close", stop);
		this.#waiting.add(wake);
	}

	#serveHere(socket: Socket, from: Pick<Carried, "remoteAddress" | "localAddress">, { listener }: Service): void {
		this.#served.add(socket);
		socket.once("close", () => this.#served.delete(socket));
		listener.admit(socket, from);
	}

	/** To the one that leads. When that fails nothing of the client was passed: it finds out by its connection's end. */
	async #carry(client: Socket, from: Pick<Carried, "remoteAddress" | "localAddress">, leader: Leader): Promise<void> {
		const at = leader.address.lastIndexOf(":");
		const host = leader.address.slice(0, at).replace(/^\[|\]$/g, "");
		const far = connect({ host, port: Number(leader.address.slice(at + 1)), noDelay: true, allowHalfOpen: true });
		this.#sockets.add(far);
		far.once("close", () => {
			this.#sockets.delete(far);
			client.destroy();
		});
		far.on("error", () => far.destroy());
		client.once("close", () => far.destroy());
		try {
			far.write(hello);
			const challenge = await this.#line(far);
			const carried: Carried = { hop: 1, to: leader.holder, epoch: leader.epoch, challenge, ...from };
			const payload = Buffer.from(JSON.stringify(carried)).toString("base64url");
			far.write(`${payload}.${this.#mac(`carry:${payload}`)}\n`);
			if (!equal(await this.#line(far), this.#mac(`taken:${challenge}`))) throw new Error("it is not of this cluster");
		} catch (fault) {
			this.#deps.logger.warn("a connection could not be carried to the leader", {
				leader: leader.address,
				fault: messageOf(fault),
			});
			far.destroy();
			return;
		}
		client.pipe(far);
		far.pipe(client);
	}

	async #fromInstance(socket: Socket): Promise<void> {
		if (`${await this.#line(socket)}\n` !== hello) return void socket.destroy();
		const challenge = randomBytes(32).toString("base64url");
		socket.write(`${challenge}\n`);
		const [payload = "", mac = ""] = (await this.#line(socket)).split(".");
		if (!equal(mac, this.#mac(`carry:${payload}`))) return void socket.destroy();
		const carried = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Carried;
		const service = this.#service;
		// Never two hops: whoever does not lead (any more) says no.
		const isOurs = carried.hop === 1 && carried.challenge === challenge && carried.to === this.#holder;
		if (!isOurs || service === null || carried.epoch !== service.epoch) return void socket.destroy();
		socket.write(`${this.#mac(`taken:${challenge}`)}\n`);
		this.#serveHere(socket, carried, service);
	}

	#mac(text: string): string {
		return createHmac("sha256", this.#key).update(text).digest("base64url");
	}

	/** The next line; what follows it stays unread. @throws Error when none comes, or is too long. */
	#line(socket: Socket): Promise<string> {
		return new Promise((resolve, reject) => {
			let seen = Buffer.alloc(0);
			const settle = () => {
				late.cancel();
				socket.off("readable", look);
				socket.off("close", gone);
				socket.off("end", gone);
			};
			const fail = (why: string) => {
				settle();
				reject(new Error(why));
			};
			const gone = () => fail("the connection was closed");
			const late = this.#deps.clock.after(limits.lineMs, () => fail(`no answer within ${limits.lineMs} ms`));
			const look = () => {
				for (;;) {
					const chunk = socket.read() as Buffer | null;
					if (chunk === null) return;
					seen = Buffer.concat([seen, chunk]);
					const end = seen.indexOf("\n");
					if (end === -1 && seen.length > limits.maxLineBytes) return fail("a line is too long");
					if (end === -1) continue;
					settle();
					if (end + 1 < seen.length) socket.unshift(seen.subarray(end + 1));
					return resolve(seen.toString("latin1", 0, end));
				}
			};
			socket.on("readable", look);
			socket.once("close", gone);
			socket.once("end", gone);
			look();
		});
	}
}

function equal(a: string, b: string): boolean {
	const [left, right] = [Buffer.from(a), Buffer.from(b)];
	return left.length === right.length && timingSafeEqual(left, right);
}
