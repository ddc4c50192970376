import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { firstOf, Lifetime, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { Authority, HostTable, Listener, type TlsIdentity } from "@warren/net";
import { RawClient } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LeaderDoor } from "./leader-door.ts";

const deps = { clock: systemClock, logger: silentLogger };
const secret = "a-secret-of-the-instances-of-tests";
let lifetime: Lifetime;
beforeEach(() => {
	lifetime = new Lifetime();
});
afterEach(() => lifetime.close());

/** Answers with where a request came from, as it sees it. */
async function listenerOf(name: string, tls: TlsIdentity | null): Promise<Listener> {
	return lifetime.own(
		await Listener.open(deps, {
			...{ role: name, host: "127.0.0.1", port: 0, tls, hosts: new HostTable(["localhost"]) },
			authenticator: firstOf(),
			routes: [
				{
					...{ owner: name, method: "POST", path: "/who", credentials: ["none"], maxBodyBytes: 1_000_000 },
					handle: async ({ remoteAddress, request }) =>
						new Response(`${name} ${remoteAddress} ${(await request.text()).length}`),
				},
			],
		}),
	);
}

async function doorOf(holder: string, doorSecret = secret, host = "127.0.0.1"): Promise<LeaderDoor> {
	return lifetime.own(
		await LeaderDoor.open(deps, { role: "test", holder, secret: doorSecret, host, port: 0, maxConnections: 100 }),
	);
}

const bodyBytes = 300_000;
const asked = `POST /who HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bodyBytes}\r\nConnection: close\r\n\r\n${"x".repeat(bodyBytes)}`;

/** All that came until the other side closed. */
function ask(port: number, options: { ca?: string; from?: string; words?: string } = {}): Promise<string> {
	return new Promise((resolve) => {
		const { ca, from, words = asked } = options;
		const plain = connect({ host: "127.0.0.1", port, ...(from === undefined ? {} : { localAddress: from }) });
		const socket = ca === undefined ? plain : connectTls({ socket: plain, ca, servername: "localhost" });
		let seen = "";
		socket.setEncoding("latin1").on("data", (text: string) => (seen += text));
		socket.on("error", () => {});
		plain.on("error", () => {});
		socket.once("close", () => resolve(seen));
		socket.write(words);
	});
}

async function leafOf(): Promise<{ tls: TlsIdentity; ca: string }> {
	const { authority } = await Authority.create("test", ["localhost"], systemClock, systemRandom);
	const leaf = await authority.issue({ name: "localhost", hosts: ["localhost"], usages: ["server"] });
	return { tls: { cert: leaf.cert, key: leaf.key }, ca: authority.certPem };
}

describe("the door of one of several instances", () => {
	it.each(["plain", "TLS"])(
		"serves here or carries to the leader, %s, and the client's address goes along",
		async (kind) => {
			const { tls, ca } = await leafOf();
			const options = kind === "TLS" ? { ca } : {};
			const [first, second] = [await doorOf("first"), await doorOf("second")];
			first.serve(await listenerOf("one", kind === "TLS" ? tls : null), 7);
			second.follow({ holder: "first", address: `127.0.0.1:${first.port}`, epoch: 7 });
			expect(await ask(first.port, { ...options, from: "127.0.0.5" })).toMatch(/one 127\.0\.0\.5 300000$/);
			expect(await ask(second.port, { ...options, from: "127.0.0.6" })).toMatch(/one 127\.0\.0\.6 300000$/);
		},
	);

	it("who comes between two leaders waits for the next one", async () => {
		const door = await doorOf("first");
		const waiting = ask(door.port);
		door.serve(await listenerOf("one", null), 1);
		expect(await waiting).toMatch(/one 127\.0\.0\.1 300000$/);
	});

	it("another epoch, another holder, another secret and whoever does not lead carry nothing", async () => {
		const [first, second, follower] = [await doorOf("first"), await doorOf("second"), await doorOf("third")];
		first.serve(await listenerOf("one", null), 7);
		const stranger = await doorOf("stranger", "another-secret-altogether");
		const at = (door: LeaderDoor) => `127.0.0.1:${door.port}`;
		second.follow({ holder: "first", address: at(first), epoch: 6 });
		expect(await ask(second.port), "of an earlier lead").toBe("");
		second.follow({ holder: "other", address: at(first), epoch: 7 });
		expect(await ask(second.port), "another process at that place").toBe("");
		stranger.follow({ holder: "first", address: at(first), epoch: 7 });
		expect(await ask(stranger.port), "a stranger").toBe("");
		// Never two hops: the one that is asked does not lead, though it knows who does.
		follower.follow({ holder: "first", address: at(first), epoch: 7 });
		second.follow({ holder: "third", address: at(follower), epoch: 7 });
		expect(await ask(second.port), "two hops").toBe("");
	});

	it("a listener that poses as the leader learns nothing of the client", async () => {
		let heard = "";
		const poser = createServer((socket) => {
			socket.on("error", () => {});
			socket.on("data", (chunk) => {
				heard += chunk.toString("latin1");
				if (heard === "WARREN/1\n") socket.write(`${"c".repeat(43)}\n`);
				else socket.write("a-proof-of-nothing\n");
			});
		});
		await new Promise<void>((resolve) => poser.listen(0, "127.0.0.1", resolve));
		lifetime.defer(() => new Promise<void>((resolve) => poser.close(() => resolve())));
		const door = await doorOf("first");
		door.follow({ holder: "x", address: `127.0.0.1:${(poser.address() as { port: number }).port}`, epoch: 1 });
		expect(await ask(door.port)).toBe("");
		expect(heard).toMatch(/^WARREN\/1\n[\w-]+\.[\w-]+\n$/);
	});

	it("what an instance said once is of no use to who heard it", async () => {
		const door = await doorOf("first");
		door.serve(await listenerOf("one", null), 7);
		let envelope = "";
		// Between the two instances, and it keeps what passes.
		const relay = createServer((near) => {
			const far = connect(door.port, "127.0.0.1");
			near.on("error", () => {});
			far.on("error", () => {});
			near.on("data", (chunk) => {
				const text = chunk.toString("latin1");
				if (/^[\w-]+\.[\w-]+\n/.test(text)) envelope = text.slice(0, text.indexOf("\n") + 1);
			});
			near.pipe(far);
			far.pipe(near);
		});
		await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
		lifetime.defer(() => new Promise<void>((resolve) => relay.close(() => resolve())));
		const second = await doorOf("second");
		second.follow({ holder: "first", address: `127.0.0.1:${(relay.address() as { port: number }).port}`, epoch: 7 });
		expect(await ask(second.port)).toMatch(/one /);
		expect(envelope).not.toBe("");
		expect(await ask(door.port, { words: `WARREN/1\n${envelope}${asked}` })).toMatch(/^[\w-]{43}\n$/);
	});

	it("the end of a lead ends what was served, and nothing that began after it", async () => {
		const door = await doorOf("first");
		door.serve(await listenerOf("one", null), 1);
		const words = asked.replace("Connection: close\r\n", "");
		using open = await RawClient.open({ port: door.port });
		open.send(words);
		await open.until(/one 127/);
		const stopped = door.stopServing();
		door.serve(await listenerOf("two", null), 2);
		expect(await ask(door.port)).toMatch(/two /);
		await stopped;
		expect(await ask(door.port)).toMatch(/two /);
		await open.closed();
	});
});
