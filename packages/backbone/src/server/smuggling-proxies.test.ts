import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answer, TestBackbone } from "../backbone.testing.ts";
import { missingProxy, type ProxyName, TestProxy, type Verdict } from "./proxies.testing.ts";

const post = "POST / HTTP/1.1\r\nHost: web.mos.test\r\n";
const get = "GET / HTTP/1.1\r\nHost: web.mos.test\r\n";
const chunked = "5\r\nhello\r\n0\r\n\r\n";
const hidden = "GET /hidden HTTP/1.1\r\nHost: web.mos.test\r\n\r\n";

/** What every proxy takes: without these, a front that refuses all would pass. */
const honest: [string, string][] = [
	["a request without a body", `${get}\r\n`],
	["a length", `${post}Content-Length: 5\r\n\r\nhello`],
	["no length of nothing", `${post}Content-Length: 0\r\n\r\n`],
	["chunks", `${post}Transfer-Encoding: chunked\r\n\r\n${chunked}`],
	["chunks in capitals", `${post}Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n`],
	["a query", `GET /a?b=c&d=%20 HTTP/1.1\r\nHost: web.mos.test\r\n\r\n`],
	["the whole URL", `GET http://web.mos.test/ HTTP/1.1\r\nHost: web.mos.test\r\n\r\n`],
	["OPTIONS", `OPTIONS / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n`],
	["an empty field", `${get}X-Empty:\r\n\r\n`],
	["blanks around a value", `${get}X-Value:  \t a b \t\r\n\r\n`],
	["a port in Host", "GET / HTTP/1.1\r\nHost: web.mos.test:80\r\n\r\n"],
];

/** What two parsers may read differently: framing, line ends, names, targets, hosts. */
const doubtful: [string, string][] = [
	["length and chunks", `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
	["chunks and length", `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`],
	["two lengths that differ", `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
	["two lengths that agree", `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
	["a list of lengths", `${post}Content-Length: 5, 5\r\n\r\nhello`],
	["a length with a sign", `${post}Content-Length: +5\r\n\r\nhello`],
	["a length below nothing", `${post}Content-Length: -5\r\n\r\nhello`],
	["a hexadecimal length", `${post}Content-Length: 0x5\r\n\r\nhello`],
	["a length with a fraction", `${post}Content-Length: 5.0\r\n\r\nhello`],
	["an empty length", `${post}Content-Length:\r\n\r\n`],
	["a length after a blank of Latin-1", `${post}Content-Length: \u00a05\r\n\r\nhello`],
	["chunks before a blank of Latin-1", `${post}Transfer-Encoding: chunked\u00a0\r\n\r\n0\r\n\r\n${hidden}`],
	["a length beyond numbers", `${post}Content-Length: 99999999999999999999\r\n\r\nhello`],
	["a length with blanks inside", `${post}Content-Length: 5 5\r\n\r\nhello`],
	["a blank before the colon", `${post}Content-Length : 5\r\n\r\nhello`],
	["a tab before the colon", `${post}Transfer-Encoding\t: chunked\r\n\r\n${chunked}`],
	["chunked twice", `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`],
	["chunked, chunked", `${post}Transfer-Encoding: chunked, chunked\r\n\r\n${chunked}`],
	["identity", `${post}Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello`],
	["chunked, identity", `${post}Transfer-Encoding: chunked, identity\r\n\r\n${chunked}`],
	["gzip, chunked", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked}`],
	["xchunked", `${post}Transfer-Encoding: xchunked\r\n\r\n${chunked}`],
	["chunked in quotes", `${post}Transfer-Encoding: "chunked"\r\n\r\n${chunked}`],
	["chunked with a parameter", `${post}Transfer-Encoding: chunked;a=b\r\n\r\n${chunked}`],
	["chunked after a vertical tab", `${post}Transfer-Encoding: \x0bchunked\r\n\r\n${chunked}`],
	["chunked and NUL", `${post}Transfer-Encoding: chunked\0\r\n\r\n${chunked}`],
	["an empty coding", `${post}Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello`],
	["chunks in HTTP/1.0", `POST / HTTP/1.0\r\nHost: web.mos.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`],
	["a folded coding", `${post}Transfer-Encoding:\r\n chunked\r\n\r\n${chunked}`],
	["a folded field", `${get}X-Folded: a\r\n b\r\n\r\n`],
	["a first line that begins with a blank", `${post} Content-Length: 5\r\n\r\nhello`],
	["LF alone", `GET / HTTP/1.1\nHost: web.mos.test\n\n`],
	["LF alone after a field", `${post}X: y\nContent-Length: 5\r\n\r\nhello`],
	["CR alone in a value", `${get}X: a\rContent-Length: 5\r\n\r\n`],
	["CR CR LF", `${get}X: a\r\r\n\r\n`],
	["NUL in a value", `${get}X: a\0b\r\n\r\n`],
	["NUL in a name", `${get}X\0: a\r\n\r\n`],
	["no colon", `${get}nonsense\r\n\r\n`],
	["no name", `${get}: value\r\n\r\n`],
	["a name with a blank", `${get}X Y: z\r\n\r\n`],
	["a name with brackets", `${get}X(Y): z\r\n\r\n`],
	["a name beyond ASCII", `${get}X\xe4: z\r\n\r\n`],
	["two Hosts that differ", `${get}Host: other.test\r\n\r\n`],
	["two Hosts that agree", `${get}Host: web.mos.test\r\n\r\n`],
	["no Host", "GET / HTTP/1.1\r\n\r\n"],
	["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
	["a Host with a path", "GET / HTTP/1.1\r\nHost: web.mos.test/x\r\n\r\n"],
	["a Host with a user", "GET / HTTP/1.1\r\nHost: a@web.mos.test\r\n\r\n"],
	["a Host with a blank", "GET / HTTP/1.1\r\nHost: web.mos.test x\r\n\r\n"],
	["a list of Hosts", "GET / HTTP/1.1\r\nHost: web.mos.test, other.test\r\n\r\n"],
	["a Host with a port that is none", "GET / HTTP/1.1\r\nHost: web.mos.test:8x\r\n\r\n"],
	["a URL of another host", "GET http://other.test/ HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a URL with a user", "GET http://a@web.mos.test/ HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target without a slash", "GET nothing HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target with a blank", "GET /a b HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target with a tab", "GET /a\tb HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target with NUL", "GET /a\0b HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target beyond ASCII", "GET /\xe4 HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target with DEL", "GET /\x7f HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target with a fragment", "GET /a#b HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a target of dots that climb out", "GET /../../x HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a broken percent sign", "GET /%zz HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["an encoded NUL", "GET /%00 HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["CONNECT", "CONNECT web.mos.test:80 HTTP/1.1\r\nHost: web.mos.test:80\r\n\r\n"],
	["a method in small letters", "get / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a method with a bracket", "G(T / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["two blanks in the first line", "GET  / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a tab in the first line", "GET\t/ HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a blank after the version", "GET / HTTP/1.1 \r\nHost: web.mos.test\r\n\r\n"],
	["HTTP/1.2", "GET / HTTP/1.2\r\nHost: web.mos.test\r\n\r\n"],
	["HTTP/2.0", "GET / HTTP/2.0\r\nHost: web.mos.test\r\n\r\n"],
	["HTTP/0.9", "GET /\r\n"],
	["HTTP/01.1", "GET / HTTP/01.1\r\nHost: web.mos.test\r\n\r\n"],
	["http/1.1", "GET / http/1.1\r\nHost: web.mos.test\r\n\r\n"],
	["a chunk's size with 0x", `${post}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`],
	["a chunk's size with a sign", `${post}Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n`],
	["a chunk's size below nothing", `${post}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`],
	["a chunk's size with a blank", `${post}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`],
	["a chunk's size after a blank", `${post}Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n`],
	["a chunk's size with LF alone", `${post}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`],
	["a chunk that ends in LF alone", `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n`],
	["a chunk longer than its size", `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n`],
	[
		"a chunk's size beyond numbers",
		`${post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff5\r\nhello\r\n0\r\n\r\n`,
	],
	["no chunk's size", `${post}Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n`],
	["a chunk extension with a bare CR", `${post}Transfer-Encoding: chunked\r\n\r\n5;a=\rb\r\nhello\r\n0\r\n\r\n`],
	["a chunk extension with LF", `${post}Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n`],
	["Connection that names the length", `${post}Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello`],
	["Connection that names Host", `${get}Connection: Host\r\n\r\n`],
];

const names: ProxyName[] = ["nginx", "haproxy"];
const proxies = new Map<ProxyName, TestProxy>();
const missing: string[] = [];
let backbone: TestBackbone;
let received = "";

beforeAll(async () => {
	for (const name of names) {
		const why = missingProxy(name);
		if (why === null) proxies.set(name, await TestProxy.start(name));
		else missing.push(why);
	}
	backbone = await TestBackbone.open();
	const { port } = await backbone.tcp((socket) =>
		socket.on("data", (bytes) => {
			received += bytes.toString("latin1");
			socket.write(answer("ok"));
		}),
	);
	await backbone.agent("web", port);
});
afterAll(async () => {
	for (const proxy of proxies.values()) proxy[Symbol.dispose]();
	await backbone[Symbol.asyncDispose]();
});

/** Of our own first answer; 0 = closed without one. */
async function ours(bytes: string): Promise<number> {
	received = "";
	using client = await backbone.client();
	client.send(Buffer.from(bytes, "latin1"));
	const text = await client.until(/^HTTP\/1\.1 \d{3}/).catch(() => "");
	return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
}

const framing = (text: string) =>
	text
		.slice(0, text.indexOf("\r\n\r\n"))
		.split("\r\n")
		.filter((line) => /^(content-length|transfer-encoding|host)\s*:/i.test(line))
		.map((line) => line.toLowerCase().replace(/\s+/g, ""))
		.sort();

/** It took the request, but did not pass on what frames and routes it as it came. */
function isNormalised(sent: string, { forwarded }: Verdict): boolean {
	return forwarded !== "" && JSON.stringify(framing(sent)) !== JSON.stringify(framing(forwarded));
}

describe("beside nginx and haproxy", () => {
	it.each(honest)("H3: %s is taken by all three", async (_name, bytes) => {
		for (const [name, proxy] of proxies) expect((await proxy.ask(bytes)).status, name).toBe(200);
		expect(await ours(bytes)).toBe(200);
	});

	it.each(doubtful)(
		"H3: %s is refused where either refuses or mends it, and is never two requests",
		async (_name, bytes) => {
			const refusing: string[] = [];
			for (const [name, proxy] of proxies) {
				const verdict = await proxy.ask(bytes);
				if (verdict.status === 0 || verdict.status >= 400) refusing.push(`${name} answers ${verdict.status}`);
				else if (isNormalised(bytes, verdict)) refusing.push(`${name} mends it`);
			}
			const status = await ours(bytes);
			if (refusing.length > 0)
				expect(status === 0 || status >= 400, `${status}, and ${refusing.join(", ")}`).toBe(true);
			expect(received).not.toContain("/hidden");
			expect(received.match(/ HTTP\/1\.[01]\r\n/g)?.length ?? 0).toBeLessThanOrEqual(1);
		},
	);

	it("both were asked", (context) => {
		context.skip(missing.length > 0, missing.join("; "));
		expect([...proxies.keys()]).toEqual(names);
	});
});
