import type { NodeId, PeerCandidate, PeerSource } from "@warren/kernel";
import { openSqliteTables, type Tables } from "@warren/store";
import { hostilePeer, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { peerIdOf } from "./address.ts";
import { directoryLimits, PeerDirectory } from "./directory.ts";
import { sourceTimeoutMs } from "./known-peers.ts";
import { Pins } from "./pins.ts";
import { type PeerTables, peerSchema } from "./schema.ts";
import { ManualPeers } from "./sources/manual.ts";

let tables: Tables<PeerTables>;
let clock: VirtualClock;
beforeEach(async () => {
	clock = new VirtualClock();
	tables = await openSqliteTables<PeerTables>(":memory:", [peerSchema]);
});
afterEach(() => tables.close());

const source = (name: string, ...candidates: PeerCandidate[]): PeerSource => ({
	name,
	candidates: async () => ({ candidates, errors: [] }),
});
// Nothing listens on port 1 of this machine: a probe is refused at once.
const at = (name: string, host = "127.0.0.1", port = 1): PeerCandidate => ({ name, host, port });
const open = async (
	sources: PeerSource[],
	isSelf: (address: { host: string; port: number }) => boolean = () => false,
) =>
	PeerDirectory.open({
		db: tables.db,
		clock,
		pins: await Pins.open(tables.db, clock),
		manual: new ManualPeers(tables.db, clock),
		sources,
		isSelf,
	});

describe("the directory", () => {
	it("joins what several sources say of one address, the manual name first, and leaves itself out", async () => {
		const directory = await open(
			[
				source("tailscale", at("from tailscale"), at("me", "127.0.0.2")),
				source("overlay", at("from overlay", "127.0.0.1")),
			],
			({ host }) => host === "127.0.0.2",
		);
		await directory.add("127.0.0.1", 1, "my name");
		const { peers } = await directory.list();
		expect(peers.map(({ name, source: first, sources }) => ({ name, first, sources }))).toEqual([
			{ name: "my name", first: "manual", sources: ["manual", "tailscale", "overlay"] },
		]);
		await expect(directory.add("127.0.0.2", 1, undefined)).rejects.toMatchObject({ code: "bad_request" });
	});

	it("joins one machine's addresses by its own identifier, whichever source knows it", async () => {
		const nodeId = "n1" as NodeId;
		const directory = await open([
			source("overlay", { ...at("a"), nodeId }),
			source("tailscale", at("b")),
			source("hub", { ...at("c", "127.0.0.9"), nodeId }),
		]);
		const { peers } = await directory.list();
		expect(peers).toMatchObject([{ name: "a", sources: ["overlay", "tailscale", "hub"] }]);
	});

	it("a machine that names another one's address is a peer of its own, and gets nothing of the other's", async () => {
		const [one, other] = ["n1", "n2"] as [NodeId, NodeId];
		const named = { ...at("one", "127.0.0.9"), nodeId: one };
		// Where the hub is reached: it need not know that address of itself.
		const reached = { ...at("one", "127.0.0.5"), nodeId: one };
		const hostile = { ...at("other", "127.0.0.5"), others: ["127.0.0.6"], nodeId: other };
		for (const order of [
			[named, reached, hostile],
			[hostile, named, reached],
		]) {
			const directory = await open([source("hub", ...order)]);
			const { peers } = await directory.list();
			const known = await Promise.all(peers.map(({ id }) => directory.get(id)));
			expect(new Set(known.map(({ nodeId }) => nodeId))).toEqual(new Set([one, other]));
			expect(await directory.get(peerIdOf({ host: "127.0.0.9", port: 1 }))).toMatchObject({
				nodeId: one,
				others: [{ host: "127.0.0.5", port: 1 }],
			});
		}
		// With nothing but that address it is left out.
		const directory = await open([source("hub", named, reached, { ...hostile, others: [] })]);
		expect((await directory.list()).peers.map(({ name }) => name)).toEqual(["one"]);
	});

	it("drops what is no host", async () => {
		const directory = await open([source("hub", at("evil", "a/../b"), at("ok"), at("empty", ""))]);
		expect((await directory.list()).peers.map(({ name }) => name)).toEqual(["ok"]);
	});

	it("shows one source's failure beside the others' answers, also when it breaks its word", async () => {
		const rejects: PeerSource = { name: "rejects", candidates: () => Promise.reject(new Error("boom")) };
		const throws: PeerSource = {
			name: "throws",
			candidates: () => {
				throw new Error("bang");
			},
		};
		const directory = await open([rejects, throws, source("hub", at("ok"))]);
		const { peers, errors } = await directory.list();
		expect(peers.map(({ name }) => name)).toEqual(["ok"]);
		expect(errors).toEqual([
			{ source: "rejects", kind: "failed", message: "rejects did not answer: boom.", fix: expect.any(String) },
			{ source: "throws", kind: "failed", message: "throws did not answer: bang.", fix: expect.any(String) },
		]);
	});

	it("waits for a source that hangs no longer than its limit", async () => {
		const hangs: PeerSource = { name: "hangs", candidates: () => new Promise(() => {}) };
		const directory = await open([hangs, source("hub", at("ok"))]);
		const listing = directory.list();
		// Queries queue: after this one the manual source has its answer.
		await tables.db.selectFrom("peers_manual").selectAll().execute();
		await clock.advance(sourceTimeoutMs);
		const { peers, errors } = await listing;
		expect(peers.map(({ name }) => name)).toEqual(["ok"]);
		expect(errors).toMatchObject([{ source: "hangs", kind: "timeout" }]);
	});

	it("knows only peers: an unknown id is refused, a stale list asked for anew", async () => {
		let asked = 0;
		const counted: PeerSource = {
			name: "hub",
			candidates: async () => {
				asked += 1;
				return { candidates: [at("ok")], errors: [] };
			},
		};
		const directory = await open([counted]);
		await expect(directory.get("nobody")).rejects.toMatchObject({ code: "unknown_peer", status: 404 });
		await expect(directory.get("nobody")).rejects.toMatchObject({ code: "unknown_peer" });
		expect(asked, "guessing costs nothing").toBe(1);
		await clock.advance(directoryLimits.freshMs);
		await expect(directory.get("nobody")).rejects.toMatchObject({ code: "unknown_peer" });
		expect(asked).toBe(2);
	});

	it("says how each peer stands: reachable with its version, or why not and what to do", async () => {
		await using warren = await hostilePeer();
		await using other = await hostilePeer((_request, response) => response.end("hi"), { identifies: false });
		await using mobux = await hostilePeer((_request, response) => response.end('{"app":"mobux","version":"0.3"}'), {
			identifies: false,
		});
		await using endless = await hostilePeer(
			(_request, response) => {
				response.writeHead(200);
				const pump = () =>
					void (response.write("x".repeat(65_536)) ? setImmediate(pump) : response.once("drain", pump));
				pump();
			},
			{ identifies: false },
		);
		await using silent = await hostilePeer(() => {}, { identifies: false });
		const directory = await open([
			source(
				"hub",
				at("warren", "127.0.0.1", warren.port),
				at("other", "127.0.0.1", other.port),
				at("mobux", "127.0.0.1", mobux.port),
				at("endless", "127.0.0.1", endless.port),
				at("silent", "127.0.0.1", silent.port),
				at("down"),
				at("unresolved", "nobody.invalid"),
			),
		]);
		const listing = directory.list();
		await silent.asked(1);
		for (const each of [warren, other, mobux, endless]) {
			await each.asked(1);
			await each.idle();
		}
		await clock.advance(1_500);
		const { peers } = await listing;
		expect(
			Object.fromEntries(
				peers.map(({ name, reachable, version, error }) => [name, error?.code ?? [reachable, version]]),
			),
		).toEqual({
			warren: [true, "0.1.0"],
			mobux: [true, "0.3"],
			other: "not_warren",
			endless: "not_warren",
			silent: "timeout",
			down: "refused",
			unresolved: expect.stringMatching(/^(unresolved|timeout)$/),
		});
		for (const { error } of peers) if (error !== undefined) expect(error.fix).not.toBe("");
	});

	it("shows a changed certificate with both prints, and keeps the last version with its age", async () => {
		await using peer = await hostilePeer();
		const directory = await open([]);
		const row = await directory.add("127.0.0.1", peer.port, undefined);
		expect(row).toMatchObject({ reachable: true, version: "0.1.0", pin: { fingerprint: peer.fingerprint } });
		const expected = peer.fingerprint;
		const actual = await peer.reinstall();
		const known = await directory.get(row.id);
		expect(await directory.row(known, true)).toMatchObject({
			reachable: false,
			error: { code: "pin_mismatch", expected, actual },
		});
		await peer.close();
		expect(await directory.row(known, true)).toMatchObject({
			reachable: false,
			version: "0.1.0",
			lastSeenAt: clock.now(),
			error: { code: "refused" },
		});
	});

	it("forgets a manual peer with its pin, and says of others that they are not its to remove", async () => {
		await using peer = await hostilePeer();
		const directory = await open([source("tailscale", at("t", "127.0.0.1", 1))]);
		const { id } = await directory.add("127.0.0.1", peer.port, undefined);
		await directory.remove(id);
		await expect(directory.get(id)).rejects.toMatchObject({ code: "unknown_peer" });
		expect(await tables.db.selectFrom("peers_pins").selectAll().execute()).toEqual([]);
		const [listed] = (await directory.list()).peers;
		await expect(directory.remove(listed?.id ?? "")).rejects.toMatchObject({ code: "not_manual" });
	});
});
