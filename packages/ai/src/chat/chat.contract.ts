import { fetchServerSentEvents } from "@tanstack/ai-client";
import type { WarrenError } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { ada, bob, realKey, type TestAi, type TestAiHubs } from "../ai.testing.ts";
import { providerOf } from "../providers/provider-path.ts";
import { ChatRun, runLimits } from "./chat-run.ts";
import { ChatRuns } from "./chat-runs.ts";
import { runErrorOf } from "./run-errors.ts";

const text = "Hello from the fake.";
const providers = ["anthropic", "openai", "google", "groq", "mistral", "xai", "deepseek", "openrouter", "ollama"];
const asked = (provider: string, model = "m", more: object = {}) => ({
	provider,
	model,
	messages: [{ role: "user", content: "hi" }],
	...more,
});

interface Event {
	readonly type: string;
	readonly delta?: string;
	readonly code?: string;
	readonly message?: string;
	readonly toolCallName?: string;
	readonly retryable?: boolean;
}

/** Events of an answer's text, with their ids. */
function eventsOf(answer: string): { id: string; event: Event }[] {
	return answer
		.split("\n\n")
		.filter((each) => each.startsWith("id: "))
		.map((each) => {
			const [id = "", data = ""] = each.split("\n");
			return { id: id.slice(4), event: JSON.parse(data.slice(6)) as Event };
		});
}

const said = (answer: string) =>
	eventsOf(answer)
		.map(({ event }) => (event.type === "TEXT_MESSAGE_CONTENT" ? (event.delta ?? "") : ""))
		.join("");
const last = (answer: string) => eventsOf(answer).at(-1)?.event;

function open(hub: TestAi, body: object, init: RequestInit = {}): Promise<Response> {
	return fetch(`${hub.origin}/ai/chat`, {
		method: "POST",
		body: JSON.stringify(body),
		...init,
		headers: { authorization: `Bearer ${ada}`, "content-type": "application/json", ...init.headers },
	});
}

/** Reads until the text holds what is wanted, then leaves the rest. */
async function readUntil(response: Response, wanted: RegExp): Promise<string> {
	const reader = (response.body as ReadableStream<Uint8Array>).getReader();
	let seen = "";
	while (!wanted.test(seen)) {
		const { done, value } = await reader.read();
		if (done) break;
		seen += Buffer.from(value).toString();
	}
	await reader.cancel();
	return seen;
}

/** The chat, over real HTTP. */
export function chatSuite(hubs: TestAiHubs): void {
	/** Where tools run: functions reach no other runtime. */
	const hubTools = () => {
		it.each(["anthropic", "openai", "google", "groq", "ollama"])(
			"runs the hub's tools in the person's name where the chat says so, and goes on with what they gave: %s",
			async (provider) => {
				const calls: unknown[] = [];
				const done = /tool_result|"role":"tool"|function_call_output|functionResponse/;
				const tool = { name: "notes_create", input: { title: "buy milk" } };
				await using hub = await hubs.open({
					fake: { say: (request) => (done.test(request.body.toString()) ? {} : { tool }) },
					tools: async (who) => [
						{
							name: "notes_create",
							description: "Adds a row",
							input: { type: "object", properties: { title: { type: "string" } }, required: ["title"] },
							run: async (input) => {
								calls.push([who.userId, input]);
								return { id: "row-1" };
							},
						},
					],
				});
				const { body } = await hub.call("POST", "/ai/chat", asked(provider, "m", { workspaces: true }));
				expect(calls).toEqual([["ada", { title: "buy milk" }]]);
				expect(said(body)).toBe(text);
				expect(last(body)?.type).toBe("RUN_FINISHED");
				expect(eventsOf(body).filter(({ event }) => event.type === "RUN_FINISHED")).toHaveLength(1);
				const posts = hub.fake.requests.filter((request) => request.method === "POST");
				expect(posts).toHaveLength(2);
				expect(JSON.stringify(posts[1]?.json)).toContain("row-1");
				const { body: usage } = await hub.call("GET", "/me/usage");
				expect(usage.usage[0].outputTokens, "both turns count").toBeGreaterThan(5);
				calls.length = 0;
				await hub.call("POST", "/ai/chat", asked(provider, "m"));
				expect(calls, "nothing of it unless the chat says so").toEqual([]);
			},
		);

		it("a tool that fails, says too much or never ends its calls costs the answer nothing but that", async () => {
			const result: { now: () => unknown } = {
				now: () => {
					throw new Error("at /secret/path");
				},
			};
			let always = false;
			await using hub = await hubs.open({
				fake: {
					say: (request) =>
						!always && /tool_result/.test(request.body.toString()) ? {} : { tool: { name: "look", input: {} } },
				},
				tools: async () => [
					{ name: "look", description: "", input: { type: "object" }, run: async () => result.now() },
					{ name: "x".repeat(65), description: "", input: { type: "object" }, run: async () => null },
				],
			});
			const ask = async () => {
				const { body } = await hub.call("POST", "/ai/chat", asked("anthropic", "m", { workspaces: true }));
				return { last: last(body), upstream: JSON.stringify(hub.fake.requests.at(-1)?.json) };
			};
			const failed = await ask();
			expect(failed.last?.type).toBe("RUN_FINISHED");
			expect(failed.upstream).toContain("The tool failed.");
			expect(failed.upstream).not.toMatch(/secret|xxxxx/);
			result.now = () => "y".repeat(65 * 1024);
			expect((await ask()).upstream).toContain("ask for less of it");
			always = true;
			result.now = () => 1;
			const before = hub.fake.requests.length;
			expect((await ask()).last?.type).toBe("RUN_FINISHED");
			expect(hub.fake.requests.length - before).toBe(8);
		});
	};

	describe("POST /ai/chat", () => {
		it.each(providers)("streams an answer of %s", async (provider) => {
			await using hub = await hubs.open();
			const { status, body, headers } = await hub.call(
				"POST",
				"/ai/chat",
				asked(provider, "some-model", { system: "Be brief." }),
			);
			expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
			expect(said(body)).toBe(text);
			expect(last(body)?.type).toBe("RUN_FINISHED");
			const seen = hub.fake.requests.find((request) => request.method === "POST");
			expect(JSON.stringify(seen?.json)).toContain("Be brief.");
			const { body: usage } = await hub.call("GET", "/me/usage");
			expect(usage.usage[0]).toMatchObject({
				provider,
				model: "some-model",
				requests: 1,
				outputTokens: 5,
				estimated: 0,
			});
			expect(usage.usage[0].inputTokens).toBeGreaterThanOrEqual(11);
		});

		it("is what TanStack AI's own client expects, and resumes by itself after a drop", async () => {
			await using hub = await hubs.open();
			let cut = true;
			const connection = fetchServerSentEvents(`${hub.origin}/ai/chat`, {
				headers: { authorization: `Bearer ${ada}` },
				fetchClient: async (url, init) => {
					const response = await fetch(url, init);
					if (!cut) return response;
					cut = false;
					const reader = (response.body as ReadableStream<Uint8Array>).getReader();
					const half = new ReadableStream<Uint8Array>({
						async pull(controller) {
							const { value } = await reader.read();
							if (value !== undefined && !Buffer.from(value).includes("TEXT_MESSAGE_CONTENT"))
								controller.enqueue(value);
							else {
								await reader.cancel();
								if (value !== undefined) controller.enqueue(value);
								controller.close();
								hub.fake.release();
							}
						},
					});
					return new Response(half, { status: response.status, headers: response.headers });
				},
				reconnect: { delay: 1 } as never,
			});
			const messages = [{ id: "1", role: "user", parts: [{ type: "text", content: "hi" }] }];
			let whole = "";
			const types: string[] = [];
			const runContext = { threadId: "t1", runId: "run-1" };
			for await (const event of connection.connect(
				messages as never,
				{ provider: "groq", model: "fault-slow" },
				undefined,
				runContext as never,
			)) {
				types.push(event.type);
				if (event.type === "TEXT_MESSAGE_CONTENT") whole += (event as Event).delta;
			}
			expect(whole).toBe(text);
			expect(types.at(-1)).toBe("RUN_FINISHED");
			expect(
				types.filter((type) => type === "RUN_STARTED"),
				"nothing twice",
			).toHaveLength(1);
			expect(hub.fake.requests, "and the provider was asked once").toHaveLength(1);
		});

		it("lets the client's tools be called, and goes on with their result", async () => {
			const tool = { name: "weather", input: { city: "Oslo" } };
			await using hub = await hubs.open({
				fake: {
					say: (request) =>
						/tool_result|"role":"tool"|function_call_output/.test(request.body.toString()) ? {} : { tool },
				},
			});
			const tools = [
				{
					name: "weather",
					description: "The weather",
					parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
				},
			];
			const first = await hub.call("POST", "/ai/chat", asked("anthropic", "m", { tools }));
			const call = eventsOf(first.body).find(({ event }) => event.type === "TOOL_CALL_START")?.event;
			expect(call?.toolCallName).toBe("weather");
			const messages = [
				{ id: "1", role: "user", content: "hi" },
				{
					id: "2",
					role: "assistant",
					content: "",
					toolCalls: [{ id: "toolu_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } }],
				},
				{ id: "3", role: "tool", toolCallId: "toolu_1", content: "rain" },
			];
			const second = await hub.call("POST", "/ai/chat", { ...asked("anthropic", "m", { tools }), messages });
			expect(said(second.body)).toBe(text);
			expect(JSON.stringify(hub.fake.requests.at(-1)?.json)).toContain("rain");
		});

		if (!hubs.remote) hubTools();

		it("takes a person's own key from the header for this request, and never the hub's with it", async () => {
			await using hub = await hubs.open({ noKeys: true });
			const refused = await hub.call("POST", "/ai/chat", asked("openai"));
			expect([refused.status, refused.body.error]).toEqual([401, "no_provider_key"]);
			expect(refused.body.message).toContain("OPENAI_API_KEY");
			const own = { "x-provider-api-key": "sk-of-ada" };
			const { body } = await hub.call("POST", "/ai/chat", asked("openai"), own);
			expect(said(body)).toBe(text);
			expect(hub.fake.requests[0]?.headers.authorization).toBe("Bearer sk-of-ada");
			expect(body).not.toContain("sk-of-ada");
		});

		it("says what is wrong with a body, a provider, a model, a run", async () => {
			await using hub = await hubs.open();
			const bad: [unknown, number, string][] = [
				["{", 400, "bad_chat"],
				[[], 400, "bad_chat"],
				[{ ...asked("openai"), messages: [] }, 400, "bad_chat"],
				[{ ...asked("openai"), messages: "hi" }, 400, "bad_chat"],
				[{ provider: "openai", messages: [{ role: "user", content: "hi" }] }, 400, "bad_chat"],
				[asked("openai", "../../admin"), 400, "bad_chat"],
				[asked("acme"), 404, "unknown_provider"],
				[asked("openai", "m", { runId: "a b" }), 400, "bad_chat"],
			];
			for (const [body, status, error] of bad) {
				const answer = await hub.call("POST", "/ai/chat", body);
				expect([JSON.stringify(body), answer.status, answer.body.error]).toEqual([JSON.stringify(body), status, error]);
			}
			expect(hub.fake.requests).toHaveLength(0);
		});
	});

	describe("a run's errors", () => {
		it("are our own words with a code, whatever the provider wrote, and never a session's 401", async () => {
			await using hub = await hubs.open();
			const faults: [string, string, boolean][] = [
				["fault-401", "provider_refused_key", false],
				["fault-429", "provider_rate_limited", true],
				["fault-500", "provider_failed", true],
			];
			for (const provider of ["openai", "anthropic", "groq", "google"])
				for (const [model, code, retryable] of faults) {
					const { status, body } = await hub.call("POST", "/ai/chat", asked(provider, model));
					expect(status, provider).toBe(200);
					expect([provider, model, last(body)]).toMatchObject([
						provider,
						model,
						{ type: "RUN_ERROR", code, retryable },
					]);
					expect(body).not.toContain(realKey);
					expect(body).not.toMatch(/Incorrect API key|the fake is broken/);
				}
		});

		it("know Ollama's words for a model that was not pulled", () => {
			const error = runErrorOf(providerOf("ollama"), "model 'acme' not found", "http://localhost:11434");
			expect(error).toEqual({ code: "unknown_model", message: "Ollama does not have this model.", retryable: false });
		});

		it("tell a stream that broke off", async () => {
			await using hub = await hubs.open();
			for (const provider of ["openai", "anthropic", "groq"]) {
				const { body } = await hub.call("POST", "/ai/chat", asked(provider, "fault-die"));
				expect([provider, last(body)]).toMatchObject([provider, { type: "RUN_ERROR", retryable: true }]);
			}
		});

		it("Ollama not reachable from hub: the original's words, and a cloud provider still works", async () => {
			await using hub = await hubs.open({ options: { ollamaHost: "http://127.0.0.1:9" } });
			const { body } = await hub.call("POST", "/ai/chat", asked("ollama"));
			expect(last(body)).toMatchObject({
				code: "ollama_unreachable",
				message: "Cannot reach Ollama at http://127.0.0.1:9. Is it running?",
			});
			expect(said((await hub.call("POST", "/ai/chat", asked("openai"))).body)).toBe(text);
		});

		it("Ollama not configured: explicitly empty, by environment or by an administrator", async () => {
			await using hub = await hubs.open({ options: { ollamaHost: "" } });
			const message = "Ollama is not configured on this server";
			expect(last((await hub.call("POST", "/ai/chat", asked("ollama"))).body)).toMatchObject({ message });
			const set = (host: string | null) => hub.call("PUT", "/api/settings/ollama-host", { host });
			expect((await set(hub.fake.origin)).status).toBe(200);
			expect(said((await hub.call("POST", "/ai/chat", asked("ollama"))).body)).toBe(text);
			await set(null);
			expect(last((await hub.call("POST", "/ai/chat", asked("ollama"))).body)).toMatchObject({ message });
		});

		it("Cloud hub with no Ollama: the original's words", async () => {
			await using hub = await hubs.open({ options: { cloud: true } });
			expect(last((await hub.call("POST", "/ai/chat", asked("ollama"))).body)).toMatchObject({
				code: "ollama_in_cloud",
				message: "Ollama is not available on Warren Cloud. Use a cloud provider or switch to a self-hosted server.",
			});
		});
	});

	describe("cancel and resume", () => {
		it("a cancel stops the provider and ends the run for every reader", async () => {
			await using hub = await hubs.open();
			const response = await open(hub, asked("openai", "fault-slow", { runId: "r1" }));
			expect(response.headers.get("x-run-id")).toBe("r1");
			await vi.waitFor(() => expect(hub.fake.open()).toBe(1), { timeout: 30_000 });
			const closed = hub.fake.nextAbandoned();
			expect((await hub.call("DELETE", "/ai/chat/r1", undefined, { authorization: `Bearer ${bob}` })).status).toBe(404);
			expect((await hub.call("DELETE", "/ai/chat/r1")).status).toBe(204);
			await closed;
			expect(last(await response.text())).toMatchObject({ type: "RUN_ERROR", code: "cancelled" });
		});

		it("a cancel before the first word is counted by what the provider was sent", async () => {
			await using hub = await hubs.open();
			const response = await open(hub, asked("openai", "fault-hang", { runId: "r1" }));
			await vi.waitFor(() => expect(hub.fake.requests).toHaveLength(1), { timeout: 30_000 });
			expect((await hub.call("DELETE", "/ai/chat/r1")).status).toBe(204);
			expect(last(await response.text())).toMatchObject({ type: "RUN_ERROR", code: "cancelled" });
			const usage = async () => (await hub.call("GET", "/me/usage")).body.usage[0];
			await vi.waitFor(async () => expect(await usage()).toMatchObject({ requests: 1, failures: 0, estimated: 1 }), {
				timeout: 30_000,
			});
			expect((await usage()).inputTokens).toBeGreaterThan(0);
		});

		it("a reader who was cut off reads on after its last event, once, and nobody else may", async () => {
			await using hub = await hubs.open();
			const response = await open(hub, asked("openai", "fault-slow", { runId: "r1" }));
			const seen = await readUntil(response, /RUN_STARTED[^]*\n\n/);
			const first = eventsOf(seen);
			hub.fake.release();
			const resumed = await open(hub, {}, { headers: { "last-event-id": first.at(-1)?.id ?? "" } });
			const rest = await resumed.text();
			const ids = [...first, ...eventsOf(rest)].map(({ id }) => id);
			expect(ids).toEqual(ids.map((_id, index) => `r1:${index + 1}`));
			expect(last(rest)?.type).toBe("RUN_FINISHED");
			const whole = await hub.call("GET", "/ai/chat?runId=r1&offset=-1");
			expect(said(whole.body)).toBe(text);
			const other = await hub.call("GET", "/ai/chat?runId=r1&offset=-1", undefined, { authorization: `Bearer ${bob}` });
			expect([other.status, other.body.error]).toEqual([404, "unknown_run"]);
			expect((await hub.call("GET", "/ai/chat?runId=r1&offset=nonsense")).body.error).toBe("bad_chat");
			expect((await hub.call("POST", "/ai/chat", asked("openai", "m", { runId: "r1" }))).body.error).toBe("bad_chat");
		});

		it("a run that nobody listens to any more is stopped after its grace, not before", async (context) => {
			context.skip(hubs.remote, "its clock is in another process");
			const clock = new VirtualClock();
			await using hub = await hubs.open({ clock });
			const response = await open(hub, asked("openai", "fault-slow"));
			await readUntil(response, /RUN_STARTED/);
			await vi.waitFor(() => expect(hub.fake.open()).toBe(1), { timeout: 30_000 });
			// The server's side of the cut arrives on its own time; the clock turns only after it.
			const closed = hub.fake.nextAbandoned();
			await vi.waitFor(
				async () => {
					await clock.advance(runLimits.graceMs);
					expect(hub.fake.open()).toBe(0);
				},
				{ timeout: 30_000 },
			);
			await closed;
		});
	});

	describe("a run's memory", () => {
		const never = new AbortController().signal;

		it("is bounded: what goes beyond is not taken, and the end still is", async () => {
			const run = new ChatRun({ id: "r", user: "u" }, new VirtualClock(), new AbortController());
			const event = { type: "TEXT_MESSAGE_CONTENT", delta: "x".repeat(1024 * 1024) };
			const taken = Array.from({ length: 10 }, () => run.append(event));
			expect(taken.filter(Boolean)).toHaveLength(Math.floor(runLimits.maxRunBytes / JSON.stringify(event).length));
			run.end({ type: "RUN_ERROR", code: "answer_too_long" });
			let all = "";
			for await (const part of run.read(0, never)) all += part;
			expect(last(all)?.code).toBe("answer_too_long");
		});

		it("is bounded over all that ended: those that ended longest ago go first, the others after their time", async () => {
			const clock = new VirtualClock();
			const runs = new ChatRuns(clock);
			const event = { type: "TEXT_MESSAGE_CONTENT", delta: "x".repeat(runLimits.maxRunBytes - 100) };
			const fitting = Math.floor(runLimits.maxEndedBytes / JSON.stringify(event).length);
			const going = runs.begin("u", "going", new AbortController());
			const ids = Array.from({ length: fitting + 2 }, (_none, index) => `r${index}`);
			for (const id of ids) {
				const run = runs.begin("u", id, new AbortController());
				expect(run.append(event)).toBe(true);
				run.end(null);
				runs.ended(run);
			}
			const kept = () => ids.filter((id) => Object.is(found(id), id));
			const found = (id: string) => {
				try {
					return runs.get("u", id).id;
				} catch (refusal) {
					return (refusal as WarrenError).code;
				}
			};
			expect(kept()).toEqual(ids.slice(2));
			await clock.advance(runLimits.keptMs);
			expect(kept()).toEqual([]);
			expect(runs.get("u", "going")).toBe(going);
			expect(clock.pending).toBe(0);
		});

		it("keeps a silent connection alive with comments", async () => {
			const clock = new VirtualClock();
			const run = new ChatRun({ id: "r", user: "u" }, clock, new AbortController());
			const reading = run.read(0, never);
			const next = reading.next();
			await clock.advance(runLimits.heartbeatMs);
			expect((await next).value).toMatch(/^: /);
			await reading.return(undefined);
		});
	});
}
