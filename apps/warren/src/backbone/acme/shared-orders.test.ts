import { type BackboneTables, backboneSchema, type FrontTls, SharedSecrets } from "@warren/backbone";
import { Lifetime, silentLogger, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { MemoryBus, openSqliteTables, type Tables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sharedAccountKey } from "./acme-account.ts";
import type { ChallengeSolver } from "./challenges.ts";
import { SharedOrders, sharedOrderLimits } from "./shared-orders.ts";

const web = { name: "web.example.com", names: ["web.example.com"] };
const dayMs = 24 * 3600_000;

let lifetime: Lifetime;
let clock: VirtualClock;
let tables: Tables<BackboneTables>;
let bus: MemoryBus;
let authority: Authority;
let orders: string[];
/** What each node shows, as `node name value`. */
let shown: Set<string>;
beforeEach(async () => {
	lifetime = new Lifetime();
	clock = new VirtualClock();
	tables = lifetime.own(await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]));
	bus = lifetime.own(new MemoryBus(silentLogger));
	({ authority } = await Authority.create("Test", ["example.com"], clock, new SeededRandom(7)));
	orders = [];
	shown = new Set();
});
afterEach(() => lifetime.close());

const secrets = () => new SharedSecrets({ db: tables.db, clock, random: systemRandom }, "a-master-secret-of-tests");

function node(name: string, others: readonly string[], type: ChallengeSolver["type"] = "tls-alpn-01"): SharedOrders {
	const solver: ChallengeSolver = {
		type,
		put: async (host, _token, value) => void shown.add(`${name} ${host} ${value}`),
		remove: async (host, _token, value) => void shown.delete(`${name} ${host} ${value}`),
	};
	const deps = { clock, logger: silentLogger, secrets: secrets(), bus, node: name, others: () => others };
	return lifetime.own(new SharedOrders(deps, solver));
}

/** An order as the account makes it: the challenge is shown, the authority looks, the certificate comes. */
const order = (orders_: SharedOrders, by: string, looks: () => void | Promise<void> = () => {}) =>
	orders_.obtain(web, async (): Promise<FrontTls> => {
		orders.push(by);
		await orders_.solver.put(web.name, "token", "value");
		await looks();
		await orders_.solver.remove(web.name, "token", "value");
		return authority.issue({ name: web.name, hosts: web.names, usages: ["server"] });
	});

/** Turns the clock until it is done: what waits looks every other second. */
async function settled<T>(work: Promise<T>): Promise<T> {
	let done = false;
	const over = work.finally(() => {
		done = true;
	});
	over.catch(() => {});
	while (!done) {
		await clock.advance(500);
		await new Promise(setImmediate);
	}
	return over;
}

describe("certificates of a cluster", () => {
	it("come by one order, which every node shows the challenge of, and each gets the same one", async () => {
		const [one, other] = [node("one", ["other"]), node("other", ["one"])];
		const seen: string[][] = [];
		const looks = () => void seen.push([...shown].sort());
		const both = await settled(Promise.all([order(one, "one", looks), order(other, "other", looks)]));
		expect(orders).toHaveLength(1);
		expect(both[0]).toEqual(both[1]);
		expect(seen).toEqual([["one web.example.com value", "other web.example.com value"]]);
		await expect.poll(() => [...shown]).toEqual([]);
		// The next start finds it, and asks nobody.
		expect(await order(node("third", []), "third")).toEqual(both[0]);
		expect(orders).toHaveLength(1);
	});

	it("are ordered by another node where the first fails", async () => {
		const [one, other] = [node("one", []), node("other", [])];
		await expect(settled(order(one, "one", () => Promise.reject(new Error("no route"))))).rejects.toThrow("no route");
		await settled(order(other, "other"));
		expect(orders).toEqual(["one", "other"]);
	});

	it("are not waited for from a dead node any longer than its lease", async () => {
		const dead = node("dead", []);
		void order(dead, "dead", () => new Promise(() => {}));
		await expect.poll(() => orders).toEqual(["dead"]);
		const alive = node("alive", []);
		const begun = clock.now();
		await settled(order(alive, "alive"));
		expect(orders).toEqual(["dead", "alive"]);
		expect(clock.now() - begun).toBeGreaterThanOrEqual(sharedOrderLimits.leaseMs - 1000);
	});

	it("are renewed once, by whichever node comes first", async () => {
		const [one, other] = [node("one", ["other"]), node("other", ["one"])];
		const first = await settled(order(one, "one"));
		await clock.advance(2000 * dayMs);
		const renewed = await settled(Promise.all([order(one, "one"), order(other, "other")]));
		expect(orders).toHaveLength(2);
		expect(renewed[0]).toEqual(renewed[1]);
		expect(renewed[0]).not.toEqual(first);
	});

	it("are ordered anew after an authority gave what is none: it does not stand for one", async () => {
		const one = node("one", []);
		await one.obtain(web, async () => ({ cert: "<html>", key: "none" }));
		const { key } = await authority.issue({ name: "x", hosts: web.names, usages: ["server"] });
		await one.obtain(web, async () => ({
			...(await authority.issue({ name: "x", hosts: web.names, usages: ["server"] })),
			key,
		}));
		const good = await settled(order(one, "one"));
		expect(orders).toEqual(["one"]);
		expect(await order(node("other", []), "other")).toEqual(good);
	});

	it("are ordered although a node does not answer: it is waited for a moment, and named in the log", async () => {
		const one = node("one", ["gone"]);
		const begun = clock.now();
		await settled(order(one, "one"));
		expect(clock.now() - begun).toBeGreaterThanOrEqual(sharedOrderLimits.showMs);
		expect(orders).toEqual(["one"]);
	});

	it("by DNS need no other node: the record is everybody's", async () => {
		const one = node("one", ["gone"], "dns-01");
		const begun = clock.now();
		await order(one, "one");
		expect(clock.now()).toBe(begun);
	});

	it("lie sealed in the tables, and all nodes use one account", async () => {
		await settled(order(node("one", []), "one"));
		const rows = JSON.stringify(await tables.db.selectFrom("backbone_shared_secrets").selectAll().execute());
		expect(rows).toContain("acme.certificate.web.example.com");
		expect(rows).not.toMatch(/BEGIN|PRIVATE/);
		const [mine, theirs] = [sharedAccountKey(secrets()), sharedAccountKey(secrets())];
		expect(await mine.keep("first")).toBe("first");
		expect(await theirs.keep("second")).toBe("first");
		expect(await theirs.read()).toBe("first");
	});
});
