import { Backoff } from "./backoff.ts";
import type { Api } from "./client.ts";
import { refusedByClose } from "./credentials.ts";
import { ApiError } from "./exchange.ts";
import type { MachineId } from "./machine.ts";
import { openSocket } from "./socket.ts";
import type { NodeEvent } from "./types.ts";

/** A machine's `/ws/~events`, held open while someone listens. After a gap the listener is told to fetch anew. */
export type FeedState = "connecting" | "live" | "waiting" | "refused";

export interface FeedListener {
	onEvent(event: NodeEvent): void;
	/** The feed is (again) live: what happened in between was not told. */
	onLive(): void;
	onState(state: FeedState): void;
}

const firstWaitMs = 500;
const maxWaitMs = 30_000;
/** A feed that stayed up this long starts its waits anew. */
const settledMs = 10_000;
const maxFrameLength = 64 * 1024;

export function openFeed(api: Api, machine: MachineId, listener: FeedListener): { close(): void; retry(): void } {
	const backoff = new Backoff(firstWaitMs, maxWaitMs);
	let socket: WebSocket | undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;
	let closed = false;
	let refused = false;
	let opening = false;

	async function connect(): Promise<void> {
		if (closed || opening) return;
		clearTimeout(timer);
		timer = undefined;
		opening = true;
		listener.onState("connecting");
		try {
			socket = await openSocket(api, machine, "/ws/~events");
		} catch (failure) {
			opening = false;
			if (failure instanceof ApiError && !failure.retryable) return park();
			return wait();
		}
		opening = false;
		if (closed) return socket.close();
		follow(socket);
	}

	function follow(current: WebSocket): void {
		let openedAt = 0;
		current.onopen = () => {
			openedAt = performance.now();
			listener.onState("live");
			listener.onLive();
		};
		current.onmessage = (message) => {
			const event = parseEvent(message.data);
			if (event !== undefined) listener.onEvent(event);
		};
		current.onclose = (close) => {
			if (current !== socket || closed) return;
			socket = undefined;
			if (openedAt > 0 && performance.now() - openedAt > settledMs) backoff.reset();
			if (close.code === 4401) {
				const about = refusedByClose(machine, close.reason);
				api.credentials.drop(about);
				return park();
			}
			if (close.code >= 4400 && close.code <= 4499) return park();
			wait();
		};
	}

	function park(): void {
		refused = true;
		listener.onState("refused");
	}

	function wait(): void {
		if (closed) return;
		listener.onState("waiting");
		timer = setTimeout(connect, backoff.nextMs());
	}

	/** At once: the phone woke up, or the network came back. */
	function retry(): void {
		if (socket === undefined && !refused) void connect();
	}

	const onWake = () => {
		if (document.visibilityState === "visible") retry();
	};
	document.addEventListener("visibilitychange", onWake);
	addEventListener("online", retry);
	addEventListener("pageshow", onWake);
	void connect();

	return {
		retry,
		close() {
			closed = true;
			clearTimeout(timer);
			document.removeEventListener("visibilitychange", onWake);
			removeEventListener("online", retry);
			removeEventListener("pageshow", onWake);
			socket?.close(1000);
		},
	};
}

/** `undefined` for anything that is no event: a newer node may send what this page does not know. */
export function parseEvent(data: unknown): NodeEvent | undefined {
	if (typeof data !== "string" || data.length > maxFrameLength) return undefined;
	try {
		const parsed: unknown = JSON.parse(data);
		if (typeof parsed !== "object" || parsed === null) return undefined;
		return typeof (parsed as NodeEvent).type === "string" ? (parsed as NodeEvent) : undefined;
	} catch {
		return undefined;
	}
}
