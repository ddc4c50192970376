/**
 * A node made of canned data, for looking at the UI while developing it. Development only: it is in no build and no
 * package. It speaks docs/api-node.md far enough for every page, serves dist under the node's policy, and reports each
 * violation of that policy by its console of the browser.
 *
 *   node dev/fixture-node.ts [port]
 */
import { readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeClientFrame, encodeInputAck, encodeOutput, encodePong, encodeWelcome } from "@warren/terminal/protocol";
import { WebSocketServer } from "ws";
import { contentSecurityPolicy } from "./content-security-policy.ts";
import { auditRecords, history, peers, screen, sessionsOf, status, windows } from "./fixture-data.ts";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const port = Number(process.argv[2] ?? 5199);
const types: Record<string, string> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript",
	".css": "text/css",
	".svg": "image/svg+xml",
	".png": "image/png",
	".woff2": "font/woff2",
	".webmanifest": "application/manifest+json",
};

type Answer = [status: number, body?: unknown];

function answer(method: string, path: string, query: URLSearchParams, peer: string | undefined): Answer {
	const key = `${method} ${path}`;
	if (peer === "p-attic")
		return [
			502,
			{
				error: "upstream_error",
				reason: "timeout",
				message: "attic did not answer within 1.5 s.",
				fix: "Wake it, or use another machine.",
				retryable: true,
				relay: 1,
			},
		];
	if (peer === "p-mini") {
		return [
			409,
			{
				error: "pin_mismatch",
				message: "mini shows another certificate than the one known.",
				expected: peers.peers[3]?.pin?.fingerprint,
				actual: `9e:41:${"b7:0c:".repeat(14)}5d:22`,
				retryable: false,
			},
		];
	}
	if (key === "GET /api/identify") return [200, { app: "warren", version: "0.1.0" }];
	if (key === "GET /") return [200, { app: "warren", version: "0.1.0", name: "studio", roles: ["node"] }];
	if (key === "GET /ca.json")
		return [200, { fingerprint: status.node.fingerprint, name: "Warren studio", notAfter: Date.now() + 9e10 }];
	if (key === "POST /api/devices" || key === "POST /api/setup") {
		return [201, { device: { id: "d1", name: "Chrome on Linux", createdAt: Date.now() }, token: "wd_fixture" }];
	}
	if (key === "GET /api/me") {
		return [
			200,
			{
				kind: "device",
				name: "Chrome on Linux",
				deviceId: "d1",
				share: { session: "warren.1", expiresAt: Date.now() + 3.6e6 },
				node: { name: peer === "p-forge" ? "forge" : "studio", version: "0.1.0" },
			},
		];
	}
	if (key === "GET /api/devices") {
		const now = Date.now();
		return [
			200,
			{
				devices: [
					{ id: "d1", name: "Chrome on Linux", createdAt: now - 4e8, lastSeenAt: now, current: true },
					{ id: "d2", name: "Safari on iPhone", createdAt: now - 2e9, lastSeenAt: now - 7.2e6, current: false },
				],
			},
		];
	}
	if (key === "GET /api/peers") return [200, peers];
	if (key === "GET /api/sessions") return [200, { sessions: sessionsOf(peer) }];
	if (key === "POST /api/sessions") return [201, sessionsOf(peer)[0]];
	if (key === "GET /api/status") return [200, status];
	if (key === "GET /api/audit") return [200, { records: auditRecords(Number(query.get("before") ?? 0)) }];
	if (key === "GET /api/shares") return [200, { shares: [] }];
	if (key === "POST /api/ws-tickets") return [201, { ticket: "fixture", expiresInMs: 30_000 }];
	if (path.endsWith("/windows") && method === "GET") return [200, { windows }];
	if (path.endsWith("/shares") && method === "POST") {
		return [
			201,
			{
				share: { id: "s1" },
				token: "ws_x",
				url: "https://studio.internal:5151/#share=ws_6Xk2vJq9TfZ8mN4pR7sL1wY3bC5dE0gH",
			},
		];
	}
	if (path.endsWith("/history")) return [200, { text: history, lines: 400, more: false }];
	if (path.endsWith("/search"))
		return [
			200,
			{
				matches: [
					{ line: 12, text: "x" },
					{ line: 40, text: "y" },
				],
				truncated: false,
			},
		];
	if (method !== "GET") return [204];
	return [404, { error: "not_found", message: `${path} is not here.`, retryable: false }];
}

function serveFile(path: string, response: ServerResponse): void {
	const file = join(dist, path);
	const found =
		file.startsWith(dist) && statSync(file, { throwIfNoEntry: false })?.isFile() ? file : join(dist, "index.html");
	response.setHeader("content-type", types[extname(found)] ?? "application/octet-stream");
	response.setHeader("content-security-policy", contentSecurityPolicy(`http://127.0.0.1:${port}`));
	response.end(readFileSync(found));
}

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
	const url = new URL(request.url ?? "/", "http://fixture");
	const relayed = /^\/r\/([^/]+)(\/.*)$/.exec(url.pathname);
	const path = relayed?.[2] ?? url.pathname;
	const wantsJson = request.headers.accept?.startsWith("application/json") === true;
	if (!path.startsWith("/api/") && path !== "/ca.json" && !(path === "/" && wantsJson))
		return serveFile(path, response);
	request.resume();
	request.on("end", () => {
		const [code, body] = answer(request.method ?? "GET", path, url.searchParams, relayed?.[1]);
		response.writeHead(code, { "content-type": "application/json" });
		response.end(body === undefined ? undefined : JSON.stringify(body));
	});
});

const sockets = new WebSocketServer({ server, handleProtocols: () => "warren.v1" });
sockets.on("connection", (socket, request) => {
	if (request.url?.endsWith("~events")) return;
	let output = 0;
	let input = 0;
	const write = (bytes: Uint8Array) => {
		socket.send(encodeOutput(output, bytes));
		output += bytes.length;
	};
	socket.on("message", (data: Buffer) => {
		const frame = decodeClientFrame(new Uint8Array(data));
		switch (frame.type) {
			case "hello": {
				const { cols, rows, mode } = frame.hello;
				socket.send(
					encodeWelcome({
						viewer: "v1",
						session: { id: "warren.1", name: "build" },
						output: 0,
						input: 0,
						resumed: false,
						readOnly: mode === "read-only",
						cols,
						rows,
						mode,
						windowBytes: 262_144,
					}),
				);
				return write(new TextEncoder().encode(screen(cols, rows)));
			}
			case "input":
				input += frame.bytes.length;
				socket.send(encodeInputAck(input));
				return write(frame.bytes);
			case "ping":
				return socket.send(encodePong(frame.token));
		}
	});
});

server.listen(port, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${port}\n`));
