import type { UserId } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { applyUpdate, Doc, encodeStateAsUpdate } from "yjs";
import { syncDocumentHost } from "./document-host.ts";
import { workspacesOver } from "./workspaces.ts";

const who = { kind: "user", userId: "ada" as UserId, name: "Ada", admin: false, expiresAt: 9e15 } as never;

/** One document, whose updates and touches are counted. */
function documentOf(doc: Doc) {
	const insert = vi.fn(async (_room: string, update: Uint8Array) => applyUpdate(doc, update));
	const touch = vi.fn(async () => {});
	const record = { id: "workspace-1", title: "W", owner: "ada", access: "owner", createdAt: 0, updatedAt: 0 };
	const parts = {
		relay: { insert },
		documents: { get: async () => record, touch },
		history: { update: async () => encodeStateAsUpdate(doc) },
	};
	return { parts: parts as never as Parameters<typeof workspacesOver>[0], insert, touch };
}
const deps = { clock: new VirtualClock(), random: new SeededRandom(1) };

describe("a workspace's document", () => {
	it("is written with what changed, what was removed too", async () => {
		const doc = new Doc();
		doc.getMap("m").set("gone", 1);
		const { parts, insert, touch } = documentOf(doc);
		const open = await syncDocumentHost({ ...parts, ...deps }).open(who, "workspace-1");
		open.doc.getMap("m").delete("gone");
		await open.flush();
		await open.flush();
		expect([insert.mock.calls.length, touch.mock.calls.length, doc.getMap("m").size]).toEqual([1, 1, 0]);
		open.close();
	});

	it("is as it was, and as old, after an action that only asks", async () => {
		const doc = new Doc();
		doc.getMap("schema").set("books", { columns: { title: { type: "text" } } });
		const { parts, insert, touch } = documentOf(doc);
		const route = workspacesOver(parts, deps, { owner: "hub", credentials: ["session"] }).find(
			({ path }) => path === "/workspaces/:workspace/actions/:action",
		) as { handle(context: unknown): Promise<Response> } | undefined;
		const run = async (action: string, input: unknown) => {
			const params = { workspace: "workspace-1", action };
			const context = { identity: who, params, query: new URLSearchParams(), json: async () => input };
			return (await route?.handle(context))?.json();
		};
		expect(await run("books_list", {})).toMatchObject({ result: { total: 0 } });
		expect([insert.mock.calls.length, touch.mock.calls.length]).toEqual([0, 0]);
		await run("books_create", { title: "t" });
		expect([insert.mock.calls.length, touch.mock.calls.length]).toEqual([1, 1]);
		expect(await run("books_list", {})).toMatchObject({ result: { total: 1 } });
		expect(touch).toHaveBeenCalledTimes(1);
	});
});
