import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { startNode, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { namespacesMissing, reapDead } from "./namespaces.ts";

/** One machine in a network of its own, with the overlay on, whose coordinator listens wherever the system lets it. */
const prefix = "wown";
const name = `${prefix}${process.pid}-a`;
const missing = namespacesMissing(prefix) ?? (existsSync("/dev/net/tun") ? null : "no /dev/net/tun");
const patienceMs = 90_000;

beforeAll(() => {
	if (missing !== null) return;
	reapDead(prefix);
	for (const words of [
		["netns", "add", name],
		["-n", name, "link", "set", "lo", "up"],
	])
		expect(spawnSync("ip", words).status, words.join(" ")).toBe(0);
});
afterAll(() => {
	if (missing === null) spawnSync("ip", ["netns", "del", name]);
});

interface Status {
	readonly coordinator: string;
	readonly connected: boolean;
}

/** What the joiner says of itself, once it is so. */
function joined(data: string, holds: (status: Status) => boolean): Promise<Status> {
	return new Promise((resolve, reject) => {
		let last = "nothing";
		const file = join(data, "overlay", "status.json");
		const look = () => {
			if (!existsSync(file)) return;
			last = readFileSync(file, "utf8");
			const status = JSON.parse(last) as Status;
			if (!holds(status)) return;
			end();
			resolve(status);
		};
		const watcher = watch(data, { recursive: true }, look);
		const late = setTimeout(() => {
			end();
			reject(new Error(`not so within ${patienceMs} ms: ${last}`));
		}, patienceMs);
		const end = () => {
			clearTimeout(late);
			watcher.close();
		};
		look();
	});
}

it("joins its own coordinator, and follows it to another port", { timeout: 240_000 }, async (test) => {
	test.skip(missing !== null, missing ?? "");
	using home = tempFolder("own-coordinator");
	await using node = await startNode({
		command: ["up"],
		home: home.path,
		name: "atlas",
		through: ["ip", "netns", "exec", name],
		env: {
			...{ WARREN_EDGE: "1", WARREN_OVERLAY: "1", WARREN_SIDECAR_PORT: "0" },
			...{ WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0", WARREN_BACKBONE_PORT: "0", WARREN_OVERLAY_PORT: "0" },
		},
	});
	const first = await joined(node.data, ({ connected }) => connected);
	expect(first.coordinator).toMatch(/^https:\/\/localhost:[1-9]\d+\/?$/);
	const log = () => readFileSync(join(node.data, "logs", "warren.log"), "utf8");
	const [, edge] = /edge started as process (\d+)/.exec(log()) ?? [];
	process.kill(Number(edge), "SIGKILL");
	const second = await joined(
		node.data,
		({ coordinator, connected }) => connected && coordinator !== first.coordinator,
	);
	expect(second.coordinator).toMatch(/^https:\/\/localhost:[1-9]\d+\/?$/);
	expect(log()).not.toMatch(/https:\/\/localhost:0\b/);
});
