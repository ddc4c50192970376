import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { hashToken, systemClock, systemRandom } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { decodeRelayFrame, encodeRelayFrame } from "../protocol/relay-frames.ts";
import { decodeStun, encodeStunRequest } from "../protocol/stun.ts";
import { coordinatorSchema, SqliteAddressStore } from "./address-store.ts";
import {
	adminToken,
	makeCertificates,
	startCoordinator,
	type TestCoordinator,
	TestJoiner,
} from "./coordinator.testing.ts";
import { joinAuthorityAt, joinAuthorityFrom } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";
import { openRevocationFile } from "./revocation-file.ts";

const acl = (...rules: readonly [string, string, object?][]) =>
	JSON.stringify({ acls: rules.map(([src, dst, extra]) => ({ action: "accept", src: [src], dst: [dst], ...extra })) });

describe("register, heartbeat, deregister", () => {
	it("C1 answers as the original: peer id, ULA, peers, what it observed", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		await using two = new TestJoiner(server.url);
		const first = await one.register({
			display_name: "supervisor-01",
			tags: ["supervisor"],
			wg_listen_port: 51820,
			hosted_app_ulas: ["fd5a:1f02:44a5:240b:121a::1"],
		});
		expect(first).toMatchObject({
			status: 200,
			body: {
				ula: "fd5a:1f00:0000:0001::1",
				peers: [],
				observed_ip: "127.0.0.1",
				observed_endpoint: "127.0.0.1:51820",
			},
		});
		expect(first.body.peer_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
		const second = await two.register();
		expect(second.body.ula).toBe("fd5a:1f00:0000:0002::1");
		expect(second.body.peers).toEqual([
			{
				peer_id: one.peerId,
				ula: one.ula,
				display_name: "supervisor-01",
				network: "default",
				tags: ["supervisor"],
				hosted_app_ulas: ["fd5a:1f02:44a5:240b:121a::1"],
				kind: "peer",
				wg_public_key: one.key,
				relay_only: false,
				endpoint: "127.0.0.1:51820",
				connectivity: "direct",
			},
		]);
		const beat = await one.heartbeat({ hosted_app_ulas: [] });
		expect(beat).toMatchObject({ status: 200, body: { peers: [{ peer_id: two.peerId }], observed_ip: "127.0.0.1" } });
		expect((await two.heartbeat()).body.peers[0].hosted_app_ulas).toEqual([]);
		expect((await two.heartbeat({ follows_stream: true })).body.peers).toEqual([]);
	});

	it("C2 the same key has the same id and address; leaving is idempotent", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		await one.register();
		const { peerId, ula } = one;
		expect((await one.call("POST", "/v1/mesh/deregister", { peer_id: peerId })).status).toBe(204);
		expect((await one.call("POST", "/v1/mesh/deregister", { peer_id: peerId })).status).toBe(204);
		expect((await one.heartbeat()).status).toBe(404);
		await using other = new TestJoiner(server.url);
		await other.register();
		expect(other.ula).not.toBe(ula);
		await one.register();
		expect([one.peerId, one.ula]).toEqual([peerId, ula]);
	});

	it("C3 what is malformed gets its named refusal", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		for (const [body, status, error] of [
			[{ wg_public_key: "short" }, 400, "bad_key"],
			[{ wg_public_key: Buffer.alloc(32).toString("base64") }, 400, "bad_key"],
			[{ wg_public_key: Buffer.alloc(32, 1).fill(0, 1).toString("base64") }, 400, "bad_key"],
			[{ requested_ula: "fd5a:1f00:0001:0001::1" }, 400, "bad_ula"],
			[{ requested_ula: "fd5a:1f00:0:0::1" }, 400, "bad_ula"],
			[{ requested_ula: "2001:db8::1" }, 400, "bad_ula"],
			[{ hosted_app_ulas: ["fd5a:1f00:0:1::1"] }, 400, "bad_ula"],
			[{ listen_endpoint: "example.org:1" }, 400, "bad_peer"],
			[{ listen_endpoint: "224.0.0.1:1" }, 400, "bad_peer"],
			[{ display_name: "" }, 400, "bad_request"],
			[{ network: "no spaces" }, 400, "bad_request"],
			[{ wg_listen_port: 65536 }, 400, "bad_request"],
			[{ tags: Array.from({ length: 33 }, (_, index) => `t${index}`) }, 400, "bad_request"],
			[{ parent: "nobody" }, 404, "unknown_peer"],
		] as const) {
			const answer = await one.register(body);
			expect([answer.status, answer.body.error], JSON.stringify(body)).toEqual([status, error]);
		}
		expect((await one.call("POST", "/v1/mesh/heartbeat", { peer_id: "nobody" })).status).toBe(404);
		expect((await one.call("POST", "/v1/mesh/register", "{")).status).toBe(400);
	});

	it("C4 a key may be pasted with space around it and as base64url: it is the same key", async () => {
		await using server = await startCoordinator();
		const bytes = Buffer.alloc(32, 0xfb);
		await using plain = new TestJoiner(server.url, null, bytes.toString("base64"));
		await using pasted = new TestJoiner(server.url, null, ` ${bytes.toString("base64url")}\n`);
		await plain.register();
		await pasted.register();
		expect(pasted.ula).toBe(plain.ula);
	});

	it("C5 a peer that is silent for 60 s is gone, and is told to register again", async () => {
		const clock = new VirtualClock();
		await using server = await startCoordinator({ clock });
		await using one = new TestJoiner(server.url);
		await using two = new TestJoiner(server.url);
		await one.register();
		await two.register();
		await clock.advance(40_000);
		await two.heartbeat();
		await clock.advance(30_000);
		expect((await two.heartbeat()).body.peers).toEqual([]);
		expect((await one.heartbeat()).status).toBe(404);
	});

	it("C6 after a restart without state, peers get their addresses back, whatever came before them", async () => {
		const clock = new VirtualClock();
		await using server = await startCoordinator({ clock });
		await using newcomer = new TestJoiner(server.url);
		await using old = new TestJoiner(server.url);
		await newcomer.register();
		expect((await old.register({ requested_ula: newcomer.ula })).status).toBe(200);
		expect(old.ula).toBe("fd5a:1f00:0000:0001::1");
		// The newcomer had nothing to lose yet: it registers again, and gets another.
		expect((await newcomer.heartbeat()).status).toBe(404);
		await newcomer.register();
		expect(newcomer.ula).toBe("fd5a:1f00:0000:0002::1");
		await using thief = new TestJoiner(server.url);
		expect((await thief.register({ requested_ula: old.ula })).status).toBe(409);
		await clock.advance(61_000);
		expect((await thief.register({ requested_ula: newcomer.ula })).status).toBe(409);
	});

	it("C7 with a state folder, addresses and removals survive a restart", async () => {
		using folder = tempFolder("coordinator");
		const open = () => openSqliteTables<object>(folder.file("coordinator.db"), [coordinatorSchema]);
		const [first, second] = [new TestJoiner(""), new TestJoiner("")].map((each) => each.key);
		let kept = "";
		{
			const tables = await open();
			await using server = await startCoordinator({ addresses: new SqliteAddressStore(tables.statements) });
			await using one = new TestJoiner(server.url, null, first);
			await using two = new TestJoiner(server.url, null, second);
			await one.register();
			await two.register();
			kept = two.ula;
			expect((await one.admin("DELETE", `/v1/mesh/peers/${one.peerId}`)).status).toBe(204);
			expect((await one.heartbeat()).status).toBe(404);
			await tables.close();
		}
		const tables = await open();
		await using server = await startCoordinator({ addresses: new SqliteAddressStore(tables.statements) });
		await using one = new TestJoiner(server.url, null, first);
		await using two = new TestJoiner(server.url, null, second);
		await two.register();
		expect(two.ula).toBe(kept);
		const refused = await one.register();
		expect([refused.status, refused.body.error]).toEqual([403, "removed"]);
		const removed = (await one.admin("GET", "/v1/mesh/peers")).body.removed[0].peer_id as string;
		expect((await one.admin("POST", `/v1/mesh/peers/${removed}/readmit`)).status).toBe(204);
		expect((await one.register()).status).toBe(200);
		await tables.close();
	});

	it("C4 an address that could not be written down was not given: the next try is written, and outlives a restart", async () => {
		using folder = tempFolder("full");
		const tables = await openSqliteTables<object>(folder.file("coordinator.db"), [coordinatorSchema]);
		const store = new SqliteAddressStore(tables.statements);
		await using server = await startCoordinator({ addresses: store });
		await using one = new TestJoiner(server.url);
		const fill = () =>
			tables.statements.run(
				"create trigger full before insert on coordinator_addresses begin select raise(abort, 'disk is full'); end",
			);
		const makeRoom = () => tables.statements.run("drop trigger full");
		fill();
		expect((await one.register()).status).toBe(500);
		makeRoom();
		expect((await one.register()).status).toBe(200);
		expect([...store.load()]).toMatchObject([{ key: one.key, ula: one.ula, removed: false }]);
		fill();
		expect((await one.admin("DELETE", `/v1/mesh/peers/${one.peerId}`)).status).toBe(500);
		expect((await one.admin("GET", "/v1/mesh/peers")).body.removed).toEqual([]);
		makeRoom();
		expect((await one.admin("DELETE", `/v1/mesh/peers/${one.peerId}`)).status).toBe(204);
		expect([...store.load()]).toMatchObject([{ key: one.key, removed: true }]);
		await tables.close();
	});

	it("C28 a service's UUID is made once per name: the same after a restart, what was known before is taken, another name's is not", async () => {
		using folder = tempFolder("names");
		const open = () => openSqliteTables<object>(folder.file("coordinator.db"), [coordinatorSchema]);
		const known = "0191e7c2-1111-7222-8333-444455556666";
		let kept: unknown;
		{
			const tables = await open();
			await using server = await startCoordinator({ addresses: new SqliteAddressStore(tables.statements) });
			await using one = new TestJoiner(server.url, null);
			const of = (name: string, body: object = {}) => one.admin("PUT", `/v1/services/${name}`, body);
			const made = await of("web");
			expect(made).toMatchObject({
				status: 200,
				body: { name: "web", uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) },
			});
			expect((await of("web", { uuid: known })).body).toEqual(made.body);
			expect((await of("db", { uuid: known.toUpperCase() })).body).toEqual({ name: "db", uuid: known });
			expect(await of("cache", { uuid: known })).toMatchObject({ status: 409, body: { error: "conflict" } });
			expect(await of("no_such")).toMatchObject({ status: 400, body: { error: "bad_name" } });
			expect((await of("web", { uuid: "1234" })).status).toBe(400);
			kept = (await one.admin("GET", "/v1/services")).body;
			expect(kept).toEqual({ services: [made.body, { name: "db", uuid: known }] });
			await tables.close();
		}
		const tables = await open();
		await using server = await startCoordinator({ addresses: new SqliteAddressStore(tables.statements) });
		await using one = new TestJoiner(server.url, null);
		expect((await one.admin("GET", "/v1/services")).body).toEqual(kept);
		// Nobody but an administrator.
		expect((await one.call("GET", "/v1/services")).status).toBe(401);
		await tables.close();
	});

	it("C8 an app stays with who serves it until that one lets go, then goes to the next", async () => {
		await using server = await startCoordinator();
		const app = "fd5a:1f02:44a5:240b:121a::1";
		await using one = new TestJoiner(server.url);
		await using two = new TestJoiner(server.url);
		await using viewer = new TestJoiner(server.url);
		await one.register({ display_name: "one", hosted_app_ulas: [app] });
		await two.register({ display_name: "two", hosted_app_ulas: [app] });
		await viewer.register();
		const hosts = async () =>
			((await viewer.heartbeat()).body.peers as { display_name: string; hosted_app_ulas: string[] }[])
				.filter((each) => each.hosted_app_ulas.includes(app))
				.map((each) => each.display_name);
		expect(await hosts()).toEqual(["one"]);
		await one.heartbeat({ hosted_app_ulas: [] });
		expect(await hosts()).toEqual(["two"]);
		await two.call("POST", "/v1/mesh/deregister", { peer_id: two.peerId });
		expect(await hosts()).toEqual([]);
	});

	it("C27 an app's name stays with who claimed it first, moves with its address, and is taken from nobody", async () => {
		await using server = await startCoordinator();
		const [web, other] = ["fd5a:1f02:44a5:240b:121a::1", "fd5a:1f02:0:1:2::1"];
		await using one = new TestJoiner(server.url);
		await using two = new TestJoiner(server.url);
		await using viewer = new TestJoiner(server.url);
		const serves = (...apps: [string, string][]) => ({
			hosted_app_ulas: apps.map(([ula]) => ula),
			hosted_app_names: Object.fromEntries(apps),
		});
		await one.register({ display_name: "one", ...serves([web, "web"]) });
		await two.register({ display_name: "two", ...serves([other, "web"]) });
		await viewer.register();
		const names = async () => {
			const { peers } = (await viewer.heartbeat()).body as {
				peers: { display_name: string; hosted_app_names?: Record<string, string> }[];
			};
			return Object.fromEntries(peers.map((each) => [each.display_name, each.hosted_app_names ?? {}]));
		};
		expect(await names()).toEqual({ one: { [web]: "web" }, two: {} });
		// The same app under the same name elsewhere: it moves whole.
		await two.heartbeat(serves([web, "web"]));
		expect(await names()).toEqual({ one: { [web]: "web" }, two: {} });
		await one.heartbeat(serves());
		expect(await names()).toEqual({ one: {}, two: { [web]: "web" } });
		await two.heartbeat(serves([web, "site"]));
		expect(await names()).toEqual({ one: {}, two: { [web]: "site" } });
		// A heartbeat that says nothing of apps changes nothing about them.
		await two.heartbeat();
		expect(await names()).toEqual({ one: {}, two: { [web]: "site" } });
		await two.heartbeat(serves());
		expect(await names()).toEqual({ one: {}, two: {} });
		for (const name of ["Web", "a.b", "", "x".repeat(64), "*"])
			expect(await one.heartbeat({ hosted_app_ulas: [web], hosted_app_names: { [web]: name } }), name).toMatchObject({
				status: 400,
				body: { error: "bad_request" },
			});
	});

	it("C9 what a heartbeat does not repeat stays as it was", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		await using viewer = new TestJoiner(server.url);
		await one.register({
			listen_endpoint: "192.0.2.7:51820",
			wg_listen_port: 4000,
			candidates: ["10.0.0.7:4000", "nonsense", "224.0.0.1:9"],
		});
		await viewer.register();
		await one.heartbeat();
		expect((await viewer.heartbeat()).body.peers[0]).toMatchObject({
			endpoint: "192.0.2.7:51820",
			candidates: ["10.0.0.7:4000"],
		});
		await one.heartbeat({ dataplane_healthy: false, candidates: [] });
		const seen = (await viewer.heartbeat()).body.peers[0];
		expect([seen.connectivity, seen.candidates]).toEqual(["dead", undefined]);
	});
});

describe("certificates", () => {
	it("C10 only the given CA is let in, with TLS 1.3, and nothing without a certificate", async () => {
		using certificates = await makeCertificates({ a: ["x"] });
		using foreign = await makeCertificates({ a: ["x"] });
		await using server = await startCoordinator({ tls: certificates.server });
		const { ca, cert, key } = certificates.peers["a"] as { ca: string; cert: string; key: string };
		const stranger = foreign.peers["a"] as { cert: string; key: string };
		await using member = new TestJoiner(server.url, { ca, cert, key });
		expect((await member.register()).status).toBe(200);
		await using outsider = new TestJoiner(server.url, { ca, cert: stranger.cert, key: stranger.key });
		await expect(outsider.register()).rejects.toThrow();
		const { Agent, request } = await import("undici");
		for (const connect of [{ ca }, { ca, cert, key, maxVersion: "TLSv1.2" as const }]) {
			const agent = new Agent({ connect });
			await expect(
				request(`${server.url}/api/health`, { dispatcher: agent }),
				JSON.stringify(Object.keys(connect)),
			).rejects.toThrow();
			await agent.destroy();
		}
		await using mitm = new TestJoiner(server.url, { ca: stranger.cert, cert, key });
		await expect(mitm.register()).rejects.toThrow();
	});

	it("C10 a certificate that is over, or not good yet, lets nobody in", async () => {
		using certificates = await makeCertificates({ now: ["x"] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using good = new TestJoiner(server.url, certificates.peers["now"]);
		expect((await good.register()).status).toBe(200);
		for (const [name, startsInDays] of [
			["over", -40],
			["early", 40],
		] as const) {
			await using refused = new TestJoiner(server.url, await certificates.issue(name, ["x"], [], startsInDays));
			await expect(refused.register(), name).rejects.toThrow();
		}
		expect((await good.register()).status, "and the others go on").toBe(200);
	});

	it("C29 a certificate that ends, or is not good any more by the coordinator's clock, is refused on what is open, until it is good again", async () => {
		using certificates = await makeCertificates({ one: ["x"] });
		let shiftMs = 0;
		const clock = { ...systemClock, now: () => systemClock.now() + shiftMs };
		await using server = await startCoordinator({ tls: certificates.server, clock });
		await using one = new TestJoiner(server.url, certificates.peers["one"]);
		const { peer_id } = (await one.register()).body as { peer_id: string };
		const beat = () => one.call("POST", "/v1/mesh/heartbeat", { peer_id });
		expect((await beat()).status).toBe(200);
		for (const [days, words] of [
			[400, "ended on"],
			[-2, "begins on"],
		] as const) {
			shiftMs = days * 86_400_000;
			const refused = await beat();
			expect(refused.status, words).toBe(403);
			expect(JSON.stringify(refused.body)).toMatch(
				new RegExp(`The certificate of .*one.* ${words} .*coordinator's clock says`),
			);
		}
		shiftMs = 0;
		expect((await beat()).status).toBe(200);
	});

	it("C11 a certificate is one peer: another's can neither beat, leave, listen, relay nor punch for it", async () => {
		using certificates = await makeCertificates({ victim: ["x"], hostile: ["x"] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using victim = new TestJoiner(server.url, certificates.peers["victim"]);
		await using hostile = new TestJoiner(server.url, certificates.peers["hostile"]);
		await victim.register();
		await hostile.register();
		for (const answer of [
			await hostile.call("POST", "/v1/mesh/heartbeat", { peer_id: victim.peerId, hosted_app_ulas: [] }),
			await hostile.call("POST", "/v1/mesh/deregister", { peer_id: victim.peerId }),
			await hostile.call("POST", "/v1/mesh/punch", { peer_id: victim.peerId, target_peer_id: hostile.peerId }),
			await hostile.call("GET", `/v1/mesh/peers/stream?peer_id=${victim.peerId}`),
			await hostile.call("GET", `/v1/mesh/roster?peer_id=${victim.peerId}`),
		])
			expect([answer.status, answer.body.error]).toEqual([403, "not_your_peer"]);
		const relay = await dialWebSocket(
			`${server.url.replace("http", "ws")}/v1/mesh/relay?pubkey=${encodeURIComponent(victim.key)}&lane=hi`,
			systemClock,
			{ tls: certificates.peers["hostile"] as object },
		);
		if (!relay.ok) throw new Error(relay.message);
		expect(await new Promise<number>((resolve) => relay.connection.onClose((code) => resolve(code)))).toBe(4403);
		await using impostor = new TestJoiner(server.url, certificates.peers["hostile"], victim.key);
		expect((await impostor.register()).status).toBe(409);
		expect((await victim.heartbeat()).status).toBe(200);
	});

	it("C12 tags come from the certificate, never from the joiner's own word", async () => {
		using certificates = await makeCertificates({ a: ["web"] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		expect((await one.register({ tags: ["admin"] })).body.tags).toEqual(["web"]);
	});

	it("C13 a renewed certificate is the same peer; a second key waits until the first has left", async () => {
		using certificates = await makeCertificates({ a: ["web"] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		await one.register();
		await using renewed = new TestJoiner(server.url, await certificates.issue("a", ["web", "db"]), one.key);
		expect((await renewed.register()).body).toMatchObject({ peer_id: one.peerId, ula: one.ula, tags: ["web", "db"] });
		await using rekeyed = new TestJoiner(server.url, certificates.peers["a"]);
		expect((await rekeyed.register()).status).toBe(409);
		await one.call("POST", "/v1/mesh/deregister", { peer_id: one.peerId });
		expect((await rekeyed.register()).body).toMatchObject({ peer_id: one.peerId, ula: one.ula });
	});

	it("C13 a second key that could not be written down leaves the first its address, which the next try gets", async () => {
		using folder = tempFolder("rekeyed");
		const tables = await openSqliteTables<object>(folder.file("coordinator.db"), [coordinatorSchema]);
		const store = new SqliteAddressStore(tables.statements);
		using certificates = await makeCertificates({ a: ["web"], b: ["web"] });
		await using server = await startCoordinator({ tls: certificates.server, addresses: store });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		await one.register();
		await one.call("POST", "/v1/mesh/deregister", { peer_id: one.peerId });
		tables.statements.run(
			"create trigger full before insert on coordinator_addresses begin select raise(abort, 'disk is full'); end",
		);
		await using rekeyed = new TestJoiner(server.url, certificates.peers["a"]);
		expect((await rekeyed.register()).status).toBe(500);
		tables.statements.run("drop trigger full");
		expect([...store.load()]).toMatchObject([{ key: one.key, ula: one.ula }]);
		await using other = new TestJoiner(server.url, certificates.peers["b"]);
		await other.register();
		expect(other.ula).not.toBe(one.ula);
		expect((await rekeyed.register()).body).toMatchObject({ peer_id: one.peerId, ula: one.ula });
		expect([...store.load()].map(({ key }) => key).sort()).toEqual([rekeyed.key, other.key].sort());
		await tables.close();
	});

	it("C13 a second key is none either where it names another network, and comes into none that way", async () => {
		using certificates = await makeCertificates({ a: ["web"] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		await one.register({ network: "lab" });
		await using other = new TestJoiner(server.url, certificates.peers["a"]);
		expect((await other.register({ network: "vault" })).status).toBe(409);
		await one.call("POST", "/v1/mesh/deregister", { peer_id: one.peerId });
		expect((await other.register({ network: "vault" })).body).toMatchObject({
			...{ peer_id: one.peerId, ula: one.ula, network: "lab" },
		});
		expect(server.coordinator.registry.size).toBe(1);
	});

	it("C2 a machine that stands for one stock client after another uses up nobody's addresses", async () => {
		using certificates = await makeCertificates({ a: [], b: [] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using parent = new TestJoiner(server.url, certificates.peers["a"]);
		await parent.register();
		const come = async (key: string) => {
			const child = { wg_public_key: key, display_name: "phone", parent: parent.peerId };
			const { status, body } = await parent.call("POST", "/v1/mesh/register", child);
			await parent.call("POST", "/v1/mesh/deregister", { peer_id: body.peer_id });
			return { status, ula: body.ula as string };
		};
		const keyed = (at: number) => Buffer.alloc(32, at + 1).toString("base64");
		const last = Buffer.alloc(32, "last").toString("base64");
		const ulas: string[] = [];
		for (let at = 0; at < coordinatorLimits.maxKeptChildren - 1; at++) ulas.push((await come(keyed(at))).ula);
		const kept = await come(last);
		expect((await come(last)).ula, "a key has its own again").toBe(kept.ula);
		const first = await come(Buffer.alloc(32, "one more").toString("base64"));
		expect(first, "the one that came first has let go").toEqual({ status: 200, ula: ulas[0] });
	});

	it("C14 a revoked certificate loses what it has open, at once", async () => {
		using certificates = await makeCertificates({ a: [], b: [] });
		const revocations = await openRevocationFile(
			await certificates.ca.writeRevocations(),
			() => certificates.server.clientCa as string,
		);
		await using server = await startCoordinator({ tls: certificates.server, revocations });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		await using two = new TestJoiner(server.url, certificates.peers["b"]);
		await one.register();
		await two.register();
		const stream = await one.stream();
		expect(stream.status).toBe(200);
		await certificates.ca.revoke("a");
		await revocations.refresh();
		await stream.closed();
		expect((await one.heartbeat()).status).toBe(403);
		expect((await two.heartbeat()).body.peers).toEqual([]);
	});

	it("C15 administration needs its token, whatever the certificate", async () => {
		using certificates = await makeCertificates({ a: [] });
		await using server = await startCoordinator({ tls: certificates.server });
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		for (const path of ["/v1/mesh/peers", "/v1/mesh/topology", "/v1/policy"]) {
			expect((await one.call("GET", path)).status, path).toBe(403);
			expect(
				(await one.call("GET", path, undefined, { authorization: "Bearer wrong-token-entirely" })).status,
				path,
			).toBe(401);
			expect((await one.admin("GET", path)).status, path).toBe(200);
		}
	});
});

describe("join tokens", () => {
	it("C16 AUTH_URL's claims count, not the joiner's tags; space around a pasted token is forgiven", async () => {
		const asked: unknown[] = [];
		const authority = createServer((incoming, outgoing) => {
			let text = "";
			incoming.on("data", (part: Buffer) => (text += part.toString()));
			incoming.on("end", () => {
				const body = JSON.parse(text) as { token: string };
				asked.push([incoming.method, incoming.url, body]);
				if (body.token === "broken") return void outgoing.writeHead(500).end("?");
				const valid = body.token === "good" || body.token === "late" || body.token === "placed";
				outgoing.setHeader("content-type", "application/json");
				outgoing.end(
					JSON.stringify(
						valid
							? {
									valid,
									subject: "s",
									network: "lab",
									tags: ["db"],
									kind: "join",
									requested_ulas: body.token === "placed" ? ["fd5a:1f00:0:9::1"] : [],
									exp: body.token === "late" ? 1 : 4e9,
								}
							: { valid: false },
					),
				);
			});
		});
		await new Promise<void>((resolve) => authority.listen(0, "127.0.0.1", resolve));
		const { port } = authority.address() as { port: number };
		await using server = await startCoordinator({
			joinTokens: joinAuthorityAt(`http://127.0.0.1:${port}`, systemClock),
		});
		await using one = new TestJoiner(server.url);
		expect((await one.register()).status).toBe(401);
		expect((await one.register({ join_token: "bad" })).status).toBe(401);
		expect((await one.register({ join_token: "late" })).status).toBe(401);
		expect((await one.register({ join_token: "broken" })).status).toBe(503);
		expect((await one.register({ join_token: " good\n", tags: ["admin"], network: "default" })).body).toMatchObject({
			network: "lab",
			tags: ["db"],
		});
		expect(asked.at(-1)).toEqual(["POST", "/v1/validate", { token: "good", wg_public_key: one.key }]);
		await using placed = new TestJoiner(server.url);
		expect((await placed.register({ join_token: "placed", requested_ula: "fd5a:1f00:0:8::1" })).status).toBe(400);
		authority.closeAllConnections();
		await new Promise((resolve) => authority.close(resolve));
		await using late = new TestJoiner(server.url);
		expect((await late.register({ join_token: "good" })).status).toBe(503);
	});

	it("C17 a token file is read again when it changes; a machine that was admitted needs no token twice", async () => {
		using folder = tempFolder("tokens");
		using certificates = await makeCertificates({ a: ["from-the-certificate"], b: [] });
		const file = folder.file("tokens.json");
		const row = (token: string, exp: number) => ({
			token_sha256: hashToken(token),
			subject: "s",
			network: "default",
			tags: ["web"],
			exp,
		});
		writeFileSync(file, JSON.stringify([row("old", 1), row("good", 4e9)]));
		await using server = await startCoordinator({
			tls: certificates.server,
			joinTokens: joinAuthorityFrom(file, systemClock),
		});
		await using one = new TestJoiner(server.url, certificates.peers["a"]);
		expect((await one.register({ join_token: "old" })).status).toBe(401);
		expect((await one.register({ join_token: "good" })).body.tags).toEqual(["web"]);
		writeFileSync(file, JSON.stringify([row("another", 4e9)]));
		expect((await one.register()).body.tags).toEqual(["web"]);
		expect((await one.register({ join_token: "good" })).status).toBe(200);
		await using two = new TestJoiner(server.url, certificates.peers["b"]);
		expect((await two.register({ join_token: "good" })).status).toBe(401);
		expect((await two.register({ join_token: "another" })).status).toBe(200);
		writeFileSync(file, "not json at all");
		await using key = new TestJoiner(server.url, certificates.peers["b"], one.key);
		expect((await key.register({ join_token: "another" })).status).toBe(503);
		expect(() => joinAuthorityFrom(file, systemClock)).toThrow(/cannot be used/);
	});
});

describe("policy", () => {
	it("C18 needs If-Match (428), a fresh one (412), good rules (422), and takes effect on open streams", async () => {
		await using server = await startCoordinator({ policy: '{"acls":[]}' });
		await using a = new TestJoiner(server.url);
		await using b = new TestJoiner(server.url);
		await a.register({ tags: ["x"], display_name: "a" });
		await b.register({ tags: ["y"], display_name: "b" });
		const stream = await a.stream();
		const now = await a.admin("GET", "/v1/policy");
		expect(now.etag).toMatch(/^"[0-9a-f]{32}"$/);
		const wanted = acl(["tag:x", "tag:y"]);
		expect((await a.admin("PUT", "/v1/policy", wanted)).status).toBe(428);
		expect((await a.admin("PUT", "/v1/policy", wanted, { "if-match": '"stale"' })).status).toBe(412);
		for (const bad of [
			"{",
			'{"acls":[{"action":"accept","src":["x"],"dst":["*"]}]}',
			'{"acls":[{"action":"maybe","src":["*"],"dst":["*"]}]}',
			'{"acls":[],"extra":1}',
			'{"acls":[{"action":"accept","src":["*"],"dst":["*"],"ports":["9-1"]}]}',
		]) {
			const refused = await a.admin("PUT", "/v1/policy", bad, { "if-match": now.etag });
			expect([refused.status, refused.body.error], bad).toEqual([422, "bad_policy"]);
		}
		const tested = JSON.stringify({ ...JSON.parse(wanted), tests: [{ src: "tag:x", deny: ["tag:y"] }] });
		expect((await a.admin("PUT", "/v1/policy", tested, { "if-match": now.etag })).body.error).toBe(
			"policy_test_failed",
		);
		expect((await a.admin("POST", "/v1/policy/preview", wanted)).body).toEqual({
			gained: [["a", "b"]],
			lost: [],
			gainedCount: 1,
			lostCount: 0,
			ports: [],
			portsCount: 0,
			portsLostCount: 0,
		});
		expect((await a.admin("GET", "/v1/policy/explain?from=a&to=b")).body).toMatchObject({ allowed: false, rule: null });
		expect((await a.admin("PUT", "/v1/policy", wanted, { "if-match": now.etag })).status).toBe(200);
		const events = await stream.until((all) => all.length > 0);
		expect(events.map((each) => each.event)).toEqual(["peer_added"]);
		expect((await a.admin("GET", "/v1/policy/explain?from=a&to=b&port=22")).body).toMatchObject({
			allowed: true,
			visible: true,
			rule: { index: 0, line: 1, action: "accept" },
		});
		const back = await a.admin("GET", "/v1/policy");
		await a.admin("PUT", "/v1/policy", '{"acls":[]}', { "if-match": back.etag });
		await stream.until((all) => all.at(-1)?.event === "peer_removed");
		expect((await a.heartbeat()).body.peers).toEqual([]);
		stream.close();
	});
});

describe("the stream", () => {
	it("C19 an unknown viewer gets 401, and no roster; two peers are told to punch at once, not twice within the pause", async () => {
		const clock = new VirtualClock();
		await using server = await startCoordinator({ clock });
		await using a = new TestJoiner(server.url);
		await using b = new TestJoiner(server.url);
		for (const id of ["", "nobody"])
			expect((await a.call("GET", `/v1/mesh/peers/stream?peer_id=${id}`)).status).toBe(401);
		await a.register({ wg_listen_port: 1001 });
		await b.register({ wg_listen_port: 1002 });
		const stream = await a.stream();
		expect((await a.call("POST", "/v1/mesh/punch", { peer_id: a.peerId, target_peer_id: b.peerId })).body).toEqual({
			initiated: true,
		});
		expect((await a.call("POST", "/v1/mesh/punch", { peer_id: a.peerId, target_peer_id: b.peerId })).body).toEqual({
			initiated: false,
		});
		const punch = (await stream.until((all) => all.some((each) => each.event === "holepunch_initiate"))).find(
			(each) => each.event === "holepunch_initiate",
		);
		expect(JSON.parse(punch?.data ?? "")).toMatchObject({
			initiator_peer_id: a.peerId,
			target_peer_id: b.peerId,
			target_external_endpoint: "127.0.0.1:1002",
		});
		// B has no stream: it finds its half in the next heartbeat, once.
		const beat = await b.heartbeat({ peer_paths: [{ peer_id: a.peerId, direct: false }] });
		expect(beat.body.pending_commands).toMatchObject([
			{
				type: "holepunch_initiate",
				initiator_peer_id: b.peerId,
				target_peer_id: a.peerId,
				target_external_endpoint: "127.0.0.1:1001",
			},
		]);
		expect((await b.heartbeat()).body.pending_commands).toBeUndefined();
		// One lost event strands nobody: a path that is still not direct is tried again after the pause.
		await clock.advance(31_000);
		expect(
			(await b.heartbeat({ peer_paths: [{ peer_id: a.peerId, direct: false }] })).body.pending_commands,
		).toHaveLength(1);
		expect((await a.call("POST", "/v1/mesh/punch", { peer_id: a.peerId, target_peer_id: "nobody" })).status).toBe(404);
		stream.close();
	});

	it("C20 goes on from Last-Event-ID", async () => {
		await using server = await startCoordinator();
		await using a = new TestJoiner(server.url);
		await using b = new TestJoiner(server.url);
		await a.register();
		await b.register();
		const first = await a.stream({ deltas: true });
		const end = (await first.until((all) => all.some((each) => each.event === "snapshot_end"))).at(-1);
		first.close();
		await b.heartbeat({ wg_listen_port: 777 });
		const second = await a.stream({ deltas: true, after: end?.id ?? "" });
		const events = await second.until((all) => all.some((each) => each.event === "roster_resumed"));
		expect(events.map((each) => each.event)).toEqual(["peer_updated", "roster_resumed"]);
		expect(JSON.parse(events[0]?.data ?? "")).toMatchObject({ peer_id: b.peerId, endpoint: "127.0.0.1:777" });
		second.close();
	});
});

async function relayOf(
	server: TestCoordinator,
	joiner: TestJoiner,
	lane: "hi" | "lo",
): Promise<{
	connection: WebSocketConnection;
	frames: Buffer[];
	next(count: number): Promise<Buffer[]>;
	closed: Promise<number>;
}> {
	const key = Buffer.from(joiner.key, "base64").toString("base64url");
	const dialled = await dialWebSocket(
		`${server.url.replace("http", "ws")}/v1/mesh/relay?pubkey=${key}&lane=${lane}`,
		systemClock,
	);
	if (!dialled.ok) throw new Error(dialled.message);
	const { connection } = dialled;
	const frames: Buffer[] = [];
	let look = () => {};
	connection.onMessage((data) => {
		frames.push(Buffer.from(data));
		look();
	});
	const closed = new Promise<number>((resolve) => connection.onClose((code) => resolve(code)));
	const next = (count: number) =>
		new Promise<Buffer[]>((resolve) => {
			look = () => (frames.length >= count ? resolve(frames) : undefined);
			look();
		});
	return { connection, frames, next, closed };
}

describe("the relay", () => {
	it("C21 passes datagrams under the sender's own key, by lane, to whom the policy lets it", async () => {
		await using server = await startCoordinator({ policy: acl(["tag:x", "tag:x"]) });
		const joiners = [new TestJoiner(server.url), new TestJoiner(server.url), new TestJoiner(server.url)] as const;
		const [a, b, stranger] = joiners;
		await a.register({ tags: ["x"] });
		await b.register({ tags: ["x"] });
		await stranger.register({ tags: ["z"] });
		const [fromA, toB, outside] = [
			await relayOf(server, a, "lo"),
			await relayOf(server, b, "hi"),
			await relayOf(server, stranger, "hi"),
		];
		const key = (joiner: TestJoiner) => Buffer.from(joiner.key, "base64");
		fromA.connection.send(encodeRelayFrame(key(b), Buffer.from("sealed")));
		const [frame] = await toB.next(1);
		const decoded = decodeRelayFrame(frame as Buffer);
		expect(Buffer.from(decoded?.key ?? []).equals(key(a))).toBe(true);
		expect(Buffer.from(decoded?.datagram ?? []).toString()).toBe("sealed");
		// Unseen and unknown look the same: an empty datagram under that key.
		outside.connection.send(encodeRelayFrame(key(b), Buffer.from("let me in")));
		outside.connection.send(encodeRelayFrame(Buffer.alloc(32, 9), Buffer.from("anybody")));
		const gone = await outside.next(2);
		expect(gone.map((each) => each.length)).toEqual([32, 32]);
		expect(toB.frames).toHaveLength(1);
		for (const each of [fromA, toB, outside]) await each.connection.close();
		for (const joiner of joiners) await joiner[Symbol.asyncDispose]();
	});

	it("C22 the newest login wins and the earlier is told not to come back; a malformed frame ends its sender alone", async () => {
		await using server = await startCoordinator();
		await using a = new TestJoiner(server.url);
		await a.register();
		const first = await relayOf(server, a, "hi");
		const second = await relayOf(server, a, "hi");
		expect(await first.closed).toBe(4409);
		second.connection.send(Buffer.alloc(31));
		expect(await second.closed).toBe(4400);
		const third = await relayOf(server, a, "hi");
		await a.call("POST", "/v1/mesh/deregister", { peer_id: a.peerId });
		expect(await third.closed).toBe(4404);
	});

	it("C23 a receiver that is away is woken by its stream", async () => {
		// Its time stands still: nothing but the datagram itself can be what told.
		await using server = await startCoordinator({ clock: new VirtualClock() });
		await using a = new TestJoiner(server.url);
		await using b = new TestJoiner(server.url);
		await a.register();
		await b.register();
		const stream = await b.stream();
		const lane = await relayOf(server, a, "hi");
		lane.connection.send(encodeRelayFrame(Buffer.from(b.key, "base64"), Buffer.from("hello")));
		const events = await stream.until((all) => all.some((each) => each.event === "relay_wake"));
		expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ recipient_peer_id: b.peerId, source_ula: a.ula });
		stream.close();
		await lane.connection.close();
	});
});

describe("STUN and operations", () => {
	it("C24 two ports tell from where a datagram came, and answer nothing else", async () => {
		await using server = await startCoordinator();
		expect(server.coordinator.stunPorts).toHaveLength(2);
		const socket = createSocket("udp4");
		await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
		const [port = 0] = server.coordinator.stunPorts;
		const transaction = systemRandom.bytes(12);
		const answer = new Promise<Buffer>((resolve) => socket.once("message", resolve));
		socket.send(Buffer.alloc(20), port, "127.0.0.1");
		socket.send(encodeStunRequest(transaction), port, "127.0.0.1");
		expect(decodeStun(await answer)).toEqual({
			type: "answer",
			transaction: Uint8Array.from(transaction),
			mapped: { address: "127.0.0.1", port: socket.address().port },
		});
		await new Promise<void>((resolve) => socket.close(() => resolve()));
	});

	it("C25 health says that it is insecure; metrics and OpenAPI are there", async () => {
		await using server = await startCoordinator();
		await using one = new TestJoiner(server.url);
		expect((await one.call("GET", "/api/health")).body).toMatchObject({
			status: "error",
			conditions: [{ code: "coordinator-insecure" }],
		});
		expect((await one.call("GET", "/metrics")).body).toMatch(/warren_overlay_peers 0/);
		expect(
			(await one.call("GET", "/v1/mesh/peers", undefined, { authorization: `Bearer ${adminToken}x` })).status,
		).toBe(401);
	});
});
