import { createServer } from "node:https";
import { connect, createServer as createSilentServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import { type NodeId, type PeerCandidate, type PeerTunnel, systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { openSqliteTables, type Tables } from "@warren/store";
import { freePort } from "@warren/testkit";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PeerDirectory } from "./directory.ts";
import type { KnownPeer } from "./known-peers.ts";
import { Pins } from "./pins.ts";
import { PeerPools } from "./relay/pools.ts";
import { type PeerTables, peerSchema } from "./schema.ts";
import { ManualPeers } from "./sources/manual.ts";

/** Peers that prove themselves by the warren's CA, on real sockets. */
const one = "node0000one" as NodeId;
const two = "node0000two" as NodeId;
let authority: Authority;
let stranger: Authority;
let tables: Tables<PeerTables>;
let pins: Pins;
const servers: Server[] = [];

beforeAll(async () => {
	authority = (await Authority.create("Ours", [], systemClock, systemRandom)).authority;
	stranger = (await Authority.create("Theirs", [], systemClock, systemRandom)).authority;
});
beforeEach(async () => {
	tables = await openSqliteTables<PeerTables>(":memory:", [peerSchema]);
	pins = await Pins.open(tables.db, systemClock);
});
afterEach(async () => {
	for (const server of servers.splice(0)) {
		if ("closeAllConnections" in server) (server as { closeAllConnections(): void }).closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
	await tables.close();
});

const leaf = (ca: Authority, nodeId?: NodeId) =>
	ca.issue({ name: "burrow", hosts: ["localhost"], ...(nodeId === undefined ? {} : { nodeId }) });

async function listen(server: Server, host: string, port: number): Promise<number> {
	servers.push(server);
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(port, host, resolve);
	});
	return (server.address() as { port: number }).port;
}

/** @param port of one that comes back, or stands at several addresses: one that nobody else is given meanwhile. */
async function node(pair: { cert: string; key: string }, host = "127.0.0.1", port?: number): Promise<number> {
	const body = JSON.stringify({ app: "warren", version: "1.2.3" });
	const server = createServer({ ...pair, cert: pair.cert }, (_request, response) => response.end(body));
	return listen(server, host, port ?? (await freePort()));
}

function directory(...candidates: PeerCandidate[]): Promise<PeerDirectory> {
	return directoryOver(null, ...candidates);
}

function directoryOver(tunnel: PeerTunnel<Duplex> | null, ...candidates: PeerCandidate[]): Promise<PeerDirectory> {
	return PeerDirectory.open({
		tunnel,
		db: tables.db,
		clock: systemClock,
		pins,
		ca: authority.certPem,
		manual: new ManualPeers(tables.db, systemClock),
		sources: [{ name: "hub", candidates: async () => ({ candidates, errors: [] }) }],
		isSelf: () => false,
	});
}
const at = (port: number, more: Partial<PeerCandidate> = {}): PeerCandidate => ({
	name: "burrow",
	host: "127.0.0.1",
	port,
	nodeId: one,
	...more,
});
/** Leads to a port of this machine, whichever machine is asked for. */
function tunnelTo(port: () => number): PeerTunnel<Duplex> & { readonly opened: NodeId[] } {
	const opened: NodeId[] = [];
	return {
		opened,
		leadsTo: () => true,
		open: async (nodeId) => {
			opened.push(nodeId);
			return connect(port(), "127.0.0.1");
		},
	};
}
const only = async (from: PeerDirectory) => (await from.list()).peers[0];

describe("a machine of the warren", () => {
	it("is believed for the CA and its identifier: no pin, and a renewed leaf needs nobody's word", async () => {
		const port = await node(await leaf(authority, one));
		const peers = await directory(at(port));
		expect(await only(peers)).toMatchObject({ reachable: true, trust: "warren" });
		expect(pins.get({ host: "127.0.0.1", port })).toBeNull();
		const before = servers.splice(0)[0] as Server & { closeAllConnections(): void };
		before.closeAllConnections();
		await new Promise((resolve) => before.close(resolve));
		await node(await leaf(authority, one), "127.0.0.1", port);
		expect(await peers.row(await peers.get((await only(peers))?.id ?? ""), true)).toMatchObject({ reachable: true });
	});

	it.each([
		["another machine of the same warren", () => leaf(authority, two)],
		["a stranger who claims its identifier", () => leaf(stranger, one)],
		["a stranger at first contact", () => leaf(stranger)],
	])("is not impersonated by %s", async (_who, make) => {
		const port = await node(await make());
		const peers = await directory(at(port));
		expect(await only(peers)).toMatchObject({ reachable: false, error: { code: "pin_mismatch" } });
		const peer = await peers.get((await only(peers))?.id ?? "");
		await expect(peers.contact(peer)).rejects.toMatchObject({ code: "pin_mismatch" });
		const connecting = new Promise((resolve) =>
			peers.dialer.connector(peer)({ hostname: "127.0.0.1", port: String(port), protocol: "https:" }, (...[fault]) =>
				resolve(fault),
			),
		);
		expect(await connecting).toMatchObject({ code: "pin_mismatch" });
		expect(pins.get(peer.address)).toBeNull();
	});

	it("with certificate files of its own is believed once somebody has compared the fingerprint", async () => {
		const port = await node(await leaf(stranger));
		const peers = await directory(at(port));
		const { error } = (await only(peers)) ?? {};
		await pins.trust({ host: "127.0.0.1", port }, error?.actual as never);
		expect(await peers.row(await peers.get((await only(peers))?.id ?? ""), true)).toMatchObject({ reachable: true });
	});

	it("whose leaf is older than identifiers is pinned under the CA", async () => {
		const port = await node(await leaf(authority));
		expect(await only(await directory(at(port)))).toMatchObject({ reachable: true, pin: {} });
	});

	it("is found at any of its addresses: dead, silent and somebody else's ones are passed over", async () => {
		const port = await node(await leaf(authority, one), "127.0.0.4");
		await listen(
			createSilentServer((socket) => socket.resume()),
			"127.0.0.2",
			port,
		);
		await node(await leaf(authority, two), "127.0.0.3", port);
		const peers = await directory(at(port, { others: ["127.0.0.2", "127.0.0.3", "127.0.0.4", "not a host!"] }));
		expect(await only(peers)).toMatchObject({ reachable: true, host: "127.0.0.1", reachedAt: `127.0.0.4:${port}` });
		const peer = await peers.get((await only(peers))?.id ?? "");
		await peers.contact(peer);
		expect(peers.hostOf(peer)).toBe(`127.0.0.4:${port}`);
		const connected = await new Promise<string>((resolve, reject) =>
			peers.dialer.connector(peer)(
				{ hostname: "127.0.0.1", port: String(port), protocol: "https:" },
				(fault, socket) => {
					if (fault !== null) return reject(fault);
					resolve(socket.remoteAddress ?? "");
					socket.destroy();
				},
			),
		);
		expect(connected).toBe("127.0.0.4");
	});
});

describe("a host outside the warren", () => {
	it("is pinned at its first contact, and looked for at no other address", async () => {
		const port = await node(await leaf(stranger), "127.0.0.2");
		const { nodeId: _, ...foreign } = at(port, { others: ["127.0.0.2"] });
		expect(await only(await directory(foreign))).toMatchObject({ reachable: false, trust: "pin" });
		const pinned = await only(await directory({ ...foreign, host: "127.0.0.2" }));
		expect(pinned).toMatchObject({ reachable: true, trust: "pin", pin: {} });
	});
});

describe("a host that was pinned, and that a machine of the warren says it is", () => {
	const home = "127.0.0.2";
	const elsewhere = "127.0.0.3";
	const stop = async () => {
		for (const server of servers.splice(0)) {
			(server as Server & { closeAllConnections(): void }).closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		}
	};
	/** Added by hand and met, then away. */
	async function met(): Promise<number> {
		const port = await node(await leaf(stranger), home);
		expect(await (await directory()).add(home, port, "attic")).toMatchObject({ reachable: true, trust: "pin" });
		await stop();
		return port;
	}

	it("is not looked for at that machine's other addresses: what is for it never goes there", async () => {
		const port = await met();
		await node(await leaf(authority, two), elsewhere, port);
		const claim = at(port, { nodeId: two, host: home, others: [elsewhere] });
		const peers = await directoryOver(
			tunnelTo(() => port),
			claim,
		);
		expect(await only(peers)).toMatchObject({ name: "attic", reachable: false, error: { code: "refused" } });
		await node(await leaf(stranger, two), home, port);
		expect((await peers.row(await peers.get((await only(peers))?.id ?? ""), true)).error?.code).toBe("pin_mismatch");
	});

	it("is asked over connections of its own once it has joined, and not over those of before", async () => {
		const port = await met();
		await node(await leaf(stranger), home, port);
		const peers = await directory();
		const pools = new PeerPools(peers.dialer);
		const [foreign] = (await peers.list()).peers;
		expect(foreign?.error?.code, "another leaf than the one that was pinned").toBe("pin_mismatch");
		await pins.forget({ host: home, port });
		const before = await peers.get(foreign?.id ?? "");
		await peers.contact(before);
		const ask = async (peer: KnownPeer) => {
			await peers.contact(peer);
			const { statusCode, body } = await pools.of(peer).request({ path: "/", method: "GET" });
			await body.dump();
			return statusCode;
		};
		expect(await ask(before)).toBe(200);
		await stop();
		await node(await leaf(authority, one), home, port);
		peers.dialer.lost(before);
		expect(await ask({ ...before, nodeId: one })).toBe(200);
		await pools.close();
	});

	it("is that machine once it has shown itself there, and needs no pin any more", async () => {
		const port = await met();
		const peers = await directory(at(port, { host: home, others: [elsewhere] }));
		await node(await leaf(authority, one), home, port);
		expect(await only(peers)).toMatchObject({ name: "attic", reachable: true, trust: "warren" });
		expect(pins.get({ host: home, port })).toBeNull();
		await stop();
		await node(await leaf(authority, one), elsewhere, port);
		const again = await directory(at(port, { host: home, others: [elsewhere] }));
		expect(await only(again)).toMatchObject({ name: "attic", reachable: true, reachedAt: `${elsewhere}:${port}` });
	});
});

describe("a tunnel", () => {
	it("is the floor: asked when no address answers, and left again when one does", async () => {
		const far = await node(await leaf(authority, one));
		const tunnel = tunnelTo(() => far);
		const peers = await directoryOver(tunnel, at(1));
		const first = await only(peers);
		expect(first).toMatchObject({ reachable: true, path: "tunnel", trust: "warren" });
		expect(first).not.toHaveProperty("reachedAt");
		const peer = await peers.get(first?.id ?? "");
		expect(peers.hostOf(peer)).toBe("localhost");

		const moved: string[] = [];
		peers.dialer.onMoved((id) => moved.push(id));
		await node(await leaf(authority, one), "127.0.0.4", far);
		const direct = { ...peer, others: [{ host: "127.0.0.4", port: far }] };
		expect(await peers.seek(direct)).toEqual({ via: "address", address: { host: "127.0.0.4", port: far } });
		expect(moved).toEqual([peer.id]);
		expect(tunnel.opened.length).toBeGreaterThan(0);
	});

	it("proves no more than an address does: another machine at its end is refused", async () => {
		const thief = await node(await leaf(stranger, one));
		const other = await node(await leaf(authority, two));
		for (const port of [thief, other]) {
			const row = await only(
				await directoryOver(
					tunnelTo(() => port),
					at(1),
				),
			);
			expect(row?.reachable, String(port)).toBe(false);
		}
	});

	it("is never used for a peer that is only pinned", async () => {
		const far = await node(await leaf(authority, one));
		const tunnel = tunnelTo(() => far);
		const { nodeId: _none, ...pinned } = at(1);
		expect(await only(await directoryOver(tunnel, pinned))).toMatchObject({ reachable: false });
		expect(tunnel.opened).toEqual([]);
	});

	it("is not preferred for being fast: an address that answers within its patience wins", async () => {
		const port = await node(await leaf(authority, one), "127.0.0.4");
		const silent = await listen(
			createSilentServer((socket) => void socket.resume().on("error", () => {})),
			"127.0.0.1",
			port,
		);
		expect(silent).toBe(port);
		const candidates = at(port, { others: ["127.0.0.5", "127.0.0.6", "127.0.0.4"] });
		expect(
			await only(
				await directoryOver(
					tunnelTo(() => port),
					candidates,
				),
			),
		).toMatchObject({
			path: "direct",
			reachedAt: `127.0.0.4:${port}`,
		});
	});
});
