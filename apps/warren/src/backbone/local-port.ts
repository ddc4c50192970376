import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { ExposedKind } from "./service-desk.ts";

/** How long a local port may take to accept a connection, ms. */
const targetMs = 1_000;

/** Whether somebody listens on this port of 127.0.0.1. */
export function listensLocally(kind: ExposedKind, port: number, limitMs = targetMs): Promise<boolean> {
	return kind === "udp" ? isTakenByUdp(port) : takesConnections(port, limitMs);
}

/** Datagrams have no handshake to ask with: whoever listens has the port, which nobody else gets then. */
function isTakenByUdp(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = createSocket("udp4");
		const settle = (answer: boolean) => socket.close(() => resolve(answer));
		socket.once("error", () => settle(true));
		socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => settle(false));
	});
}

function takesConnections(port: number, limitMs: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect({ host: "127.0.0.1", port, timeout: limitMs });
		const settle = (answer: boolean) => {
			socket.destroy();
			resolve(answer);
		};
		socket.once("connect", () => settle(true));
		socket.once("error", () => settle(false));
		// A process that stood still for so long sees its timers first: what has come meanwhile is heard before they count.
		socket.once("timeout", () => setImmediate(() => settle(false)));
	});
}
