import { HealthTable } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, test } from "vitest";
import { FreeSpace, freeBytes, freeSpaceLimits } from "./free-space.ts";

const megabyte = 1024 * 1024;

test("a disk that fills is told, as low and as full, and taken back with some distance", async () => {
	const clock = new VirtualClock();
	const health = new HealthTable(clock);
	let free: number | null = 500 * megabyte;
	const read = async () => {
		if (free === null) throw new Error("EIO");
		return free;
	};
	const watch = await new FreeSpace({ clock, health }, "/srv/warren", read).start();
	const told = () => health.list().map(({ code, title }) => `${code}: ${title}`);
	const at = async (bytes: number | null) => {
		free = bytes;
		await clock.advance(freeSpaceLimits.everyMs);
		return told();
	};
	expect(told()).toEqual([]);
	const low = (megabytes: number) => [`disk-low: ${megabytes} MB of disk space are left for /srv/warren.`];
	expect(await at(150 * megabyte)).toEqual(low(150));
	expect(await at(null)).toEqual(low(150));
	expect(await at(220 * megabyte)).toEqual(low(220));
	const full = (megabytes: number) => [`disk-full: The disk is full: ${megabytes} MB are left for /srv/warren.`];
	expect(await at(2 * megabyte)).toEqual(full(2));
	expect(await at(17 * megabyte)).toEqual(full(17));
	expect(await at(30 * megabyte)).toEqual(low(30));
	expect(await at(1000 * megabyte)).toEqual([]);
	watch.close();
	expect(clock.pending).toBe(0);
});

test("a look that is under way when it ends asks for no further one", async () => {
	const clock = new VirtualClock();
	const asked = Promise.withResolvers<number>();
	const watch = new FreeSpace({ clock, health: new HealthTable(clock) }, "/", () => asked.promise);
	const started = watch.start();
	watch.close();
	asked.resolve(0);
	await started;
	expect(clock.pending).toBe(0);
});

test("what is left is read from the system", async () => {
	expect(await freeBytes("/")).toBeGreaterThan(0);
	await expect(freeBytes("/proc/nowhere")).rejects.toMatchObject({ code: "ENOENT" });
});
