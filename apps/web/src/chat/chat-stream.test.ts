import { describe, expect, it } from "vitest";
import { ApiError } from "../api/exchange.ts";
import { chatEvents } from "./chat-stream.ts";

const body = { provider: "openai", model: "m", runId: "r", threadId: "t", messages: [], workspaces: false };
const line = (id: number, event: object) => `id: r:${id}\ndata: ${JSON.stringify(event)}\n\n`;

interface Sent {
	readonly lastId: string | null;
	readonly body: string;
}

/** Answers each request with the next of these: a status, or text in the given pieces (`cut` breaks off). */
function fakeFetch(answers: readonly (readonly string[] | number)[], sent: Sent[] = []) {
	let at = 0;
	return {
		sent,
		fetch: (async (_url: string, init: RequestInit) => {
			const headers = new Headers(init.headers);
			sent.push({ lastId: headers.get("last-event-id"), body: String(init.body) });
			const answer = answers[at++] ?? 404;
			if (typeof answer === "number") return Response.json({ error: "refused", message: "no" }, { status: answer });
			return new Response(
				new ReadableStream({
					start(controller) {
						for (const piece of answer) {
							if (piece === "cut") return controller.error(new TypeError("network error"));
							controller.enqueue(new TextEncoder().encode(piece));
						}
						controller.close();
					},
				}),
			);
		}) as unknown as typeof fetch,
	};
}

async function run(answers: readonly (readonly string[] | number)[]) {
	const { fetch, sent } = fakeFetch(answers);
	const waits: number[] = [];
	const events: string[] = [];
	const call = {
		fetch,
		headers: { authorization: "Bearer t" },
		signal: new AbortController().signal,
		wait: async (ms: number) => void waits.push(ms),
	};
	for await (const event of chatEvents(body, call)) events.push(event.delta ?? event.type);
	return { events, sent, waits };
}

describe("chatEvents", () => {
	it("reads events however they are cut into pieces, and passes comments over", async () => {
		const text = `: hi\n\n${line(1, { type: "RUN_STARTED" })}${line(2, { type: "C", delta: "größe" })}${line(3, { type: "RUN_FINISHED" })}`;
		expect((await run([[...text].map((each) => each)])).events).toEqual(["RUN_STARTED", "größe", "RUN_FINISHED"]);
	});

	it("takes a broken connection up after its last event, and stops at the end", async () => {
		const { events, sent, waits } = await run([
			[line(1, { type: "C", delta: "a" }), line(2, { type: "C", delta: "b" })],
			503,
			[line(3, { type: "RUN_FINISHED" })],
		]);
		expect(events).toEqual(["a", "b", "RUN_FINISHED"]);
		expect(sent.map((each) => each.lastId)).toEqual([null, "r:2", "r:2"]);
		expect(sent[1]?.body).toBe("{}");
		expect(waits.length).toBe(2);
	});

	it("throws what the hub refused, and gives up on a run that is lost", async () => {
		await expect(run([401])).rejects.toMatchObject({ status: 401, code: "refused" });
		await expect(run([[line(1, { type: "C", delta: "a" })], 404])).rejects.toBeInstanceOf(ApiError);
		await expect(run([[line(1, { type: "C" })], ...Array.from({ length: 20 }, () => 503)])).rejects.toMatchObject({
			code: "run_lost",
		});
	});
});
