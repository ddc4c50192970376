import { Backoff } from "./backoff.ts";
import type { Machine } from "./hub-types.ts";

const firstWaitMs = 500;
const maxWaitMs = 15_000;
const maxFrameLength = 4 * 1024 * 1024;

/**
 * Tells of machines that join the warren from now on: those that the hub's first list did not have. Comes back after a
 * drop, and misses none that joined meanwhile.
 */
export function watchJoins(token: string, onJoined: (machine: Machine) => void): { close(): void } {
	const backoff = new Backoff(firstWaitMs, maxWaitMs);
	const joins = new Joins();
	let socket: WebSocket | undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;
	let closed = false;

	function connect(): void {
		const scheme = location.protocol === "https:" ? "wss" : "ws";
		const current = new WebSocket(`${scheme}://${location.host}/v1/machines/watch`, ["warren.v1", `bearer.${token}`]);
		socket = current;
		current.onmessage = ({ data }) => {
			backoff.reset();
			if (typeof data !== "string" || data.length > maxFrameLength) return;
			for (const machine of joins.heard(data)) onJoined(machine);
		};
		current.onclose = ({ code }) => {
			if (closed || (code >= 4400 && code <= 4499)) return;
			timer = setTimeout(connect, backoff.nextMs());
		};
	}
	connect();

	return {
		close() {
			closed = true;
			clearTimeout(timer);
			socket?.close(1000);
		},
	};
}

/** Which machines a message of `/v1/machines/watch` brings that were not there before. */
export class Joins {
	#known: Set<string> | undefined;

	heard(text: string): Machine[] {
		const message = parse(text);
		if (message === undefined) return [];
		if (message.type === "machine-removed") this.#known?.delete(String(message.nodeId));
		if (message.type === "machines" && Array.isArray(message.machines))
			return this.#list(message.machines.filter(isMachine));
		if (message.type === "machine" && isMachine(message.machine)) return this.#take([message.machine]);
		return [];
	}

	#list(machines: Machine[]): Machine[] {
		if (this.#known !== undefined) return this.#take(machines);
		this.#known = new Set(machines.map((each) => each.nodeId));
		return [];
	}

	#take(machines: Machine[]): Machine[] {
		const known = this.#known ?? new Set();
		const fresh = machines.filter((each) => !known.has(each.nodeId));
		for (const each of fresh) known.add(each.nodeId);
		return this.#known === undefined ? [] : fresh;
	}
}

function parse(text: string): Record<string, unknown> | undefined {
	try {
		const parsed: unknown = JSON.parse(text);
		return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
	} catch {
		// A newer hub may speak otherwise.
		return undefined;
	}
}

function isMachine(value: unknown): value is Machine {
	if (typeof value !== "object" || value === null) return false;
	const { nodeId, name, hosts, port } = value as Machine;
	return typeof nodeId === "string" && typeof name === "string" && Array.isArray(hosts) && typeof port === "number";
}
