import { readFileSync, watch } from "node:fs";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";

// Several processes a test, which a busy machine starts one after another.
vi.setConfig({ testTimeout: 180_000 });

interface Console {
	readonly pid: number;
	readonly port: number;
}

/** Null where there is none: it may go between two looks. */
function consoleOf(node: StartedNode): Console | null {
	try {
		return JSON.parse(readFileSync(`${node.data}/console.json`, "utf8")) as Console;
	} catch (fault) {
		if ((fault as NodeJS.ErrnoException).code === "ENOENT") return null;
		throw fault;
	}
}

/** Resolves when the node's socket is cut; it was open before. */
async function cut(node: StartedNode): Promise<{ readonly gone: Promise<void> }> {
	const dialled = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
		headers: { authorization: node.authorization },
		tls: { ca: node.ca },
	});
	if (!dialled.ok) throw new Error(dialled.message);
	return { gone: new Promise((resolve) => dialled.connection.onClose(() => resolve())) };
}

describe("a supervised machine", () => {
	it("comes back on the same port when its process is killed, and says so in its log, which has no secret", async () => {
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		const before = consoleOf(node) as Console;
		expect(before.pid).not.toBe(node.pid);
		const socket = await cut(node);
		process.kill(before.pid, "SIGKILL");
		await socket.gone;
		await consoleShows(node, (file) => file !== null && file.pid !== before.pid);
		expect(consoleOf(node)?.port).toBe(before.port);
		const status = (await (await node.fetch("/api/status")).json()) as { process: { pid: number } };
		expect(status.process.pid).toBe(consoleOf(node)?.pid);
		const log = readFileSync(`${node.data}/logs/warren.log`, "utf8");
		expect(log).toContain("private it ended by SIGKILL");
		expect(log).not.toContain(node.pin);
		expect(await node.stop()).toBe(0);
	});

	it("ends with what its process said when that cannot start at all", async () => {
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		await expect(startNode({ command: ["up"], home: node.home })).rejects.toThrow(/is in use by process \d+/);
	});

	it("takes its processes with it when it is killed", async () => {
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		const socket = await cut(node);
		process.kill(node.pid, "SIGKILL");
		await socket.gone;
		await consoleShows(node, (file) => file === null);
	});
});

/** Resolves when the file by which commands find the node shows what is asked, null being its absence. */
function consoleShows(node: StartedNode, holds: (file: Console | null) => boolean): Promise<void> {
	return new Promise((resolve) => {
		const look = () => {
			if (!holds(consoleOf(node))) return;
			watcher.close();
			resolve();
		};
		const watcher = watch(node.data, look);
		look();
	});
}
