import { silentLogger } from "@warren/kernel";
import type { HostedApp } from "@warren/overlay/joiner";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { LastingJoiner } from "./lasting-joiner.ts";

const app = (port: number): HostedApp => ({ uuid: "0191e7c2-1111-7222-8333-444455556666", host: "127.0.0.1", port });

/** Joiners that note what becomes of them. */
async function machine() {
	const clock = new VirtualClock();
	const log: string[] = [];
	const unfit: ((reason: string) => void)[] = [];
	let refusals = 0;
	let failsToClose = false;
	const { lasting } = await LastingJoiner.open(
		{
			...{ clock, random: new SeededRandom(1), logger: silentLogger },
			open: async (apps, onUnfit) => {
				if (refusals > 0) {
					refusals -= 1;
					log.push("refused");
					throw new Error("the host refuses");
				}
				const number = unfit.push(onUnfit);
				log.push(`open ${number} ${apps.map(({ port }) => port).join()}`);
				return {
					setApps: async (next) => void log.push(`apps ${number} ${next.map(({ port }) => port).join()}`),
					close: async () => {
						log.push(`close ${number}`);
						if (!failsToClose) return;
						failsToClose = false;
						throw new Error("the interface is busy");
					},
				};
			},
		},
		[app(1)],
	);
	return {
		clock,
		log,
		unfit,
		lasting,
		refuse: (times: number) => void (refusals = times),
		failToClose: () => void (failsToClose = true),
	};
}

describe("a joiner whose device can serve no longer", () => {
	it("is closed, and opened anew with the apps that it has now", async () => {
		const { log, unfit, lasting } = await machine();
		await lasting.setApps([app(2)]);
		unfit[0]?.("the clock went back");
		await lasting.setApps([app(3)]);
		expect(log).toEqual(["open 1 1", "apps 1 2", "close 1", "open 2 2", "apps 2 3"]);
		await lasting.close();
		expect(log.at(-1)).toBe("close 2");
	});

	it("is opened anew also when that is said while the first one is still being opened", async () => {
		const log: string[] = [];
		const { lasting } = await LastingJoiner.open(
			{
				...{ clock: new VirtualClock(), random: new SeededRandom(1), logger: silentLogger },
				open: async (_apps, onUnfit) => {
					const number = log.push("open");
					if (number === 1) onUnfit("the clock went back");
					await new Promise((resolve) => setImmediate(resolve));
					return { setApps: async () => {}, close: async () => void log.push(`close ${number}`) };
				},
			},
			[],
		);
		await lasting.setApps([]);
		expect(log).toEqual(["open", "close 1", "open"]);
		await lasting.close();
	});

	it("is opened anew though the one before could not be closed", async () => {
		const { log, unfit, lasting, failToClose } = await machine();
		failToClose();
		unfit[0]?.("the clock went back");
		await lasting.setApps([]);
		expect(log).toEqual(["open 1 1", "close 1", "open 2 1", "apps 2 "]);
		await lasting.close();
	});

	it("is opened once, however often that is said, and not for what an earlier one says", async () => {
		const { log, unfit, lasting } = await machine();
		for (let time = 0; time < 3; time++) unfit[0]?.("the clock went back");
		await lasting.setApps([]);
		unfit[0]?.("late");
		await lasting.setApps([]);
		expect(log.filter((line) => line.startsWith("open"))).toEqual(["open 1 1", "open 2 1"]);
		await lasting.close();
	});

	it("is opened anew ever later while each one dies soon, and at once after one that lasted", async () => {
		const { clock, log, unfit, lasting } = await machine();
		unfit[0]?.("the thread died");
		await lasting.setApps([]);
		unfit[1]?.("the thread died");
		await lasting.setApps([]);
		expect(log).toEqual(["open 1 1", "close 1", "open 2 1", "apps 2 ", "close 2"]);
		await clock.advance(1_000);
		expect(log.slice(5)).toEqual(["open 3 "]);
		await clock.advance(60_000);
		unfit[2]?.("somebody removed the interface");
		await lasting.setApps([]);
		expect(log.slice(6)).toEqual(["close 3", "open 4 ", "apps 4 "]);
		await lasting.close();
	});

	it("is opened anew when its coordinator is elsewhere; between two joiners the next one is told by itself", async () => {
		const { log, unfit, lasting, refuse } = await machine();
		await lasting.reopen("its coordinator is elsewhere now");
		expect(log).toEqual(["open 1 1", "close 1", "open 2 1"]);
		refuse(1);
		unfit[1]?.("the clock went back");
		await lasting.reopen("its coordinator is elsewhere now");
		expect(log.slice(3)).toEqual(["close 2", "refused"]);
		await lasting.close();
	});

	it("is tried again, ever later, until it opens; apps that change meanwhile are the next one's", async () => {
		const { clock, log, unfit, lasting, refuse } = await machine();
		refuse(3);
		unfit[0]?.("the clock went back");
		await lasting.setApps([app(4)]);
		expect(log).toEqual(["open 1 1", "close 1", "refused"]);
		await clock.advance(120_000);
		expect(log.slice(3)).toEqual(["refused", "refused", "open 2 4"]);
		expect(clock.pending).toBe(0);
		await lasting.close();
	});

	it("is not opened any more once it was closed", async () => {
		const { clock, log, unfit, lasting, refuse } = await machine();
		refuse(1);
		unfit[0]?.("the clock went back");
		await lasting.setApps([]);
		await lasting.close();
		unfit[0]?.("late");
		await clock.advance(300_000);
		expect(log).toEqual(["open 1 1", "close 1", "refused"]);
		expect(clock.pending).toBe(0);
	});
});
