import type { Machine, MachineChange } from "@warren/accounts";
import type { Identity, UserId } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { MachineClaims } from "./machine-claims.ts";

const machine = (nodeId: string, ownerId: string, ...hosts: string[]) =>
	({ nodeId, ownerId, hosts }) as unknown as Machine;
const person = (userId: string, admin = false): Identity => ({
	kind: "user",
	userId: userId as UserId,
	name: userId,
	admin,
	expiresAt: 0,
});

async function claims(...machines: Machine[]) {
	let tell: (change: MachineChange) => void = () => {};
	const list = {
		list: async () => machines,
		watch: (watcher: typeof tell) => {
			tell = watcher;
			return { close: () => {} };
		},
	};
	return { all: await MachineClaims.open(list), tell: (change: MachineChange) => tell(change) };
}

describe("a URL in discovery", () => {
	it("may not name another person's machine: whoever follows it would send it a token", async () => {
		const { all } = await claims(machine("a", "ada", "10.0.0.1", "attic"), machine("b", "bob", "10.0.0.2"));
		const ada = all.claimOf(person("ada"));
		expect(ada(new URL("https://10.0.0.1:5151"))).toBeNull();
		expect(ada(new URL("https://ATTIC:5151"))).toBeNull();
		expect(ada(new URL("https://10.0.0.2:5151"))).toMatch(/somebody else/);
		expect(ada(new URL("https://notes.example"))).toBeNull();
	});

	it("may name an address that one's own machine shares with another's, and loopback", async () => {
		const { all } = await claims(machine("a", "ada", "192.0.2.1", "127.0.0.1"), machine("b", "bob", "192.0.2.1"));
		for (const url of ["https://192.0.2.1", "https://127.0.0.1:5151", "https://[::1]"])
			expect(all.claimOf(person("ada"))(new URL(url)), url).toBeNull();
		expect(all.claimOf(person("eve"))(new URL("https://192.0.2.1"))).toMatch(/somebody else/);
	});

	it("follows machines that join and leave; one of no owner is the administrators'", async () => {
		const { all, tell } = await claims(machine("hub", "", "10.0.0.9"));
		const url = new URL("https://10.0.0.9");
		expect([all.claimOf(person("ada", true))(url), all.claimOf(person("bob"))(url)]).toEqual([
			null,
			expect.stringContaining("somebody else"),
		]);
		tell({ type: "machine", machine: machine("hub", "bob", "10.0.0.9") });
		expect(all.claimOf(person("bob"))(url)).toBeNull();
		tell({ type: "machine-removed", nodeId: "hub" });
		expect(all.claimOf(person("eve"))(url)).toBeNull();
	});
});
