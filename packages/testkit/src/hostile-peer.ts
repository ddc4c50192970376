import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority, fingerprintOfPem } from "@warren/net";

/** A peer that does what a test tells it to, and remembers every byte that it was sent. */
export interface HostilePeer extends AsyncDisposable {
	readonly host: "127.0.0.1";
	readonly port: number;
	/** Of the certificate that it shows now. */
	readonly fingerprint: string;
	/** Heads of the requests that arrived, each as `METHOD /path` with its headers. */
	readonly requests: readonly { readonly line: string; readonly headers: NodeJS.Dict<string | string[]> }[];
	/** Everything received after the TLS handshake, decrypted, of all connections. */
	received(): string;
	/** Resolves when this many requests have arrived in all. */
	asked(count: number): Promise<void>;
	/** Open connections now. */
	connections(): number;
	/** Resolves when no connection is open. */
	idle(): Promise<void>;
	/** Shows another certificate from now on, as after a reinstallation. */
	reinstall(): Promise<string>;
	/** Cuts every connection and stops listening. Safe to call twice. */
	close(): Promise<void>;
}

export interface HostilePeerOptions {
	/** 0 = any free one. */
	readonly port?: number;
	/** Instead of HTTP: the bare connection, as it comes out of TLS. */
	readonly onSocket?: (socket: TLSSocket) => void;
	/** Answers /api/identify as a warren does, before `handler` is asked; true unless told. */
	readonly identifies?: boolean;
	readonly onUpgrade?: (head: string, socket: TLSSocket, headers: NodeJS.Dict<string | string[]>) => void;
}

/** A TLS server with a certificate of its own making that no authority vouches for. */
export async function hostilePeer(
	handler: RequestListener = (_request, response) => void response.writeHead(404).end(),
	options: HostilePeerOptions = {},
): Promise<HostilePeer> {
	const requests: { line: string; headers: NodeJS.Dict<string | string[]> }[] = [];
	let received = "";
	const sockets = new Set<TLSSocket>();
	let whenIdle: (() => void)[] = [];
	const whenAsked = new Set<() => void>();
	const arrived = (line: string, headers: NodeJS.Dict<string | string[]>) => {
		requests.push({ line, headers });
		for (const look of [...whenAsked]) look();
	};
	const http = createServer((request, response) => {
		arrived(`${request.method} ${request.url}`, request.headers);
		if (options.identifies !== false && request.url === "/api/identify") {
			response.setHeader("content-type", "application/json");
			response.end(JSON.stringify({ app: "warren", version: "0.1.0" }));
			return;
		}
		handler(request, response);
	});
	http.on("upgrade", (request, socket) => {
		const line = `${request.method} ${request.url}`;
		arrived(line, request.headers);
		socket.on("error", () => socket.destroy());
		if (options.onUpgrade === undefined) socket.destroy();
		else options.onUpgrade(line, socket as TLSSocket, request.headers);
	});
	let identity = await selfMade();
	const server = createTlsServer(identity, (socket) => {
		sockets.add(socket);
		socket.on("error", () => {});
		socket.once("close", () => {
			sockets.delete(socket);
			if (sockets.size === 0) for (const resolve of whenIdle.splice(0)) resolve();
		});
		// Heard beside the parser, so that even half a request shows.
		const emit = socket.emit.bind(socket);
		socket.emit = ((event: string, ...args: unknown[]) => {
			if (event === "data" && received.length < 4 * 1024 * 1024) received += String(args[0]);
			return emit(event, ...args);
		}) as typeof socket.emit;
		if (options.onSocket !== undefined) options.onSocket(socket);
		else http.emit("connection", socket);
	});
	server.on("tlsClientError", () => {});
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	let closing: Promise<void> | undefined;
	const close = () => {
		closing ??= new Promise<void>((resolve) => {
			server.close(() => resolve());
			for (const socket of sockets) socket.destroy();
		});
		return closing;
	};
	return {
		host: "127.0.0.1",
		port,
		requests,
		get fingerprint() {
			return fingerprintOfPem(identity.cert);
		},
		received: () => received,
		asked: (count) =>
			new Promise((resolve) => {
				const look = () => {
					if (requests.length < count) return;
					whenAsked.delete(look);
					resolve();
				};
				whenAsked.add(look);
				look();
			}),
		connections: () => sockets.size,
		idle: () =>
			sockets.size === 0
				? Promise.resolve()
				: new Promise((resolve) => {
						whenIdle = [...whenIdle, resolve];
					}),
		async reinstall() {
			identity = await selfMade();
			server.setSecureContext(identity);
			for (const socket of sockets) socket.destroy();
			return fingerprintOfPem(identity.cert);
		},
		close,
		[Symbol.asyncDispose]: close,
	};
}

async function selfMade(): Promise<{ cert: string; key: string }> {
	const { authority } = await Authority.create("nobody", [], systemClock, systemRandom);
	return authority.issue({ name: "peer", hosts: ["127.0.0.1", "localhost"] });
}
