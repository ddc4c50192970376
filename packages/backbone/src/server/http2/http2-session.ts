import {
	constants,
	type IncomingHttpHeaders,
	performServerHandshake,
	type ServerHttp2Session,
	type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { BandwidthWindow } from "../../protocol/bandwidth-window.ts";
import { headLimits } from "../../protocol/request-head.ts";
import type { Front } from "../front.ts";
import { refuseStream } from "./refuse-stream.ts";
import { upstreamLimits } from "./upstreams.ts";

export const http2Limits = {
	/** Streams at once of a client, and of an agent once it was let in. */
	maxClientStreams: 128,
	maxAgentStreams: 4096,
	/** Per window: streams that a client resets (CVE-2023-44487), its SETTINGS, its PINGs. */
	maxResets: 200,
	maxSettings: 100,
	maxPings: 500,
	windowMs: 10_000,
	/** Frames that mean nothing, empty DATA among them, of one connection. */
	maxInvalidFrames: 100,
	maxSettingsEntries: 32,
	headerListBytes: headLimits.maxHeadBytes,
	/** Of headers and state of one connection. */
	maxSessionMegabytes: 64,
	streamWindowBytes: upstreamLimits.windowBytes,
	/** Of an agent's streams: up to here it follows what the line carries in a round trip. */
	maxAgentStreamWindowBytes: 16 * 1024 * 1024,
	/** Above many of those: one link that nobody reads must leave room for the others. */
	agentWindowBytes: 32 * 1024 * 1024,
	/** Until then a connection has the 64 KiB of the standard: bodies of nobody are not held. */
	admittedWindowBytes: upstreamLimits.sessionWindowBytes,
} as const;

/** A request whose head is not too large. */
export interface ArrivedStream {
	readonly stream: ServerHttp2Stream;
	readonly headers: IncomingHttpHeaders;
	/** Names and values in turn, as they came. */
	readonly raw: readonly string[];
	/** What comes after its body, noted from the first moment on: it may come while the request is still judged. */
	readonly arrived: ArrivedTrailers;
}

export interface ArrivedTrailers {
	trailers: IncomingHttpHeaders;
}

type Counted = "resets" | "settings" | "pings";

/** One HTTP/2 connection: what it may ask for, and how much of it at once. */
export class Http2Session {
	readonly socket: Socket;
	/** The service that the port belongs to; null = sorted by :authority. */
	readonly pinned: string | null;
	readonly #front: Front;
	readonly #http2: ServerHttp2Session;
	/** Something of it was let in: it may send more at once. */
	#admitted = false;
	/** Null = a client's. */
	#agentWindow: BandwidthWindow | null = null;
	#streams = 0;
	readonly #counts: Record<Counted, number> = { resets: 0, settings: 0, pings: 0 };
	#countedFrom: number;

	/** @param closed it is over. */
	constructor(
		front: Front,
		socket: Socket,
		pinned: string | null,
		onStream: (arrived: ArrivedStream) => void,
		closed: () => void,
	) {
		this.#front = front;
		this.socket = socket;
		this.pinned = pinned;
		this.#countedFrom = front.now;
		const http2 = performServerHandshake(socket, {
			settings: {
				initialWindowSize: http2Limits.streamWindowBytes,
				maxConcurrentStreams: http2Limits.maxClientStreams,
				maxHeaderListSize: http2Limits.headerListBytes,
			},
			// Pseudo-header fields count too.
			maxHeaderListPairs: headLimits.maxHeaders + 4,
			maxSessionInvalidFrames: http2Limits.maxInvalidFrames,
			maxSessionMemory: http2Limits.maxSessionMegabytes,
			maxSettings: http2Limits.maxSettingsEntries,
			streamResetBurst: http2Limits.maxResets,
			streamResetRate: http2Limits.maxResets / (http2Limits.windowMs / 1000),
		} as Parameters<typeof performServerHandshake>[1]);
		this.#http2 = http2;
		http2.on("error", () => http2.destroy());
		http2.on("close", closed);
		http2.on("remoteSettings", () => this.#count("settings", http2Limits.maxSettings));
		http2.on("ping", () => this.#count("pings", http2Limits.maxPings));
		http2.setTimeout(front.limits.keepAliveMs, () => {
			if (this.#streams === 0) http2.close();
		});
		http2.on("stream", (stream, headers, _flags, raw: readonly string[]) => {
			const arrived: ArrivedTrailers = { trailers: {} };
			stream.on("trailers", (trailers: IncomingHttpHeaders) => {
				arrived.trailers = trailers;
			});
			this.#streams += 1;
			stream.on("error", () => {});
			stream.on("close", () => {
				this.#streams -= 1;
				if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && this.#agentWindow === null)
					this.#count("resets", http2Limits.maxResets);
			});
			// A client's first frames are older than its knowledge of our limit.
			if (listBytes(raw) > http2Limits.headerListBytes)
				return refuseStream(stream, 431, "head_too_large", "The header list is too large.");
			onStream({ stream, headers, raw, arrived });
		});
	}

	/** Says that it will stop; streams finish. */
	drain(): void {
		if (!this.#http2.destroyed) this.#http2.goaway(constants.NGHTTP2_NO_ERROR);
	}

	destroy(): void {
		this.#http2.destroy();
	}

	/** So many in a window, and the connection is over. */
	#count(what: Counted, max: number): void {
		const { now } = this.#front;
		if (now - this.#countedFrom > http2Limits.windowMs) {
			this.#countedFrom = now;
			Object.assign(this.#counts, { resets: 0, settings: 0, pings: 0 });
		}
		this.#counts[what] += 1;
		if (this.#counts[what] > max && !this.#http2.destroyed)
			this.#http2.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
	}

	/** A request of it was let in. */
	admit(): void {
		if (this.#http2.destroyed || this.#admitted) return;
		this.#admitted = true;
		this.#http2.setLocalWindowSize(http2Limits.admittedWindowBytes);
	}

	/** It is an agent's: each of its streams is a link. */
	admitAgent(): void {
		if (this.#http2.destroyed || this.#agentWindow !== null) return;
		const { streamWindowBytes, maxAgentStreamWindowBytes, maxAgentStreams } = http2Limits;
		this.#agentWindow = new BandwidthWindow(streamWindowBytes, maxAgentStreamWindowBytes);
		this.#http2.settings({ maxConcurrentStreams: maxAgentStreams });
		this.#admitted = true;
		this.#http2.setLocalWindowSize(http2Limits.agentWindowBytes);
	}

	/** Rule L6. @param bytes that came from an agent. */
	widen(bytes: number): void {
		const http2 = this.#http2;
		const agentWindow = this.#agentWindow;
		const { clock } = this.#front;
		if (agentWindow?.received(bytes, clock.monotonic()) !== true || http2.destroyed) return;
		http2.ping(() => {
			const initialWindowSize = agentWindow.answered(clock.monotonic());
			if (initialWindowSize !== null && !http2.destroyed) http2.settings({ initialWindowSize });
		});
	}
}

/** As RFC 9113 §6.5.2 counts. */
function listBytes(raw: readonly string[]): number {
	return raw.reduce((sum, text) => sum + text.length + 16, 0);
}
