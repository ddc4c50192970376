import { silentLogger, systemRandom } from "@warren/kernel";
import { MemoryBus, openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { RevokedFeed } from "../revoked-feed.ts";
import { type AccountsTables, accountsSchema } from "../schema.ts";
import { joinCodeLimits } from "./join-codes.ts";
import { type MachineChange, Machines, machineLimits } from "./machines.ts";

const facts = { name: "attic", hosts: ["attic.local"], port: 5151, version: "1", nodeId: null };

async function open() {
	const tables = await openSqliteTables<AccountsTables>(":memory:", [accountsSchema]);
	const clock = new VirtualClock();
	const bus = new MemoryBus(silentLogger);
	const make = () => new Machines(tables.db, clock, systemRandom, new RevokedFeed(bus), bus);
	return { tables, clock, make };
}

it("a join code ends after ten minutes", async () => {
	const { tables, clock, make } = await open();
	const machines = make();
	const { secret } = await machines.joinCodes.make("u1", joinCodeLimits.lifetimeMs);
	await clock.advance(joinCodeLimits.lifetimeMs);
	await expect(machines.join(secret, facts, async () => "leaf")).rejects.toMatchObject({ code: "bad_code" });
	machines.close();
	await tables.close();
});

it("of two machines that come with one code, one joins", async () => {
	const { tables, make } = await open();
	const machines = make();
	const { secret } = await machines.joinCodes.make("u1", joinCodeLimits.lifetimeMs);
	const both = await Promise.allSettled([
		machines.join(secret, facts, async () => "leaf"),
		machines.join(secret, { ...facts, hosts: ["cellar.local"] }, async () => "leaf"),
	]);
	expect(both.filter((each) => each.status === "fulfilled")).toHaveLength(1);
	machines.close();
	await tables.close();
});

it("of two machines that say one name at once, one is certified for it, whether they join or were here", async () => {
	const { tables, make } = await open();
	const both = [make(), make()] as const;
	const certified: (readonly string[])[] = [];
	const joined = await Promise.all(
		both.map(async (machines, at) => {
			const { secret } = await machines.joinCodes.make("u1", joinCodeLimits.lifetimeMs);
			const hosts = ["raspberrypi.local", `m${at}.local`];
			return machines.join(secret, { ...facts, hosts }, async (names) => void certified.push(names));
		}),
	);
	expect(certified.filter((names) => names.includes("raspberrypi.local"))).toHaveLength(1);
	const hosts = ["attic.internal", "raspberrypi.local", "m0.local", "m1.local"];
	await Promise.all(both.map((machines, at) => machines.update(joined[at]?.machine.nodeId ?? "", { hosts })));
	const later = await Promise.all(
		both.map((machines, at) => machines.certifiedHosts(joined[at]?.machine.nodeId ?? "")),
	);
	for (const name of hosts)
		expect(
			later.filter((names) => names.includes(name)),
			name,
		).toHaveLength(1);
	for (const machines of both) machines.close();
	await tables.close();
});

it("a machine that falls silent is told to whoever watches, and so is its return; at the hub's other processes too", async () => {
	const { tables, clock, make } = await open();
	const [here, there] = [make(), make()];
	const seen: MachineChange[][] = [[], []];
	const watching = [here, there].map((machines, i) => machines.watch((change) => seen[i]?.push(change)));
	const { secret } = await here.joinCodes.make("u1", joinCodeLimits.lifetimeMs);
	const { machine } = await here.join(secret, facts, async () => "leaf");
	await clock.advance(machineLimits.onlineMs + machineLimits.heartbeatMs);
	await here.update(machine.nodeId, {});
	await here.update(machine.nodeId, {});
	await here.remove(machine.nodeId);
	await clock.advance(0);
	const states = (changes: MachineChange[] | undefined) =>
		changes?.map((change) => (change.type === "machine" ? change.machine.online : "removed"));
	for (const changes of seen) expect(states(changes)).toEqual([true, false, true, "removed"]);
	for (const each of watching) void each.close();
	expect(clock.pending).toBe(0);
	here.close();
	there.close();
	await tables.close();
});
