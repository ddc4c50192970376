import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { moveAddress, moveInterface } from "./moves.testing.ts";
import { missingForNamespaces, NetworkLab } from "./network-lab.testing.ts";

const missing = missingForNamespaces();

describe.each(["offload", "portable"] as const)("on the data plane %s", { timeout: 120_000 }, (plane) => {
	let net: NetworkLab;

	beforeEach((context) => {
		if (missing !== null) context.skip(true, missing);
		net = new NetworkLab();
	});
	afterEach(() => net?.close());

	it("an address that moves to another peer while it is talked to takes what follows along", async () => {
		const turn = (at: number) => ({ owners: [at], answered: 5, by: [at] });
		const { turns, flow } = await moveAddress(net, plane);
		expect(turns).toEqual([turn(1), turn(0), turn(1)]);
		// One or two were under way as it moved.
		expect(flow).toBeGreaterThanOrEqual(58);
	});

	it("an interface that is moved to another namespace goes on there, by the cable where it was made", async () => {
		expect(await moveInterface(net, plane)).toEqual([3, 3, 3, 0]);
	});
});
