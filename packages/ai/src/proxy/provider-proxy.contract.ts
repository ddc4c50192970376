import { request as httpRequest, type IncomingMessage } from "node:http";
import { hugeAnswerBytes, RawClient } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { ada, bob, realKey, type TestAi, type TestAiHubs } from "../ai.testing.ts";
import { aiLimits } from "../limits.ts";

const chat = (model: string, more: object = {}) => ({ model, messages: [{ role: "user", content: "hi" }], ...more });
const completions = "/proxy/openai/v1/chat/completions";

/** The proxy, over real HTTP. */
export function proxySuite(hubs: TestAiHubs): void {
	describe("who may use the proxy", () => {
		it("takes the session's token in any of the three places, or ?key=, and passes none of them on", async () => {
			await using hub = await hubs.open();
			const places: Record<string, string>[] = [
				{ authorization: `Bearer ${ada}` },
				{ authorization: "", "x-api-key": ada },
				{ authorization: "", "x-goog-api-key": ada },
			];
			for (const headers of places) {
				const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
				const answer = await fetch(`${hub.origin}${completions}`, {
					method: "POST",
					headers: { "content-type": "application/json", ...sent },
					body: JSON.stringify(chat("m")),
				});
				expect(answer.status, JSON.stringify(headers)).toBe(200);
			}
			const query = await fetch(`${hub.origin}/proxy/google/v1beta/models/m:generateContent?alt=x&key=${ada}`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: "{}",
			});
			expect(query.status).toBe(200);
			expect(hub.fake.requests).toHaveLength(4);
			expect(hub.fake.requests[3]?.path).toBe("/v1beta/models/m:generateContent?alt=x");
			for (const seen of hub.fake.requests)
				expect(JSON.stringify([seen.path, seen.headers, seen.body.toString()])).not.toContain(ada);
		});

		it("refuses two different tokens, an ended session, no session, and the cookie", async () => {
			await using hub = await hubs.open();
			const post = (headers: Record<string, string>) =>
				fetch(`${hub.origin}${completions}`, { method: "POST", headers, body: "{}" });
			expect((await post({ authorization: `Bearer ${ada}`, "x-api-key": bob })).status).toBe(401);
			const ended = await post({ authorization: `Bearer ${"z".repeat(32)}` });
			expect([ended.status, ((await ended.json()) as { error: string }).error]).toEqual([401, "unauthorized"]);
			expect((await post({})).status).toBe(401);
			const cookie = await post({ cookie: `warren-session=${ada}`, origin: hub.origin });
			expect([cookie.status, ((await cookie.json()) as { error: string }).error]).toEqual([403, "cookie_not_taken"]);
			expect(hub.fake.requests).toHaveLength(0);
		});
	});

	describe("what passes", () => {
		it("answers 404 for an unknown provider and 403 outside the allow-list, and nothing reaches a provider", async () => {
			await using hub = await hubs.open();
			expect((await hub.call("POST", "/proxy/acme/v1/messages", {})).body).toMatchObject({ error: "unknown_provider" });
			const refused: [string, string][] = [
				["POST", "/proxy/openai/v1/files"],
				["DELETE", "/proxy/openai/v1/models/ft:gpt-4"],
				["GET", "/proxy/openai/v1/organization/admin_api_keys"],
				["POST", "/proxy/openai/v1/batches"],
				["POST", "/proxy/anthropic/v1/messages/batches"],
				["PUT", "/proxy/openai/v1/chat/completions"],
				["POST", "/proxy/openai//v1/chat/completions"],
				["POST", "/proxy/openai/v1//chat/completions"],
				["POST", "/proxy/openai/v1/chat%2fcompletions"],
				["POST", "/proxy/google/v1beta/models/m%3AgenerateContent"],
				["POST", "/proxy/google/v1beta/cachedContents"],
				["POST", "/proxy/ollama/api/pull"],
				["DELETE", "/proxy/ollama/api/delete"],
				["POST", "/proxy/openai/v1/chat/completions/"],
			];
			for (const [method, path] of refused) {
				const { status, body } = await hub.call(method, path, method === "GET" ? undefined : {});
				expect([method, path, status, body.error]).toEqual([method, path, 403, "path_not_allowed"]);
			}
			expect(hub.fake.requests).toHaveLength(0);
		});

		it("refuses dot segments and absolute targets before any provider is asked", async () => {
			await using hub = await hubs.open();
			for (const target of [
				"/proxy/openai/v1/../v1/files",
				"/proxy/openai/%2e%2e/admin",
				"/proxy/openai/v1/..%2f..%2fadmin",
				"http://127.0.0.1:1/v1/chat/completions",
			]) {
				const answered = await RawClient.exchange(
					{ port: hub.listener.port },
					`POST ${target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${ada}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
				);
				expect(answered, target).toMatch(hubs.remote ? /^HTTP\/1\.1 (40[034]|500)/ : /^HTTP\/1\.1 40[034]/);
			}
			expect(hub.fake.requests).toHaveLength(0);
		});

		it("lets clients leave out the vendor's base path", async () => {
			await using hub = await hubs.open();
			const aliases: [string, string][] = [
				["/proxy/anthropic/messages?beta=true", "/v1/messages?beta=true"],
				["/proxy/anthropic/v1/messages?beta=true", "/v1/messages?beta=true"],
				["/proxy/openai/responses", "/v1/responses"],
				["/proxy/groq/chat/completions", "/openai/v1/chat/completions"],
				["/proxy/google/models/m:generateContent", "/v1beta/models/m:generateContent"],
				["/proxy/openrouter/chat/completions", "/api/v1/chat/completions"],
				["/proxy/deepseek/chat/completions", "/chat/completions"],
			];
			for (const [asked] of aliases) expect((await hub.call("POST", asked, chat("m"))).status, asked).toBe(200);
			expect(hub.fake.requests.map((each) => each.path)).toEqual(aliases.map(([, path]) => path));
		});

		it("gives each provider its key in its own place, and nothing that says who asks", async () => {
			await using hub = await hubs.open();
			const sent = {
				"anthropic-version": "2023-06-01",
				"anthropic-beta": "x",
				"openai-organization": "org-mine",
				"x-provider-api-key": "sk-of-the-caller",
				"x-forwarded-for": "10.0.0.1",
				forwarded: "for=10.0.0.1",
				origin: "",
				referer: "https://a.example/",
				cookie: "a=b",
				"accept-encoding": "gzip, br",
				"x-warren-node": "wn_secret",
				"x-stainless-lang": "js",
			};
			const { origin: _none, ...headers } = sent;
			await hub.call("POST", "/proxy/anthropic/v1/messages", chat("m"), headers);
			await hub.call("POST", completions, chat("m"), headers);
			await hub.call("POST", "/proxy/google/v1beta/models/m:generateContent", chat("m"), headers);
			await hub.call("POST", "/proxy/ollama/api/chat", chat("m"), headers);
			const [anthropic, openai, google, ollama] = hub.fake.requests.map((each) => each.headers);
			expect(anthropic).toMatchObject({
				"x-api-key": realKey,
				"anthropic-version": "2023-06-01",
				"anthropic-beta": "x",
			});
			expect(openai).toMatchObject({ authorization: `Bearer ${realKey}`, "x-stainless-lang": "js" });
			expect(google).toMatchObject({ "x-goog-api-key": realKey });
			for (const each of [anthropic, openai, google, ollama]) {
				expect(each).toMatchObject({ "accept-encoding": "identity", host: expect.stringContaining("127.0.0.1") });
				for (const name of [
					"cookie",
					"referer",
					"forwarded",
					"x-forwarded-for",
					"x-warren-node",
					"openai-organization",
					"x-provider-api-key",
					"origin",
				])
					expect(each?.[name], name).toBeUndefined();
				expect(JSON.stringify(each)).not.toContain(ada);
			}
			expect(JSON.stringify(ollama)).not.toContain(realKey);
		});
	});

	describe("an answer", () => {
		it("is byte for byte what the provider sent, whole and streamed, split in the middle of characters", async () => {
			await using hub = await hubs.open({ fake: { say: () => ({ text: "größe ▓▒░ 🐇 中文 and more" }) } });
			for (const body of [chat("m"), chat("m", { stream: true }), chat("fault-split", { stream: true })]) {
				const answer = await fetch(`${hub.origin}${completions}`, {
					method: "POST",
					headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
					body: JSON.stringify(body),
				});
				const bytes = Buffer.from(await answer.arrayBuffer());
				expect(bytes.equals(hub.fake.lastBody()), JSON.stringify(body)).toBe(true);
				expect(bytes.length).toBeGreaterThan(100);
			}
			expect(hub.fake.requests[0]?.body.toString()).toBe(JSON.stringify(chat("m")));
		});

		it("keeps the provider's errors and request ids, and drops cookies, organisations and wider policies", async () => {
			await using hub = await hubs.open();
			const limited = await hub.call("POST", completions, chat("fault-429"));
			expect(limited.status).toBe(429);
			expect(limited.headers.get("retry-after")).toBe("7");
			expect(limited.headers.get("x-request-id")).toBe("req_1");
			expect(limited.headers.get("x-warren-upstream")).toBe("openai");
			expect(limited.body).toEqual({ type: "error", error: { type: "rate_limit_error", message: "slow down" } });
			const hostile = await hub.call("POST", completions, chat("fault-cookie"));
			expect(hostile.status).toBe(200);
			for (const name of ["set-cookie", "openai-organization", "server", "access-control-allow-origin"])
				expect(hostile.headers.get(name), name).toBeNull();
			expect(hostile.headers.get("content-security-policy")).toMatch(/^default-src 'none'.*sandbox/);
			expect(hostile.headers.get("cache-control")).toBe("no-cache, no-transform");
			expect(hostile.headers.get("x-content-type-options")).toBe("nosniff");
		});

		it("passes a compressed answer through as it came", async () => {
			await using hub = await hubs.open();
			const { body, headers } = await hub.call("POST", completions, chat("fault-gzip"));
			// Fetch has unpacked it already.
			expect(headers.get("content-encoding")).toBe(hubs.remote ? null : "gzip");
			expect(body.choices[0].message.content).toBe("Hello from the fake.");
			const { body: usage } = await hub.call("GET", "/me/usage");
			expect(usage.usage[0]).toMatchObject({ inputTokens: 11, outputTokens: 5, estimated: 0 });
		});

		it("never follows a redirect", async () => {
			await using hub = await hubs.open();
			const { status, body } = await hub.call("POST", completions, chat("fault-redirect"));
			expect([status, body.error]).toEqual([502, "provider_redirected"]);
		});

		it("is broken off, never ended, when the provider dies in the middle", async (context) => {
			context.skip(hubs.remote, "the platform's local server ends such an answer as if it were whole");
			await using hub = await hubs.open();
			const answer = await fetch(`${hub.origin}${completions}`, {
				method: "POST",
				headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
				body: JSON.stringify(chat("fault-die", { stream: true })),
			});
			await expect(answer.text()).rejects.toThrow();
			const { body } = await hub.call("GET", "/me/usage");
			expect(body.usage[0], "what was sent is counted all the same").toMatchObject({ requests: 1, estimated: 1 });
		});

		it("is 502 with a reason when nobody listens, and says so in Ollama's own words", async () => {
			await using hub = await hubs.open();
			await hub.fake.stop();
			expect((await hub.call("POST", completions, chat("m"))).body).toMatchObject({
				error: "provider_unreachable",
				message: expect.stringContaining(hubs.remote ? "cannot be reached" : "ECONNREFUSED"),
			});
			expect((await hub.call("POST", "/proxy/ollama/api/chat", chat("m"))).body).toMatchObject({
				error: "ollama_unreachable",
				message: `Cannot reach Ollama at ${hub.fake.origin}. Is it running?`,
			});
		});
	});

	describe("a client that leaves", () => {
		function begin(hub: TestAi, model: string): Promise<IncomingMessage> {
			return new Promise((resolve, reject) => {
				const request = httpRequest(`${hub.origin}${completions}`, {
					method: "POST",
					headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
				});
				request.once("response", resolve).once("error", reject);
				request.end(JSON.stringify(chat(model, { stream: true })));
			});
		}

		it("closes the provider's connection, in the middle of a stream and before its head", async (context) => {
			context.skip(hubs.remote, "the platform's local server does not see a client leave before the head");
			await using hub = await hubs.open();
			for (let tries = 0; tries < 10; tries++) {
				const answer = await begin(hub, "fault-slow");
				const closed = hub.fake.nextAbandoned();
				answer.destroy();
				await closed;
			}
			expect(hub.fake.open()).toBe(0);
			const leaving = new AbortController();
			const waiting = fetch(`${hub.origin}${completions}`, {
				method: "POST",
				headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
				body: JSON.stringify(chat("fault-hang")),
				signal: leaving.signal,
			});
			await vi.waitFor(() => expect(hub.fake.requests).toHaveLength(11), { timeout: 30_000 });
			const closed = hub.fake.nextAbandoned();
			leaving.abort();
			await expect(waiting).rejects.toThrow();
			await closed;
			const { body } = await hub.call("GET", "/me/usage");
			const counted = body.usage.map(({ requests, failures, estimated }: Record<string, number>) => [
				requests,
				failures,
				estimated,
			]);
			expect(counted, "streams that were left, and an answer before its head: its provider was asked").toEqual([
				[1, 0, 1],
				[10, 0, 10],
			]);
			expect(body.usage[0].inputTokens).toBeGreaterThan(0);
		});

		it("that reads nothing holds the provider back, and nothing piles up here", async () => {
			await using hub = await hubs.open();
			const answer = await begin(hub, "fault-huge");
			answer.pause();
			const before = process.memoryUsage().arrayBuffers;
			await new Promise<void>((resolve) => {
				answer.once("readable", () => resolve());
			});
			expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(hugeAnswerBytes / 2);
			let bytes = 0;
			for await (const chunk of answer) bytes += (chunk as Buffer).length;
			expect(bytes).toBeGreaterThan(hugeAnswerBytes);
		});

		it("whose session is revoked loses its stream at once", async (context) => {
			context.skip(hubs.remote, "its listener is in another process");
			await using hub = await hubs.open();
			const answer = await begin(hub, "fault-slow");
			const closed = hub.fake.nextAbandoned();
			const broken = new Promise((resolve) => answer.once("error", resolve));
			answer.resume();
			expect(hub.listener.disconnect((who) => who.kind === "user" && who.userId === "ada", 4401, "signed out")).toBe(1);
			await closed;
			await broken;
		});
	});

	describe("a request's body", () => {
		it("passes as it is, above what is held too, and is refused above the limit", async () => {
			await using hub = await hubs.open();
			const large = JSON.stringify(chat("m", { filler: "y".repeat(aiLimits.maxHeldBytes) }));
			expect((await hub.call("POST", completions, large)).status).toBe(200);
			expect(hub.fake.requests[0]?.body.toString() === large).toBe(true);
			const refused = hub.call("POST", completions, Buffer.alloc(aiLimits.maxRequestBytes + 1, 0x20).toString());
			const outcome = await refused.then(
				({ status, body }) => `${status} ${body.error}`,
				() => "cut",
			);
			// Its local server does not wait for a body that nobody reads.
			expect(outcome).toMatch(hubs.remote ? /^(413 body_too_large|cut)$/ : /^413 body_too_large$/);
			expect(hub.fake.requests).toHaveLength(1);
		});

		it("is counted as it passes when its length is not declared", async () => {
			await using hub = await hubs.open();
			const chunk = Buffer.alloc(1024 * 1024, 0x20);
			const outcome = await new Promise<string>((resolve) => {
				const request = httpRequest(`${hub.origin}${completions}`, {
					method: "POST",
					headers: { authorization: `Bearer ${ada}`, "transfer-encoding": "chunked" },
				});
				let sent = 0;
				const more = () => {
					while (sent < 2 * aiLimits.maxRequestBytes) {
						sent += chunk.length;
						if (!request.write(chunk)) return void request.once("drain", more);
					}
					request.end();
				};
				request.once("response", (answer) => resolve(`answered ${answer.statusCode}`));
				request.once("error", () => resolve("cut"));
				more();
			});
			expect(outcome).toMatch(/cut|answered 413/);
			expect(hub.fake.requests).toHaveLength(0);
		});
	});

	describe("retries and fallbacks", () => {
		it("happen only when they are asked for", async () => {
			await using hub = await hubs.open();
			expect((await hub.call("POST", completions, chat("fault-once"))).status).toBe(503);
			expect(hub.fake.requests).toHaveLength(1);
		});

		it("try again as often as asked, then give the provider's last answer as it is", async () => {
			await using hub = await hubs.open();
			expect((await hub.call("POST", completions, chat("fault-once"), { "x-warren-retry": "1" })).status).toBe(200);
			expect(hub.fake.requests).toHaveLength(2);
			const failed = await hub.call("POST", completions, chat("fault-500"), { "x-warren-retry": "2" });
			expect([failed.status, failed.body.error.message]).toEqual([500, "the fake is broken"]);
			expect(hub.fake.requests).toHaveLength(5);
		});

		it("fall back to another provider of the same format, with its own key and the model that was named", async () => {
			await using hub = await hubs.open();
			const { status, headers } = await hub.call("POST", completions, chat("fault-500"), {
				"x-warren-fallback": "groq/llama-3, openrouter/acme/large",
			});
			expect(status).toBe(200);
			expect(headers.get("x-warren-upstream")).toBe("groq");
			expect(hub.fake.requests.map((each) => [each.path, each.json.model])).toEqual([
				["/v1/chat/completions", "fault-500"],
				["/openai/v1/chat/completions", "llama-3"],
			]);
		});

		it("never happen after the first byte", async (context) => {
			context.skip(hubs.remote, "the platform's local server ends a broken answer as if it were whole");
			await using hub = await hubs.open();
			const answer = await fetch(`${hub.origin}${completions}`, {
				method: "POST",
				headers: {
					authorization: `Bearer ${ada}`,
					"content-type": "application/json",
					"x-warren-retry": "3",
				},
				body: JSON.stringify(chat("fault-die", { stream: true })),
			});
			await expect(answer.text()).rejects.toThrow();
			expect(hub.fake.requests).toHaveLength(1);
		});

		it("are refused where they make no sense", async () => {
			await using hub = await hubs.open();
			for (const headers of [
				{ "x-warren-retry": "9" },
				{ "x-warren-retry": "many" },
				{ "x-warren-fallback": "anthropic/claude" },
				{ "x-warren-fallback": "https://evil.example/x" },
				{ "x-warren-retry": "3", "x-warren-fallback": "groq/a, groq/b" },
			] as Record<string, string>[])
				expect((await hub.call("POST", completions, chat("m"), headers)).body.error, JSON.stringify(headers)).toBe(
					"bad_policy",
				);
			expect(hub.fake.requests).toHaveLength(0);
		});
	});
}
