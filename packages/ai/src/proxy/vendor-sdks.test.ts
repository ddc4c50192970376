import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ada, realKey, TestAi } from "../ai.testing.ts";

/** The vendors' own clients, with a session's token as their key and nothing else changed but the base address. */
Reflect.set(globalThis, "AI_SDK_LOG_WARNINGS", false);
let hub: TestAi;
const messages = [{ role: "user" as const, content: "hi" }];
const text = "Hello from the fake.";

beforeAll(async () => {
	hub = await TestAi.open();
});
afterAll(() => hub[Symbol.asyncDispose]());

describe("openai", () => {
	const client = () => new OpenAI({ apiKey: ada, baseURL: hub.proxy("openai", "/v1"), maxRetries: 0 });

	it("chat completions, whole and streamed", async () => {
		const whole = await client().chat.completions.create({ model: "m", messages });
		expect(whole.choices[0]?.message.content).toBe(text);
		const stream = await client().chat.completions.create({ model: "m", messages, stream: true });
		let streamed = "";
		for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? "";
		expect(streamed).toBe(text);
		expect(hub.fake.requests.at(-1)?.headers.authorization).toBe(`Bearer ${realKey}`);
	});

	it("responses, whole and streamed", async () => {
		expect((await client().responses.create({ model: "m", input: "hi" })).output_text).toBe(text);
		let streamed = "";
		for await (const event of await client().responses.create({ model: "m", input: "hi", stream: true }))
			if (event.type === "response.output_text.delta") streamed += event.delta;
		expect(streamed).toBe(text);
	});

	it("sees the provider's errors as the provider's own, and its client's retries work", async () => {
		await expect(client().chat.completions.create({ model: "fault-429", messages })).rejects.toMatchObject({
			status: 429,
		});
		await expect(client().chat.completions.create({ model: "fault-401", messages })).rejects.toBeInstanceOf(
			OpenAI.AuthenticationError,
		);
		const retrying = new OpenAI({ apiKey: ada, baseURL: hub.proxy("openai", "/v1"), maxRetries: 1 });
		expect((await retrying.chat.completions.create({ model: "fault-once", messages })).choices).toHaveLength(1);
	});

	it("lists models", async () => {
		const ids = [];
		for await (const model of client().models.list()) ids.push(model.id);
		expect(ids).toEqual(["fake-large", "fake-small"]);
	});

	it("stops the provider when it stops", async () => {
		const stream = await client().chat.completions.create({ model: "fault-slow", messages, stream: true });
		const closed = hub.fake.nextAbandoned();
		stream.controller.abort();
		await closed;
	});
});

describe("@anthropic-ai/sdk", () => {
	it("messages, whole, streamed and of the beta, at the bare root", async () => {
		const client = new Anthropic({ apiKey: ada, baseURL: hub.proxy("anthropic"), maxRetries: 0 });
		const whole = await client.messages.create({ model: "m", max_tokens: 10, messages });
		expect(whole.content[0]).toMatchObject({ text });
		expect(await client.messages.stream({ model: "m", max_tokens: 10, messages }).finalText()).toBe(text);
		const beta = await client.beta.messages.create({ model: "m", max_tokens: 10, messages });
		expect(beta.content[0]).toMatchObject({ text });
		const seen = hub.fake.requests.at(-1);
		expect(seen?.path).toMatch(/^\/v1\/messages/);
		expect(seen?.headers["x-api-key"]).toBe(realKey);
		await expect(client.messages.create({ model: "fault-500", max_tokens: 10, messages })).rejects.toMatchObject({
			status: 500,
		});
	});
});

describe("@google/genai", () => {
	it("generateContent, whole and streamed", async () => {
		const client = new GoogleGenAI({ apiKey: ada, httpOptions: { baseUrl: hub.proxy("google") } });
		expect((await client.models.generateContent({ model: "gemini-fake", contents: "hi" })).text).toBe(text);
		let streamed = "";
		for await (const chunk of await client.models.generateContentStream({ model: "gemini-fake", contents: "hi" }))
			streamed += chunk.text ?? "";
		expect(streamed).toBe(text);
		expect(hub.fake.requests.at(-1)?.headers["x-goog-api-key"]).toBe(realKey);
	});
});

describe("@ai-sdk", () => {
	it("openai, anthropic and google, whole and streamed", async () => {
		const models = [
			createOpenAI({ apiKey: ada, baseURL: hub.proxy("openai", "/v1") })("m"),
			createOpenAI({ apiKey: ada, baseURL: hub.proxy("openai", "/v1") }).chat("m"),
			// As a client of the original is told: the bare prefix.
			createAnthropic({ apiKey: ada, baseURL: hub.proxy("anthropic") })("m"),
			createAnthropic({ apiKey: ada, baseURL: hub.proxy("anthropic", "/v1") })("m"),
			createGoogleGenerativeAI({ apiKey: ada, baseURL: hub.proxy("google", "/v1beta") })("gemini-fake"),
		];
		for (const model of models) {
			expect((await generateText({ model, prompt: "hi", maxRetries: 0 })).text, model.provider).toBe(text);
			expect(await streamText({ model, prompt: "hi", maxRetries: 0 }).text, model.provider).toBe(text);
		}
	});
});

describe("what they used", () => {
	it("is metered by model, cached tokens told apart, failures counted without tokens", async () => {
		const { body } = await hub.call("GET", "/me/usage");
		const of = (provider: string, model: string) =>
			body.usage.find((row: { provider: string; model: string }) => row.provider === provider && row.model === model);
		expect(of("anthropic", "m")).toMatchObject({
			requests: 7,
			inputTokens: 7 * 14,
			outputTokens: 35,
			cachedTokens: 21,
			estimated: 0,
		});
		expect(of("google", "gemini-fake")).toMatchObject({ requests: 4, inputTokens: 44, outputTokens: 20 });
		expect(of("anthropic", "fault-500")).toMatchObject({ requests: 1, failures: 1, inputTokens: 0, outputTokens: 0 });
		// Chat streams of OpenAI say nothing unless asked: those are estimates.
		expect(of("openai", "m")).toMatchObject({ requests: 8, estimated: 1 });
	});
});
