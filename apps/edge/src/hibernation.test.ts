import { encodeUpdate } from "@warren/sync/protocol";
import { expect, it } from "vitest";
import * as Y from "yjs";
import { edit } from "./documents.contract.ts";
import { openEdge, WireClient } from "./edge.testing.ts";

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };
/** The runtime puts a room to sleep after ten quiet seconds, and tells nobody. */
const asleepMs = 25_000;

it("a room that slept goes on where it was: no first sync, counts and presence as before (S22)", patient, async () => {
	await using edge = await openEdge();
	const ada = await edge.owner();
	const opened = async () => (await edge.call("GET", "/~opened")).body as number;
	using writer = await new WireClient(edge, "sleepy", ada).sync();
	using reader = await new WireClient(edge, "sleepy", ada).sync();
	const doc = new Y.Doc();
	writer.send(encodeUpdate(edit("before ", doc)));
	await Promise.all([writer.until(() => writer.durable === 1), reader.until(() => reader.text === "before ")]);
	const before = await opened();
	const heard = reader.frames.length;
	await new Promise((resolve) => setTimeout(resolve, asleepMs));
	writer.send(encodeUpdate(edit("after", doc)));
	await Promise.all([writer.until(() => writer.durable === 2), reader.until(() => reader.text === "before after")]);
	expect(await opened(), "it came into memory anew").toBe(before + 1);
	expect(reader.frames.length, "nothing but the update was said").toBe(heard + 1);
});
