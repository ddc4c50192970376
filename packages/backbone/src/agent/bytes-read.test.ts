import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, it } from "vitest";
import { copyBelowBytes } from "../tunnel/link.ts";
import { bytesRead } from "./bytes-read.ts";

it("hands on what came, whoever reads meanwhile: small pieces for the call, larger ones for good", async () => {
	const sent = [1, copyBelowBytes, copyBelowBytes + 1, 64 * 1024, 64 * 1024 - 1, 1_500_000, 3];
	const bodies = new Map<string, Buffer>();
	await using server = createServer((socket) => {
		const body = Buffer.concat(sent.map((bytes, at) => Buffer.alloc(bytes, `${socket.remotePort}, piece ${at};`)));
		bodies.set(String(socket.remotePort), body);
		socket.on("error", () => {});
		// Each piece is asked for, so that it comes by itself.
		let at = 0;
		socket.on("data", () => {
			const from = sent.slice(0, at).reduce((sum, bytes) => sum + bytes, 0);
			socket.write(body.subarray(from, from + (sent[at++] ?? 0)));
			if (at === sent.length) socket.end();
		});
	});
	await once(server.listen(0, "127.0.0.1"), "listening");
	const readers = Array.from({ length: 3 }, async () => {
		const kept: Buffer[] = [];
		let [came, due, asked] = [0, 0, 0];
		const socket = connect({
			...{ host: "127.0.0.1", port: (server.address() as AddressInfo).port },
			onread: bytesRead((bytes) => {
				// As a link does.
				kept.push(bytes.length <= copyBelowBytes ? Buffer.from(bytes) : bytes);
				came += bytes.length;
				// What is paused in the middle of it comes later, and whole.
				socket.pause();
				setImmediate(() => socket.resume());
				if (came === due) ask();
			}),
		});
		const ask = () => {
			due += sent[asked++] ?? 0;
			socket.write("?");
		};
		await once(socket, "connect");
		const own = String(socket.localPort);
		ask();
		await once(socket, "end");
		expect(Buffer.concat(kept).equals(bodies.get(own) as Buffer)).toBe(true);
	});
	await Promise.all(readers);
});
