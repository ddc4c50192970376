import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { SeededRandom, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { encodeStep2, encodeUpdate } from "./protocol/index.ts";
import { openTestHub } from "./relay.testing.ts";
import { WireClient } from "./wire-client.testing.ts";

async function startHub(folder: string): Promise<{ child: ChildProcess; wsUrl: string }> {
	const child = spawn(process.execPath, [`${import.meta.dirname}/crash-hub.testing.ts`, folder], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
	return { child, wsUrl: line.toString().trim() };
}

/** Updates in flight: the kill comes in the middle of some. */
const inFlight = 8;

describe("kill -9 at a random moment, compaction running (S4, S7)", () => {
	it("loses nothing that was acknowledged, and nothing that another client saw", { timeout: 180_000 }, async () => {
		using data = tempFolder("crash");
		const random = new SeededRandom(7);
		const doc = new Y.Doc();
		let written = 0;
		const acknowledged: number[] = [];
		const seen = new Set<string>();
		for (let round = 0; round < 5; round++) {
			const { child, wsUrl } = await startHub(data.path);
			const died = once(child, "exit");
			using writer = await new WireClient(wsUrl, "notes").sync();
			using reader = await new WireClient(wsUrl, "notes").sync();
			// What the last kill took with it is offered again, as every client does.
			writer.send(encodeStep2(Y.encodeStateAsUpdate(doc)));
			await writer.until(() => writer.durable === 1);
			const first = written;
			const send = (update: Uint8Array) => writer.send(encodeUpdate(update));
			doc.on("update", send);
			const killAt = 20 + random.integer(200);
			await writer.until(() => {
				for (; written - first < writer.durable - 1 + inFlight; written++) doc.getMap("m").set(`k${written}`, written);
				return writer.durable > killAt;
			});
			child.kill("SIGKILL");
			await died;
			doc.off("update", send);
			for (let key = 0; key < first + writer.durable - 1; key++) acknowledged.push(key);
			for (const key of reader.doc.getMap("m").keys()) seen.add(key);
			// Looked at before the next round offers everything again.
			await using hub = await openTestHub({ folder: data.path });
			const { m } = (await hub.history.json("notes")) as { m: Record<string, number> };
			expect(
				acknowledged.filter((key) => m[`k${key}`] !== key),
				`round ${round}`,
			).toEqual([]);
			expect(
				[...seen].filter((key) => m[key] === undefined),
				`round ${round}`,
			).toEqual([]);
		}
		expect(acknowledged.length).toBeGreaterThan(100);
		expect(seen.size).toBeGreaterThan(100);
	});
});
