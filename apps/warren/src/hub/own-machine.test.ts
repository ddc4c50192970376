import type { MachineFacts } from "@warren/accounts";
import { machineLimits } from "@warren/accounts";
import { silentLogger } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { OwnMachine } from "./own-machine.ts";

describe("the hub's own machine", () => {
	it("is told anew within a heartbeat of a change, only then, and again when that failed", async () => {
		const clock = new VirtualClock();
		const told: string[][] = [];
		let hosts = ["192.168.1.5"];
		let fails = false;
		const machine = await OwnMachine.open(
			{
				clock,
				logger: silentLogger,
				register: async (facts: MachineFacts) => {
					if (fails) throw new Error("the disk is full");
					told.push([...facts.hosts]);
				},
			},
			() => ({ name: "atlas", hosts, port: 5151, version: "1" }),
		);
		await clock.advance(10 * machineLimits.heartbeatMs);
		expect(told).toEqual([["192.168.1.5"]]);
		hosts = ["192.168.1.5", "fd5a:1f00:0:1::1"];
		fails = true;
		await clock.advance(machineLimits.heartbeatMs);
		expect(told).toHaveLength(1);
		fails = false;
		await clock.advance(machineLimits.heartbeatMs);
		expect(told[1]).toEqual(hosts);
		await machine.close();
		hosts = [];
		await clock.advance(10 * machineLimits.heartbeatMs);
		expect(told).toHaveLength(2);
		expect(clock.pending).toBe(0);
	});
});
