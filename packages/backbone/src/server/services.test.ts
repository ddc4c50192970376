import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { MemoryBus, openSqliteTables } from "@warren/store";
import type { Kysely } from "kysely";
import { expect, it } from "vitest";
import { Changes } from "../changes.ts";
import { type BackboneTables, backboneSchema } from "../schema.ts";
import { Services } from "./services.ts";

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
