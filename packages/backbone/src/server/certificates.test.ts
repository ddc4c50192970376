import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { maxClientHelloBytes, readClientHello } from "../protocol/client-hello.ts";
import type { Certificates, FrontTls } from "./certificates.ts";

let authority: Authority;
let backbone: TestBackbone;
let certificates: Certificates;
const leaf = (...hosts: string[]): Promise<FrontTls> =>
	authority.issue({ name: hosts[0] as string, hosts, usages: ["server"] });

beforeAll(async () => {
	({ authority } = await Authority.create("Test", ["mos.test", "shop.test"], systemClock, systemRandom));
	backbone = await TestBackbone.open({ tls: await leaf("mos.test") });
	certificates = backbone.backbone.certificates as Certificates;
});
afterAll(() => backbone[Symbol.asyncDispose]());

async function handshake(options: ConnectionOptions): Promise<TLSSocket> {
	const socket = connect({ port: backbone.port, host: "127.0.0.1", ca: authority.certPem, ...options });
	await once(socket, "secureConnect");
	return socket;
}

async function namesShown(options: ConnectionOptions): Promise<string | undefined> {
	const socket = await handshake({ checkServerIdentity: () => undefined, ...options });
	const { subjectaltname } = socket.getPeerCertificate();
	socket.destroy();
	return subjectaltname;
}

/** What a client of Node's sends first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
	const { createServer } = await import("node:net");
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const arrived = once(server, "connection");
	const client = connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1", ...options });
	client.on("error", () => {});
	const [socket] = await arrived;
	const [bytes] = (await once(socket, "data")) as [Buffer];
	client.destroy();
	socket.destroy();
	server.close();
	return bytes;
}

describe("certificates by name", () => {
	it("S1: a name's own comes before a wildcard's, and that before the standard one", async () => {
		certificates.setFor("shop.test", await leaf("shop.test"));
		certificates.setFor("*.mos.test", await leaf("*.mos.test"));
		expect(await namesShown({ servername: "shop.test" })).toBe("DNS:shop.test");
		expect(await namesShown({ servername: "SHOP.test" })).toBe("DNS:shop.test");
		expect(await namesShown({ servername: "web.mos.test" })).toBe("DNS:*.mos.test");
		expect(await namesShown({ servername: "a.web.mos.test" })).toBe("DNS:mos.test");
		expect(await namesShown({})).toBe("DNS:mos.test");
		certificates.setFor("shop.test", null);
		expect(await namesShown({ servername: "shop.test" })).toBe("DNS:mos.test");
	});

	it("S1: the standard one changes for the next client", async () => {
		certificates.setStandard(await leaf("mos.test", "localhost"));
		expect(await namesShown({})).toBe("DNS:mos.test, DNS:localhost");
		expect(() => certificates.setStandard({ cert: "no", key: "no" })).toThrow();
		expect(await namesShown({})).toBe("DNS:mos.test, DNS:localhost");
	});

	it("P2: a client that offers HTTP/2 alone gets it at a service of kind http; one that offers both gets HTTP/1.1", async () => {
		await backbone.token("plain");
		const chosen = async (ALPNProtocols: string[]) => {
			const socket = await handshake({
				servername: "plain.mos.test",
				ALPNProtocols,
				checkServerIdentity: () => undefined,
			});
			socket.destroy();
			return socket.alpnProtocol;
		};
		expect(await chosen(["h2"])).toBe("h2");
		expect(await chosen(["h2", "http/1.1"])).toBe("http/1.1");
	});

	it("S2: a challenge is for who asks for it; the others see what they saw before, and are served", async () => {
		certificates.setChallenge("web.mos.test", await leaf("web.mos.test"));
		try {
			const asking = { servername: "web.mos.test", ALPNProtocols: ["acme-tls/1"] };
			const socket = await handshake({ checkServerIdentity: () => undefined, ...asking });
			expect(socket.alpnProtocol).toBe("acme-tls/1");
			expect(socket.getPeerCertificate().subjectaltname).toBe("DNS:web.mos.test");
			socket.resume();
			await once(socket, "end");
			socket.destroy();
			expect(await namesShown({ servername: "web.mos.test", ALPNProtocols: ["http/1.1"] })).toBe("DNS:*.mos.test");
			const other = await handshake({ servername: "mos.test" });
			other.write("GET /healthz HTTP/1.1\r\nHost: mos.test\r\nConnection: close\r\n\r\n");
			let text = "";
			for await (const piece of other) text += piece;
			expect(text).toMatch(/^HTTP\/1.1 200/);
			await expect(handshake({ servername: "else.mos.test", ALPNProtocols: ["acme-tls/1"] })).rejects.toThrow();
		} finally {
			certificates.setChallenge("web.mos.test", null);
		}
	});

	it("S3: a hello that comes byte by byte, or is none, costs its sender alone", async () => {
		certificates.setChallenge("web.mos.test", await leaf("web.mos.test"));
		try {
			const hello = await helloOf({ servername: "mos.test" });
			const slow = connectTcp(backbone.port, "127.0.0.1").setNoDelay(true);
			const answered = once(slow, "data");
			for (const byte of hello) slow.write(Buffer.from([byte]));
			const [[first]] = (await answered) as [Buffer];
			// A handshake record: the server answers the hello.
			expect(first).toBe(22);
			slow.destroy();
			const liar = connectTcp(backbone.port, "127.0.0.1");
			liar.on("error", () => {});
			liar.write("GET / HTTP/1.1\r\n\r\n");
			liar.resume();
			await once(liar, "close");
		} finally {
			certificates.setChallenge("web.mos.test", null);
		}
	});
});

describe("readClientHello", () => {
	it("S3: finds name and protocols, however the records are cut; half of one is incomplete", async () => {
		const hello = await helloOf({ servername: "mos.test", ALPNProtocols: ["h2", "http/1.1"] });
		const read = { servername: "mos.test", protocols: ["h2", "http/1.1"] };
		expect(readClientHello(hello)).toEqual(read);
		for (let end = 0; end < hello.length; end++) expect(readClientHello(hello.subarray(0, end))).toBe("incomplete");
		const body = hello.subarray(5);
		for (const size of [1, 3, 100]) {
			const records: Buffer[] = [];
			for (let at = 0; at < body.length; at += size) {
				const piece = body.subarray(at, at + size);
				records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
			}
			expect(readClientHello(Buffer.concat(records))).toEqual(read);
		}
	});

	it("S3: every byte may be wrong: it is read, waited for or refused, and never thrown over", async () => {
		const hello = await helloOf({ servername: "mos.test", ALPNProtocols: ["acme-tls/1"] });
		let seen = 0;
		for (let at = 0; at < hello.length; at++)
			for (const value of [0, 1, 127, 255]) {
				const broken = Buffer.from(hello);
				broken[at] = value;
				const read = readClientHello(broken);
				expect(read === null || read === "incomplete" || typeof read.servername === "string").toBe(true);
				seen += 1;
			}
		expect(seen).toBeGreaterThan(500);
		const endless = Buffer.alloc(maxClientHelloBytes + 6, 22);
		endless.writeUInt16BE(0x0303, 1);
		endless.writeUInt16BE(maxClientHelloBytes, 3);
		expect(readClientHello(endless)).not.toBe("incomplete");
	});
});
