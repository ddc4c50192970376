import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { MemoryBus, openSqliteTables } from "@warren/store";
import type { Kysely } from "kysely";
import { expect, it } from "vitest";
import { Changes } from "../changes.ts";
import { type BackboneTables, backboneSchema } from "../schema.ts";
import { type ServiceChange, Services } from "./services.ts";

/** Tables of which one reading of a service comes late, as over one of several connections. */
function withLateReading(db: Kysely<BackboneTables>) {
	const read = Promise.withResolvers<void>();
	const held = Promise.withResolvers<void>();
	let isArmed = false;
	const late = <T extends object>(target: T): T =>
		new Proxy(target, {
			get(_target, key) {
				const found = Reflect.get(target, key) as unknown;
				if (typeof found !== "function") return found;
				if (key !== "executeTakeFirst") {
					return (...given: unknown[]) => {
						const made = found.apply(target, given);
						return key === "selectFrom" || "executeTakeFirst" in Object(made) ? late(made) : made;
					};
				}
				return async () => {
					const row = await found.call(target);
					if (!isArmed) return row;
					isArmed = false;
					read.resolve();
					await held.promise;
					return row;
				};
			},
		});
	return {
		db: late(db),
		arm: () => {
			isArmed = true;
			return read.promise;
		},
		letGo: () => held.resolve(),
	};
}

it("of two readings of a service the one that began first does not stand last", async () => {
	const tables = await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]);
	const bus = new MemoryBus(silentLogger);
	const changes = new Changes(bus);
	const { db, arm, letGo } = withLateReading(tables.db);
	const services = await Services.open(db, systemClock, systemRandom, changes);
	await services.createToken("web", { by: "test" });
	const read = arm();
	changes.tell({ of: "service", name: "web" });
	await read;
	const updated = services.update("web", { settings: { requireIdentity: true } }, async () => {});
	await expect
		.poll(async () => (await tables.db.selectFrom("backbone_services").select("settings").execute())[0]?.settings)
		.toContain("requireIdentity");
	for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
	letGo();
	await updated;
	for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
	expect(services.get("web")?.settings).toEqual({ requireIdentity: true });
	services.close();
	bus.close();
	await tables.close();
});

it("a port or a name that another service takes in the same moment is a conflict, whoever is faster", async () => {
	const tables = await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]);
	const changes = new Changes(new MemoryBus(silentLogger));
	const services = await Services.open(tables.db, systemClock, systemRandom, changes);
	for (const name of ["slow", "fast"]) await services.createToken(name, { by: "test" });
	const free = async () => {};
	/** The faster one comes after the slower one was looked at, and before it is written. */
	const race = (slow: ServiceChange, fast: ServiceChange) =>
		services.update("slow", slow, async () => void (await services.update("fast", fast, free)));
	await expect(race({ port: 4001 }, { port: 4001 })).rejects.toThrow('Port 4001 is the port of "fast"');
	const domains = ["tunnel.example.com"];
	await expect(race({ port: 4002, domains }, { domains })).rejects.toThrow('tunnel.example.com is a name of "fast"');
	expect(services.get("slow")).toMatchObject({ port: null, domains: [] });
	expect(services.get("fast")).toMatchObject({ port: 4001, domains });
	await tables.close();
});

it("a service that two make at once is one, of the first one's kind", async () => {
	const tables = await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]);
	const bus = new MemoryBus(silentLogger);
	const open = () => Services.open(tables.db, systemClock, systemRandom, new Changes(bus));
	const [one, other] = [await open(), await open()];
	const made = await Promise.allSettled([
		one.createToken("web", { kind: "http", by: "test" }),
		other.createToken("web", { kind: "http", by: "test" }),
		one.createToken("web", { kind: "tcp", by: "test" }),
	]);
	expect(made.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
	expect(made[2]).toMatchObject({ reason: { message: '"web" is a service of kind http, not tcp.' } });
	expect((await one.tokens()).length).toBe(2);
	await tables.close();
});
