import { X509Certificate } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { HealthTable, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { Authority, createCsr, HostTable, Listener } from "@warren/net";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { bearer, openMemoryTables, TestHub } from "../hub.testing.ts";
import { isRevoked } from "../revoked.ts";
import { SessionClient } from "../session-client.ts";
import { removedFromWarren } from "./conditions.ts";
import { HubLink } from "./hub-link.ts";
import { HubRequests } from "./hub-requests.ts";
import { type Joined, joinWarren } from "./join-client.ts";

const facts = { name: "attic", hosts: ["attic.local"], port: 5151, version: "1" };

/** A hub behind TLS with a leaf of its own CA, as the first machine of a warren has it. */
class SecureHub implements AsyncDisposable {
	readonly hub: TestHub;
	readonly listener: Listener;
	readonly ca: string;
	readonly url: string;

	private constructor(hub: TestHub, listener: Listener, ca: string) {
		this.hub = hub;
		this.listener = listener;
		this.ca = ca;
		this.url = `https://localhost:${listener.port}`;
	}

	static async open(): Promise<SecureHub> {
		const { authority } = await Authority.create("Test warren", ["localhost"], systemClock, systemRandom);
		const leaf = await authority.issue({ name: "burrow", hosts: ["localhost", "127.0.0.1"] });
		const join = {
			ca: authority.certPem,
			issueLeaf: ({ csr, ...request }: { csr: string; name: string; hosts: readonly string[] }) =>
				authority.issueForCsr(csr, request),
		};
		const hub = await TestHub.open(openMemoryTables, { deps: { join } });
		const listener = await Listener.open(
			{ clock: systemClock, logger: silentLogger },
			{
				role: "hub",
				host: "127.0.0.1",
				port: 0,
				tls: { cert: leaf.cert + authority.certPem, key: leaf.key },
				hosts: new HostTable(["localhost"]),
				authenticator: hub.accounts.authenticator,
				routes: hub.accounts.routes(),
			},
		);
		hub.accounts.onRevoked((revoked) => void listener.disconnect((who) => isRevoked(revoked, who), 4401, "removed"));
		return new SecureHub(hub, listener, authority.certPem);
	}

	async code(owner: string): Promise<string> {
		return (await this.hub.call("POST", "/v1/invites", {}, bearer(owner))).body.code;
	}

	async join(owner: string): Promise<Joined> {
		const { csr } = await createCsr("attic");
		return joinWarren(this.url, await this.code(owner), { ...facts, csr });
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.listener.close();
		await this.hub[Symbol.asyncDispose]();
	}
}

describe("joining a warren", () => {
	it("checks the hub's CA by the code's fingerprint before the secret goes out", async () => {
		await using first = await SecureHub.open();
		await using other = await SecureHub.open();
		const code = await first.code(await first.hub.owner());
		const { csr } = await createCsr("attic");
		await expect(joinWarren(other.url, code, { ...facts, csr })).rejects.toMatchObject({ code: "wrong_authority" });
		const joined = await joinWarren(first.url, ` ${code}\n`, { ...facts, csr });
		expect(joined).toMatchObject({ ca: first.ca, ticketKey: first.hub.accounts.ticketKey });
		await expect(joinWarren(first.url, code, { ...facts, csr })).rejects.toMatchObject({
			code: "hub_refused",
			message: expect.stringContaining("was used"),
		});
	});

	it("refuses what is no code, plain HTTP, and says when nobody answers", async () => {
		const code = `wj_${"a".repeat(43)}_${"b".repeat(43)}`;
		await expect(joinWarren("https://localhost:1", "wj_nonsense", { ...facts, csr: "" })).rejects.toMatchObject({
			code: "bad_code",
		});
		await expect(joinWarren("http://localhost:1", code, { ...facts, csr: "" })).rejects.toMatchObject({
			code: "wrong_authority",
		});
		await expect(joinWarren("https://localhost:1", code, { ...facts, csr: "" })).rejects.toMatchObject({
			code: "hub_unreachable",
			retryable: true,
		});
	});
});

describe("a joined machine's link", () => {
	const open = (hub: SecureHub, joined: Joined, file: string, health = new HealthTable(systemClock)) =>
		HubLink.open(
			{ clock: systemClock, random: systemRandom, logger: silentLogger, health },
			{
				hubUrl: hub.url,
				nodeId: joined.nodeId,
				nodeToken: joined.nodeToken,
				ca: joined.ca,
				ticketKeys: [joined.ticketKey],
				file,
				self: () => ({ version: "2" }),
			},
		);
	const until = (link: HubLink, holds: () => boolean) =>
		new Promise<void>((resolve) => {
			const check = () => (holds() ? (watching.close(), resolve()) : undefined);
			const watching = link.onMachines(check);
			check();
		});

	it("names the others as peers, live, and keeps them for a start without the hub", async () => {
		using folder = tempFolder("link");
		const file = folder.file("hub.json");
		await using hub = await SecureHub.open();
		const owner = await hub.hub.owner();
		await hub.hub.accounts.registerHub("hubnode00", { ...facts, name: "burrow", hosts: ["burrow.local"] });
		const joined = await hub.join(owner);
		const link = open(hub, joined, file);
		await until(link, () => link.machines().length === 2);
		expect((await link.candidates(AbortSignal.timeout(1000))).candidates).toEqual([
			{ name: "burrow", host: "burrow.local", port: 5151, others: [], nodeId: "hubnode00" },
			// As it was typed at the join, too: that has been reached from here.
			{ name: "burrow", host: "localhost", port: Number(new URL(hub.url).port), nodeId: "hubnode00" },
		]);
		const { csr } = await createCsr("cellar");
		await joinWarren(hub.url, await hub.code(owner), { ...facts, name: "cellar", hosts: ["cellar.local"], csr });
		await until(link, () => link.machines().length === 3);
		expect(link.ownerId).toBe(joined.owner.userId);
		const { cert, ca } = await link.renewCertificate(csr);
		expect(new X509Certificate(cert).checkIssued(new X509Certificate(ca))).toBe(true);
		await link.close();
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(readFileSync(file, "utf8")).not.toContain(joined.nodeToken);

		await hub.listener.close();
		const alone = open(hub, joined, file);
		const { candidates, errors } = await alone.candidates(AbortSignal.timeout(1000));
		expect(candidates.map((each) => each.name)).toEqual(["burrow", "burrow", "cellar"]);
		expect(alone.ownerId).toBe(joined.owner.userId);
		expect(errors).toMatchObject([{ source: "hub", kind: "away" }]);
		await alone.close();
	});

	it("puts a broken file aside and starts", async () => {
		using folder = tempFolder("link");
		const file = folder.file("hub.json");
		await using hub = await SecureHub.open();
		const joined = await hub.join(await hub.hub.owner());
		writeFileSync(file, "{ not JSON");
		const link = open(hub, joined, file);
		await until(link, () => link.machines().length === 1);
		await link.close();
		expect(readFileSync(`${file}.corrupt`, "utf8")).toBe("{ not JSON");
	});

	it("learns at once that its machine was removed, and says so", async () => {
		using folder = tempFolder("link");
		await using hub = await SecureHub.open();
		const owner = await hub.hub.owner();
		const joined = await hub.join(owner);
		const health = new HealthTable(systemClock);
		const link = open(hub, joined, folder.file("hub.json"), health);
		await until(link, () => link.machines()[0]?.version === "2");
		const raised = new Promise<void>((resolve) => {
			health.watch(() => {
				if (health.list().some((each) => each.code === removedFromWarren.code)) resolve();
			});
		});
		await hub.hub.call("DELETE", `/v1/machines/${joined.nodeId}`, undefined, bearer(owner));
		await raised;
		expect(link.state).toBe("removed");
		await link.close();
	});
});

it("a sidecar believes the hub's sessions, and a revoked one no longer once it asks again", async () => {
	await using hub = await SecureHub.open();
	const owner = await hub.hub.owner();
	const requests = new HubRequests(hub.url, hub.ca);
	const check = async (client: SessionClient) => {
		const verdict = await client.authenticate(
			{ scheme: "bearer", token: owner, from: "header" },
			{ accepts: ["session"], remoteAddress: "127.0.0.1", path: "/" },
		);
		return verdict?.ok ? verdict.identity : verdict?.reason;
	};
	// Its time stands still: it remembers, however long the rest takes.
	const client = new SessionClient(requests.askSession, new VirtualClock(Date.now()));
	expect(await check(client)).toMatchObject({ kind: "user", name: "Ada", admin: true });
	await hub.hub.call("POST", "/auth/sign-out", {}, bearer(owner));
	expect(await check(client)).toMatchObject({ name: "Ada" });
	expect(await check(new SessionClient(requests.askSession, systemClock))).toBe("invalid");
	await hub.listener.close();
	expect(await check(new SessionClient(requests.askSession, systemClock))).toBe("unavailable");
	await requests.close();
});
