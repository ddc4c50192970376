import { createSocket, type Socket } from "node:dgram";
import { getServers } from "node:dns";
import { createServer, isIP, type Server, type Socket as Stream } from "node:net";
import { type Clock, type Closeable, RateLimit, type Timer } from "@warren/kernel";
import { overlayError } from "../errors.ts";
import { answerQuery, type NameLookup } from "./answer.ts";

export const responderLimits = {
	perAddress: { perSecond: 100, burst: 300, maxKeys: 10_000 },
	maxForwarded: 256,
	forwardMs: 5_000,
	maxStreams: 32,
	streamIdleMs: 10_000,
	/** Answers that wait for a client to read them. */
	maxUnreadBytes: 64 * 1024,
} as const;

export interface ResponderOptions {
	readonly host: string;
	/** 53; 0 = any free one. */
	readonly port: number;
	readonly lookup: NameLookup;
	/** Whose queries for other domains are passed on to the system's resolver: stock clients that have no other one. */
	readonly forwardsFor: (address: string) => boolean;
	/** `address` or `address:port`; the system's own unless told. */
	readonly upstream?: () => { readonly address: string; readonly port: number } | null;
}

/** DNS for the overlay's own names, by UDP and TCP, on the overlay's address alone. */
export class NameResponder implements Closeable {
	readonly #udp: Socket;
	readonly #tcp: Server;
	readonly #options: ResponderOptions;
	readonly #clock: Clock;
	readonly #rate: RateLimit;
	readonly #streams = new Set<Stream>();
	readonly #forwarded = new Set<{ readonly socket: Socket; readonly timer: Timer }>();

	#closing: Promise<void> | undefined;

	private constructor(udp: Socket, tcp: Server, clock: Clock, options: ResponderOptions) {
		this.#udp = udp;
		this.#tcp = tcp;
		this.#clock = clock;
		this.#options = options;
		this.#rate = new RateLimit(clock, responderLimits.perAddress);
		udp.on("message", (query, from) => {
			// Nothing can be sent to port 0: Node throws.
			if (from.port !== 0 && this.#rate.take(from.address) === 0)
				this.#answer(query, from.address, (bytes) => udp.send(bytes, from.port, from.address, () => {}));
		});
		udp.on("error", () => {});
		tcp.maxConnections = responderLimits.maxStreams;
		tcp.on("connection", (stream) => this.#serve(stream));
		tcp.on("error", () => {});
	}

	/** @throws WarrenError `no_network`. */
	static async open(clock: Clock, options: ResponderOptions, attempts = 5): Promise<NameResponder> {
		const udp = createSocket(options.host.includes(":") ? "udp6" : "udp4");
		const tcp = createServer();
		try {
			await new Promise<void>((resolve, reject) => {
				udp.once("error", reject);
				udp.bind(options.port, options.host, resolve);
			});
			await new Promise<void>((resolve, reject) => {
				tcp.once("error", reject);
				tcp.listen(udp.address().port, options.host, resolve);
			});
		} catch (cause) {
			udp.close();
			// The system chose a port that is free for UDP alone.
			const isTaken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
			if (options.port === 0 && isTaken && attempts > 1) return NameResponder.open(clock, options, attempts - 1);
			throw overlayError(
				"no_network",
				`Names cannot be served on [${options.host}]:${options.port}: ${(cause as Error).message}.`,
				{ cause },
			);
		}
		udp.removeAllListeners("error");
		tcp.removeAllListeners("error");
		return new NameResponder(udp, tcp, clock, options);
	}

	get port(): number {
		return this.#udp.address().port;
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		for (const each of this.#forwarded) this.#drop(each);
		for (const stream of this.#streams) stream.destroy();
		await Promise.all([
			new Promise<void>((resolve) => this.#udp.close(() => resolve())),
			new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
		]);
	}

	#answer(query: Uint8Array, from: string, reply: (bytes: Uint8Array) => void): void {
		const reading = answerQuery(query, this.#options.lookup);
		if (reading.kind === "answer") reply(reading.bytes);
		else if (reading.kind === "foreign") this.#forward(reading.query, reading.refusal, from, reply);
	}

	/** As it came, to the system's resolver; its answer as it comes. */
	#forward(query: Buffer, refusal: Buffer, from: string, reply: (bytes: Uint8Array) => void): void {
		const upstream = this.#options.forwardsFor(from) ? (this.#options.upstream ?? systemResolver)() : null;
		if (upstream === null || this.#forwarded.size >= responderLimits.maxForwarded) return reply(refusal);
		const socket = createSocket(upstream.address.includes(":") ? "udp6" : "udp4");
		const entry = { socket, timer: this.#clock.after(responderLimits.forwardMs, () => this.#drop(entry)) };
		this.#forwarded.add(entry);
		socket.on("error", () => this.#drop(entry));
		socket.on("message", (bytes) => {
			// Connected to the resolver, and the same id: as good as plain DNS gets.
			if (bytes.length < 12 || bytes.readUInt16BE(0) !== query.readUInt16BE(0)) return;
			this.#drop(entry);
			reply(bytes);
		});
		socket.connect(upstream.port, upstream.address, () => {
			if (this.#forwarded.has(entry)) socket.send(query);
		});
	}

	#drop(entry: { readonly socket: Socket; readonly timer: Timer }): void {
		if (!this.#forwarded.delete(entry)) return;
		entry.timer.cancel();
		entry.socket.close();
	}

	/** RFC 1035 §4.2.2: two bytes of length before each message. */
	#serve(stream: Stream): void {
		this.#streams.add(stream);
		stream.setTimeout(responderLimits.streamIdleMs, () => stream.destroy());
		stream.on("error", () => stream.destroy());
		stream.once("close", () => this.#streams.delete(stream));
		let rest = Buffer.alloc(0);
		stream.on("data", (bytes: Buffer) => {
			rest = Buffer.concat([rest, bytes]);
			while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
				const query = rest.subarray(2, 2 + rest.readUInt16BE(0));
				rest = rest.subarray(2 + query.length);
				if (this.#rate.take(stream.remoteAddress ?? "") > 0) return void stream.destroy();
				this.#answer(query, stream.remoteAddress ?? "", (answer) => {
					const length = Buffer.alloc(2);
					length.writeUInt16BE(answer.length);
					if (stream.writable) stream.write(Buffer.concat([length, answer]));
					// It asks on and reads nothing.
					if (stream.writableLength > responderLimits.maxUnreadBytes) stream.destroy();
				});
			}
			if (rest.length > 4096) stream.destroy();
		});
	}
}

function systemResolver(): { address: string; port: number } | null {
	const [first] = getServers();
	if (first === undefined) return null;
	if (isIP(first) !== 0) return { address: first, port: 53 };
	const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(first);
	return match === null ? null : { address: match[1] as string, port: Number(match[2]) };
}
