import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answer, TestBackbone } from "../backbone.testing.ts";

/** What a hidden request would look like to a service that was fooled. */
const hidden = "GET /hidden HTTP/1.1\r\nHost: web.mos.test\r\nX-Mosb-Sub: forged\r\n\r\n";
const head = "POST /seen HTTP/1.1\r\nHost: web.mos.test\r\n";
const chunkedHidden = (size: string) => `${size}\r\n\r\n${hidden}`;

/** Every one tries to make two parsers disagree about where a request ends. */
const payloads: readonly (readonly [string, string])[] = [
	["CL.TE", `${head}Content-Length: ${5 + hidden.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
	[
		"TE.CL",
		`${head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
	],
	["TE with a space", `${head}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["TE with a tab", `${head}Transfer-Encoding:\tchunked\t\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["TE.TE", `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n${hidden}`],
	["TE folded", `${head}Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["TE by bare LF", `${head}X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["TE by bare CR", `${head}X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["two lengths", `${head}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`],
	["a list of lengths", `${head}Content-Length: 0, ${hidden.length}\r\n\r\n${hidden}`],
	["a signed length", `${head}Content-Length: +0\r\n\r\n${hidden}`],
	["a hexadecimal length", `${head}Content-Length: 0x0\r\n\r\n${hidden}`],
	["a chunk's size with 0x", `${head}Transfer-Encoding: chunked\r\n\r\n${chunkedHidden("0x0")}`],
	["a chunk's size with a space", `${head}Transfer-Encoding: chunked\r\n\r\n${chunkedHidden("0 ")}`],
	["a chunk extension with LF", `${head}Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4c\r\n0\r\n\r\n${hidden}`],
	["a chunk that ends in LF", `${head}Transfer-Encoding: chunked\r\n\r\n1\na\n0\r\n\r\n${hidden}`],
	["a length in Connection", `${head}Connection: Content-Length\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`],
	["two Hosts", `${head}Host: mos.test\r\n\r\n${hidden}`],
	["NUL in a name", `${head}Transfer-Encoding\0: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	[
		"vertical tab before chunked",
		`${head}Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
	],
];

let backbone: TestBackbone;
let received: string;
beforeAll(async () => {
	backbone = await TestBackbone.open();
	received = "";
	// Records everything, and answers whatever looks like a request line.
	const { port } = await backbone.tcp((socket: Socket) =>
		socket.on("data", (bytes) => {
			received += bytes.toString("latin1");
			socket.write(answer("ok"));
		}),
	);
	await backbone.agent("web", port);
});
afterAll(() => backbone[Symbol.asyncDispose]());

describe("a request that two parsers would read differently", () => {
	it.each(payloads)(
		"H2: %s is refused, and nothing of it reaches a service as a request of its own",
		async (_name, bytes) => {
			received = "";
			using client = await backbone.client();
			client.send(bytes);
			expect(await client.until(/^HTTP\/1.1 \d{3}/)).toMatch(/^HTTP\/1.1 (400|501)/);
			await client.closed();
			// A head may have gone ahead of a body that turned out malformed; the hidden line never as the start of a message.
			expect(received).not.toContain("/hidden");
			expect(received).not.toContain("forged");
		},
	);
});
