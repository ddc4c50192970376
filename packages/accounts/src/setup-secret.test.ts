import { systemRandom } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { type AccountsTables, accountsSchema } from "./schema.ts";
import { HubSetup, hubSetupLimits } from "./setup-secret.ts";

it("a hub's setup secret works for a day, once, and is replaced by the next; guesses are limited", async () => {
	const { db, close } = await openSqliteTables<AccountsTables>(":memory:", [accountsSchema]);
	const clock = new VirtualClock();
	const setup = new HubSetup(db, clock, systemRandom);
	const verdict = async (secret: string, address = "198.51.100.1") => {
		const said = await setup.verify(secret, address);
		return said.ok ? "ok" : said.reason;
	};
	const first = await setup.make();
	const second = await setup.make();
	expect([await verdict(first), await verdict(second)]).toEqual(["invalid", "ok"]);
	expect(await Promise.all([setup.spend(second), setup.spend(second)])).toEqual([true, false]);
	expect(await verdict(second)).toBe("invalid");
	await setup.restore(second);
	expect(await verdict(second)).toBe("ok");
	await clock.advance(hubSetupLimits.lifetimeMs);
	expect(await verdict(second)).toBe("invalid");
	const guesses = [];
	for (let i = 0; i < 7; i++) guesses.push(await verdict("guess", "198.51.100.2"));
	expect(guesses.slice(4)).toEqual(["invalid", "limited", "limited"]);
	await close();
});
