import { describe, expect, it, vi } from "vitest";
import * as Y from "yjs";
import { Conversation, toModelMessages } from "./conversation.ts";

describe("a conversation", () => {
	it("is the same on another device, the answer as it grows included", () => {
		vi.useFakeTimers();
		try {
			const [here, there] = [new Y.Doc(), new Y.Doc()];
			here.on("update", (update: Uint8Array) => Y.applyUpdate(there, update));
			const chat = new Conversation(here);
			chat.choose({ provider: "openai", model: "m" });
			chat.ask("hi", [], 1);
			const answer = chat.beginAnswer("m", 2);
			answer.write("Hel");
			answer.write("lo");
			vi.runAllTimers();
			const seen = new Conversation(there);
			expect(seen.messages().map(({ role, text, state }) => [role, text, state])).toEqual([
				["user", "hi", "done"],
				["assistant", "Hello", "streaming"],
			]);
			answer.used("home_notes_list");
			expect(seen.messages().at(-1)?.tools).toEqual(["home_notes_list"]);
			answer.write("!");
			answer.end("stopped");
			expect(seen.messages().at(-1)).toMatchObject({ text: "Hello!", state: "stopped", model: "m" });
			expect(seen.choice).toEqual({ provider: "openai", model: "m" });
			chat.dropLastAnswer();
			chat.dropLastAnswer();
			expect(seen.messages()).toHaveLength(1);
		} finally {
			vi.useRealTimers();
		}
	});

	it("is what of it is a conversation, whatever somebody who shares it wrote into it", () => {
		const doc = new Y.Doc();
		const chat = new Conversation(doc);
		const list = doc.getArray<unknown>("chatMessages");
		const message = (facts: Record<string, unknown>) => new Y.Map(Object.entries(facts));
		chat.ask("hi", [{ name: "a.txt", type: "text/plain", content: "body" }], 1);
		list.push(["text", 7, null, { role: "user" }, new Y.Array(), new Y.Text("no message")]);
		list.push([message({ text: "no text", attachments: { length: 3 }, tools: "no list", createdAt: "x", state: {} })]);
		list.push([message({ attachments: [null, 7, { name: {}, type: 1 }], tools: [{}, "notes"], role: "assistant" })]);
		doc.getMap("chat").set("provider", {});
		doc.getMap("chat").set("model", 7);
		expect(chat.choice).toBeNull();
		const messages = chat.messages();
		expect(messages.map(({ text, attachments, tools }) => [text, attachments.length, tools])).toEqual([
			["hi", 1, []],
			["", 0, []],
			["", 0, ["notes"]],
		]);
		expect(toModelMessages(messages)).toHaveLength(1);
		chat.dropLastAnswer();
		list.push([null]);
		chat.dropLastAnswer();
		expect(chat.messages()).toHaveLength(2);
	});

	it("gives the model text files as text and images as images, and no empty message", () => {
		const chat = new Conversation(new Y.Doc());
		chat.ask("look", [{ name: "a.txt", type: "text/plain", content: "body" }], 1);
		chat.ask("", [{ name: "p.png", type: "image/png", content: "AAAA" }], 2);
		chat.beginAnswer("m", 3).end("failed", "no");
		const [first, second, ...rest] = toModelMessages(chat.messages()) as { content: unknown }[];
		expect(first?.content).toContain("a.txt:\n\n```\nbody\n```");
		expect(second?.content).toEqual([
			{ type: "text", content: "" },
			{ type: "image", source: { type: "data", value: "AAAA", mimeType: "image/png" } },
		]);
		expect(rest).toEqual([]);
	});
});
