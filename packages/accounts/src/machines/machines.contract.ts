import { X509Certificate } from "node:crypto";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority, createCsr, dialWebSocket, type WebSocketConnection } from "@warren/net";
import { describe, expect, it } from "vitest";
import { bearer, type OpenTables, TestHub } from "../hub.testing.ts";
import { joinFingerprint, parseJoinCode } from "./join-code.ts";
import type { JoinDeps } from "./machine-routes.ts";

const made = Authority.create("Test warren", ["burrow"], systemClock, systemRandom);

export async function testJoin(): Promise<JoinDeps> {
	const { authority } = await made;
	return {
		ca: authority.certPem,
		issueLeaf: ({ csr, name, hosts }) => authority.issueForCsr(csr, { name, hosts }),
	};
}

export const console = {
	kinds: ["admin"] as const,
	authenticate: async (credential: { scheme: string; token?: string }) =>
		credential.token === "wl_console"
			? ({ ok: true, kind: "admin", identity: { kind: "operator", name: "console" } } as const)
			: null,
};

/** Invites and joins one machine. */
export async function joinMachine(hub: TestHub, token: string, name = "attic", more: object = {}) {
	const { body } = await hub.call("POST", "/v1/invites", {}, bearer(token));
	const { csr, key } = await createCsr("anything.example");
	const secret = parseJoinCode(body.code)?.secret ?? "";
	const joined = await hub.call("POST", "/v1/join", {
		secret,
		csr,
		name,
		hosts: [`${name}.local`],
		port: 5151,
		...more,
	});
	return { ...joined, secret, csr, key };
}

/** Messages of a socket, one at a time. */
function messages(connection: WebSocketConnection): () => Promise<any> {
	const waiting: ((message: unknown) => void)[] = [];
	const arrived: unknown[] = [];
	connection.onMessage((data) => {
		const message: unknown = JSON.parse(data.toString());
		const next = waiting.shift();
		if (next === undefined) arrived.push(message);
		else next(message);
	});
	return () => new Promise((resolve) => (arrived.length > 0 ? resolve(arrived.shift()) : waiting.push(resolve)));
}

/** Machines that join, and what they may. */
export function machinesSuite(open: OpenTables): void {
	const openHub = async () => TestHub.open(open, { deps: { join: await testJoin() }, authenticators: [console] });

	describe("a join code", () => {
		it("carries the CA's fingerprint in its last 43 characters, whatever the secret holds", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body } = await hub.call("POST", "/v1/invites", {}, bearer(owner));
			expect(parseJoinCode(` ${body.code}\n`)?.fingerprint).toBe(joinFingerprint((await testJoin()).ca));
			expect(body.expiresAt - Date.now()).toBeLessThanOrEqual(600_000);
			expect((await hub.call("POST", "/v1/invites", { expiresInMs: 600_001 }, bearer(owner))).status).toBe(400);
		});

		it("comes from administrators and from the machine's own console alone", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			expect((await hub.call("POST", "/v1/invites", {}, bearer(bob))).status).toBe(403);
			expect((await hub.call("POST", "/v1/invites", {})).status).toBe(401);
			expect((await hub.call("POST", "/v1/invites", {}, bearer("wl_console"))).status).toBe(201);
		});
	});

	describe("a machine", () => {
		it("joins once with a code: leaf for its own names, never the request's, and a token of its own", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const joined = await joinMachine(hub, owner);
			expect(joined.status).toBe(201);
			const { cert, ca, nodeToken, ticketKey, owner: whose } = joined.body;
			const leaf = new X509Certificate(cert);
			expect(leaf.subjectAltName).toBe("DNS:attic.local");
			expect(leaf.checkIssued(new X509Certificate(ca))).toBe(true);
			expect(nodeToken).toMatch(/^wn_/);
			expect(ticketKey).toEqual(hub.accounts.ticketKey);
			expect(whose.userId).toBe((await hub.call("GET", "/me", undefined, bearer(owner))).body.user.id);
			const again = await hub.call("POST", "/v1/join", {
				secret: joined.secret,
				csr: joined.csr,
				name: "cellar",
				hosts: ["cellar.local"],
				port: 5151,
			});
			expect([again.status, again.body.error]).toEqual([400, "bad_code"]);
			const rows = JSON.stringify(await hub.tables.db.selectFrom("accounts_machines").selectAll().execute());
			expect(rows).not.toContain(nodeToken);
		});

		it("with a code that has ended is refused, and hears how long ago that was", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body } = await hub.call("POST", "/v1/invites", {}, bearer(owner));
			const expires_at = Date.now() - 5 * 60_000;
			await hub.tables.db.updateTable("accounts_machine_invites").set({ expires_at }).execute();
			const { csr } = await createCsr("late.example");
			const secret = parseJoinCode(body.code)?.secret ?? "";
			const late = await hub.call("POST", "/v1/join", { secret, csr, name: "late", hosts: ["late.local"], port: 5151 });
			expect(late).toMatchObject({
				status: 400,
				body: {
					error: "bad_code",
					message: expect.stringContaining("ended 5 min ago"),
					fix: expect.stringContaining("new"),
				},
			});
			expect(await hub.tables.db.selectFrom("accounts_machines").select("name").execute()).not.toContainEqual({
				name: "late",
			});
		});

		it("does not cost its code when the request is broken, or when it takes another machine's name", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			await joinMachine(hub, owner, "attic");
			const { body } = await hub.call("POST", "/v1/invites", {}, bearer(owner));
			const secret = parseJoinCode(body.code)?.secret;
			const { csr } = await createCsr("x");
			const join = (more: object) =>
				hub.call("POST", "/v1/join", {
					secret,
					csr,
					name: "cellar",
					hosts: ["cellar.local", "127.0.0.1"],
					port: 5151,
					...more,
				});
			expect((await join({ csr: "nonsense" })).body.error).toBe("bad_csr");
			const thief = await join({ hosts: ["ATTIC.local."] });
			expect([thief.status, thief.body.error]).toEqual([400, "bad_name"]);
			expect((await join({ hosts: ["a/b"] })).body.error).toBe("bad_request");
			expect((await join({})).status).toBe(201);
		});

		it("may share names and addresses with another, which no certificate of its own then names", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const attic = await joinMachine(hub, owner, "attic", {
				hosts: ["raspberrypi.local", "172.17.0.1", "attic.warren.internal"],
			});
			const hosts = ["raspberrypi.local", "172.17.0.1", "localhost", "cellar.warren.internal"];
			const cellar = await joinMachine(hub, owner, "cellar", { hosts });
			expect(new X509Certificate(cellar.body.cert).subjectAltName).toBe("DNS:localhost, DNS:cellar.warren.internal");
			const { body } = await hub.call("PUT", "/v1/machines/self", { hosts }, bearer(cellar.body.nodeToken));
			expect(body.hosts).toEqual(["localhost", "cellar.warren.internal", "raspberrypi.local", "172.17.0.1"]);
			const renewed = await hub.call(
				"POST",
				"/v1/machines/self/certificate",
				{ csr: cellar.csr },
				bearer(cellar.body.nodeToken),
			);
			expect(new X509Certificate(renewed.body.cert).subjectAltName).toBe("DNS:localhost, DNS:cellar.warren.internal");
			// Whoever was first keeps it, and takes nothing of the other's later.
			const token = attic.body.nodeToken;
			const greedy = ["raspberrypi.local", "cellar.warren.internal"];
			await hub.call("PUT", "/v1/machines/self", { hosts: greedy }, bearer(token));
			const first = await hub.call("POST", "/v1/machines/self/certificate", { csr: attic.csr }, bearer(token));
			expect(new X509Certificate(first.body.cert).subjectAltName).toBe("DNS:raspberrypi.local");
		});

		it("shows up while one watches, changes, and is gone when removed; its token and sockets die, it stays removed", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const watch = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
				headers: bearer(owner),
			});
			if (!watch.ok) throw new Error(watch.message);
			const next = messages(watch.connection);
			expect(await next()).toEqual({ type: "machines", machines: [] });
			const joined = await joinMachine(hub, owner);
			const attic = joined.body;
			expect(await next()).toMatchObject({
				type: "machine",
				machine: { nodeId: attic.nodeId, name: "attic", online: true },
			});
			const own = await hub.call(
				"PUT",
				"/v1/machines/self",
				{ hosts: ["10.0.0.9", "attic.local"], version: "0.2.0" },
				bearer(attic.nodeToken),
			);
			expect(own.body).toMatchObject({ hosts: ["10.0.0.9", "attic.local"], version: "0.2.0", port: 5151 });
			expect(await next()).toMatchObject({ type: "machine", machine: { version: "0.2.0" } });
			const renewed = await hub.call(
				"POST",
				"/v1/machines/self/certificate",
				{ csr: joined.csr },
				bearer(attic.nodeToken),
			);
			expect(new X509Certificate(renewed.body.cert).subjectAltName).toBe("IP Address:10.0.0.9, DNS:attic.local");
			const asNode = await hub.call("GET", "/v1/machines", undefined, bearer(attic.nodeToken));
			expect(asNode.body.machines).toHaveLength(1);
			const socket = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
				headers: bearer(attic.nodeToken),
			});
			if (!socket.ok) throw new Error(socket.message);
			const closed = new Promise<number>((resolve) => socket.connection.onClose(resolve));
			expect((await hub.call("DELETE", `/v1/machines/${attic.nodeId}`, undefined, bearer(owner))).status).toBe(204);
			expect(await next()).toEqual({ type: "machine-removed", nodeId: attic.nodeId });
			expect(await closed).toBe(4401);
			expect((await hub.call("PUT", "/v1/machines/self", {}, bearer(attic.nodeToken))).status).toBe(401);
			expect((await hub.call("GET", "/v1/machines", undefined, bearer(owner))).body.machines).toEqual([]);
			const back = await joinMachine(hub, owner, "attic", { nodeId: attic.nodeId });
			expect([back.status, back.body.nodeId]).toEqual([201, attic.nodeId]);
			const twin = await joinMachine(hub, owner, "twin", { nodeId: attic.nodeId });
			expect([twin.status, twin.body.error]).toEqual([409, "machine_exists"]);
			await watch.connection.close();
		});

		it("may not do what people do, and people may not speak for it", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body: attic } = await joinMachine(hub, owner);
			for (const [method, path] of [
				["GET", "/me"],
				["POST", "/v1/invites"],
				["DELETE", `/v1/machines/${attic.nodeId}`],
				["POST", "/v1/join-tokens"],
			] as const) {
				const body = method === "POST" ? {} : undefined;
				expect([path, (await hub.call(method, path, body, bearer(attic.nodeToken))).status]).toEqual([path, 403]);
			}
			expect((await hub.call("PUT", "/v1/machines/self", {}, bearer(owner))).status).toBe(403);
			expect((await hub.call("GET", "/v1/revocations", undefined, bearer(owner))).status).toBe(403);
		});

		it("is a peer of the hub's own node, which is not its own peer and cannot be removed", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			await hub.accounts.registerHub("hubnode00", {
				name: "burrow",
				hosts: ["burrow.local"],
				port: 5151,
				version: "1",
			});
			const { body: attic } = await joinMachine(hub, owner, "attic", { hosts: ["localhost", "attic.local"] });
			const { candidates, errors } = await hub.accounts.machines.candidates(AbortSignal.timeout(1000));
			expect([candidates, errors]).toEqual([
				[{ name: "attic", host: "attic.local", port: 5151, others: ["localhost"], nodeId: attic.nodeId }],
				[],
			]);
			const refused = await hub.call("DELETE", "/v1/machines/hubnode00", undefined, bearer(owner));
			expect(refused.status).toBe(409);
			const thief = await joinMachine(hub, owner, "thief", { hosts: ["burrow.local"] });
			expect(thief.status).toBe(400);
		});
	});

	describe("join tokens of the overlay", () => {
		it("are validated with the original's field names, also with pasted space, until they end or are withdrawn", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const made = await hub.call(
				"POST",
				"/v1/join-tokens",
				{ name: "supervisors", network: "lab", tags: ["supervisor", "firecracker"] },
				bearer(owner),
			);
			expect(made.status).toBe(201);
			const validate = (token: string, more: object = {}) => hub.call("POST", "/v1/validate", { token, ...more });
			expect((await validate(` ${made.body.token}\n`)).body).toEqual({
				valid: true,
				subject: "supervisors",
				network: "lab",
				tags: ["supervisor", "firecracker"],
				kind: "join",
				requested_ulas: [],
				exp: Math.floor(made.body.joinToken.expiresAt / 1000),
			});
			expect((await validate("wo_unknown")).body).toEqual({ valid: false });
			const rows = JSON.stringify(await hub.tables.db.selectFrom("accounts_join_tokens").selectAll().execute());
			expect(rows).not.toContain(made.body.token);
			const id = made.body.joinToken.id;
			expect((await hub.call("DELETE", `/v1/join-tokens/${id}`, undefined, bearer(owner))).status).toBe(204);
			expect((await validate(made.body.token)).body).toEqual({ valid: false });
		});

		it("may be for the first key only that shows them", async () => {
			await using hub = await openHub();
			const owner = await hub.owner();
			const { body } = await hub.call("POST", "/v1/join-tokens", { name: "one", oneKey: true }, bearer(owner));
			const valid = async (wg_public_key?: string) =>
				(await hub.call("POST", "/v1/validate", { token: body.token, wg_public_key })).body.valid;
			expect([await valid(), await valid("KEY-A"), await valid("KEY-B"), await valid("KEY-A")]).toEqual([
				false,
				true,
				false,
				true,
			]);
		});
	});
}
