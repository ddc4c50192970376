import { HealthTable, Lifetime, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { MemoryBus, MemoryKeyValue } from "@warren/store";
import { afterEach, beforeEach, expect, it } from "vitest";
import { agentKey } from "./node-lease.ts";
import { type OwnAgent, Registry } from "./registry.ts";

let lifetime: Lifetime;
let kv: MemoryKeyValue;
let own: OwnAgent[];
let registry: Registry;
const agent = (id: string): OwnAgent => ({ service: "web", agent: id, name: "", links: 1 });
const leased = async (id: string) => (await kv.get(agentKey({ node: "one", service: "web", agent: id }))) !== null;

beforeEach(async () => {
	lifetime = new Lifetime();
	kv = new MemoryKeyValue(systemClock, silentLogger);
	lifetime.defer(() => kv.close());
	const bus = new MemoryBus(silentLogger);
	lifetime.defer(() => bus.close());
	own = [];
	registry = new Registry(
		{
			...{ kv, bus, clock: systemClock, random: systemRandom, logger: silentLogger },
			health: new HealthTable(systemClock),
			own: () => own,
			ownOf: (service, id) => own.find((each) => each.service === service && each.agent === id),
			superseded: () => {},
		},
		"one",
		"http://127.0.0.1:1",
	);
	await registry.open();
	lifetime.own(registry);
});
afterEach(() => lifetime.close());

it("N2: of two agents that call themselves the same one leaves, and the other's lease stands", async () => {
	own = [agent("twin"), agent("twin")];
	for (const { service, agent } of own) registry.changed(service, agent);
	await expect.poll(() => leased("twin")).toBe(true);
	own = [agent("twin")];
	registry.changed("web", "twin");
	own.push(agent("later"));
	registry.changed("web", "later");
	await expect.poll(() => leased("later")).toBe(true);
	expect(await leased("twin")).toBe(true);
});

it("N2: an agent that leaves while its lease is on its way leaves none behind", async () => {
	const put = kv.put.bind(kv);
	const asked = Promise.withResolvers<void>();
	const held = Promise.withResolvers<void>();
	kv.put = async (...written) => {
		asked.resolve();
		await held.promise;
		return put(...written);
	};
	own = [agent("short")];
	registry.changed("web", "short");
	await asked.promise;
	own = [];
	registry.changed("web", "short");
	own = [agent("later")];
	registry.changed("web", "later");
	held.resolve();
	await expect.poll(() => leased("later")).toBe(true);
	expect(await leased("short")).toBe(false);
});
