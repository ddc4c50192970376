import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { type Clock, type Closeable, type Logger, messageOf, type Timer, type Tracer } from "@warren/kernel";
import { ResetCode } from "../protocol/frames.ts";
import { type StreamUser, TunnelLink } from "../tunnel/link.ts";
import type { Dialled } from "./dial.ts";
import { LinkWatch, linkWatchLimits } from "./link-watch.ts";

export const udpFlowLimits = {
	/** Local addresses and ports that have a flow at once; datagrams of others are dropped. */
	maxFlows: 1024,
	/** A flow without a datagram for so long, either way, ends. The backbone and the agent count the same. */
	idleMs: 60_000,
	/** Flows whose link is being dialled at once. */
	maxDialling: 64,
	/** Datagrams of one flow that wait for its link. */
	maxWaitingBytes: 64 * 1024,
	/** …and how many: an empty one has no bytes. */
	maxWaiting: 1024,
	/** Of one link, not sent yet: UDP drops rather than waits. */
	maxBacklogBytes: 1024 * 1024,
	/** After a refusal the datagrams of its flow are dropped for so long, or for as long as the backbone says. */
	minRestMs: 1_000,
	maxRestMs: 30_000,
} as const;

export interface UdpFlowsDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly tracer?: Tracer | null | undefined;
	/** A link of the visitor to the service. */
	readonly dial: () => Promise<Dialled>;
}

/** A UDP port of this machine that leads to a UDP service: one link for each local source, one frame a datagram. */
export class UdpFlows implements Closeable {
	readonly #deps: UdpFlowsDeps;
	readonly #socket: Socket;
	readonly #flows = new Map<string, UdpFlow>();
	#dialling = 0;

	private constructor(deps: UdpFlowsDeps, socket: Socket) {
		this.#deps = deps;
		this.#socket = socket;
		socket.on("message", (datagram, source) => this.#received(datagram, source));
		socket.on("error", (fault) => deps.logger.warn("the UDP port failed", { fault: fault.message }));
	}

	/** @throws NodeJS.ErrnoException when the port is taken. */
	static async open(deps: UdpFlowsDeps, host: string, port: number): Promise<UdpFlows> {
		const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
		await new Promise<void>((resolve, reject) => {
			// One that got no port is open all the same.
			socket.once("error", (fault) => socket.close(() => reject(fault)));
			socket.bind({ port, address: host }, () => {
				socket.removeAllListeners("error");
				resolve();
			});
		});
		return new UdpFlows(deps, socket);
	}

	get port(): number {
		return this.#socket.address().port;
	}

	close(): Promise<void> {
		for (const flow of [...this.#flows.values()]) flow.close();
		return new Promise((resolve) => this.#socket.close(() => resolve()));
	}

	#received(datagram: Buffer, { address, port }: RemoteInfo): void {
		// Nothing can be sent to port 0: Node throws.
		if (port === 0) return;
		const key = `${address} ${port}`;
		const known = this.#flows.get(key);
		if (known !== undefined) return known.datagram(datagram);
		const { maxFlows, maxDialling } = udpFlowLimits;
		if (this.#flows.size >= maxFlows || this.#dialling >= maxDialling) return;
		const { clock } = this.#deps;
		const back = (bytes: Buffer) => this.#socket.send(bytes, port, address);
		const flow = new UdpFlow(clock, back, () => this.#flows.delete(key));
		this.#flows.set(key, flow);
		flow.datagram(datagram);
		void this.#connect(flow);
	}

	async #connect(flow: UdpFlow): Promise<void> {
		const { tracer, dial, logger, clock } = this.#deps;
		const span = tracer?.begin(undefined) ?? null;
		this.#dialling += 1;
		let dialled: Dialled;
		try {
			dialled = await dial();
		} catch (fault) {
			dialled = { ok: false, status: null, message: messageOf(fault), retryAfterMs: 0 };
		}
		this.#dialling -= 1;
		span?.end({
			name: "forward flow",
			attributes: { "warren.role": "forward", ...(dialled.ok ? {} : { "error.type": "refused" }) },
		});
		if (!dialled.ok) {
			logger.warn("the backbone refuses a flow", { fault: dialled.message });
			return flow.rest(dialled.retryAfterMs);
		}
		if (flow.isOver) return void dialled.channel.destroy();
		const link = new TunnelLink(
			dialled.channel,
			{
				onIdle: (idle) => idle.close("over"),
				onControl: () => {},
				onClosed: (_link, reason) => logger.debug("a forwarded flow is over", { reason }),
			},
			() => clock.monotonic(),
		);
		flow.start(link, span === null ? {} : { traceparent: span.traceparent });
		dialled.channel.resume();
	}
}

/**
 * What one local address and port sends, and what comes back to it.
 *
 *   dialling ──link──► open ──idle at either end──► over
 *       └──refused──┐      └──broken──┐               ▲
 *                   └──► resting ◄────┘ ──a while─────┘
 */
class UdpFlow implements StreamUser {
	readonly #clock: Clock;
	readonly #back: (datagram: Buffer) => void;
	readonly #gone: () => void;
	#link: TunnelLink | null = null;
	#watch: LinkWatch | null = null;
	#waiting: Buffer[] = [];
	#waitingBytes = 0;
	#parts: Buffer[] = [];
	#movedAt: number;
	#timer: Timer;
	#resting = false;
	#over = false;

	constructor(clock: Clock, back: (datagram: Buffer) => void, gone: () => void) {
		this.#clock = clock;
		this.#back = back;
		this.#gone = gone;
		this.#movedAt = clock.monotonic();
		this.#timer = this.#armIdle(udpFlowLimits.idleMs);
	}

	get isOver(): boolean {
		return this.#over;
	}

	datagram(bytes: Buffer): void {
		if (this.#resting) return;
		this.#movedAt = this.#clock.monotonic();
		if (this.#link !== null) {
			if (this.#link.bufferedBytes < udpFlowLimits.maxBacklogBytes) this.#link.write(bytes);
			return;
		}
		const { maxWaiting, maxWaitingBytes } = udpFlowLimits;
		if (this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes.length > maxWaitingBytes) return;
		this.#waiting.push(bytes);
		this.#waitingBytes += bytes.length;
	}

	start(link: TunnelLink, trace: { readonly traceparent?: string }): void {
		this.#link = link;
		this.#watch = new LinkWatch(this.#clock, link, linkWatchLimits.datagramAnswerMs);
		link.open({ kind: "udp", ...trace }, this);
		for (const each of this.#waiting.splice(0)) link.write(each);
	}

	/** Drops what comes for a while, so that a refusal is not asked for again with each datagram. */
	rest(ms: number): void {
		if (this.#over || this.#resting) return;
		this.#resting = true;
		this.#waiting = [];
		this.#drop();
		this.#timer.cancel();
		const { minRestMs, maxRestMs } = udpFlowLimits;
		this.#timer = this.#clock.after(Math.min(maxRestMs, Math.max(minRestMs, ms)), () => this.close());
	}

	close(): void {
		if (this.#over) return;
		this.#over = true;
		this.#timer.cancel();
		this.#drop();
		this.#gone();
	}

	onData(piece: Buffer, last: boolean): void {
		this.#movedAt = this.#clock.monotonic();
		if (!last || this.#parts.length > 0) this.#parts.push(piece);
		if (!last) return;
		const datagram = this.#parts.length === 0 ? piece : Buffer.concat(this.#parts);
		this.#parts = [];
		this.#back(datagram);
	}

	onEnd(): void {
		this.close();
	}

	onBroken(code: number): void {
		this.#link = null;
		// Idle at the other end is no fault: the next datagram may begin anew at once.
		if (code === ResetCode.timeout) this.close();
		else this.rest(0);
	}

	onDrain(): void {}

	#drop(): void {
		this.#watch?.close();
		const link = this.#link;
		this.#link = null;
		link?.close("the flow is over");
	}

	#armIdle(ms: number): Timer {
		return this.#clock.after(ms, () => {
			const left = udpFlowLimits.idleMs - (this.#clock.monotonic() - this.#movedAt);
			if (left <= 0) this.close();
			else this.#timer = this.#armIdle(left);
		});
	}
}
