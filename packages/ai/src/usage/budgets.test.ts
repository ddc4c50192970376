import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { adaSecondDevice, bob, TestAi } from "../ai.testing.ts";
import { aiLimits } from "../limits.ts";
import { usageLimits } from "./usage-log.ts";

const dayMs = 86_400_000;
const ask = (hub: TestAi, token?: string, model = "m") =>
	hub.call(
		"POST",
		"/proxy/openai/v1/chat/completions",
		{ model, messages: [] },
		token === undefined ? {} : { authorization: `Bearer ${token}` },
	);
/** What the fake says that one request used. */
const tokens = 16;

describe("budgets", () => {
	it("refuse with the time of the reset once they are used up, and let through again after it", async () => {
		const clock = new VirtualClock();
		await using hub = await TestAi.open({ clock });
		await hub.call("PUT", "/ai/budgets/user:ada", { dayTokens: 2 * tokens });
		expect((await ask(hub)).status).toBe(200);
		expect((await ask(hub)).status).toBe(200);
		const refused = await ask(hub);
		expect([refused.status, refused.body.error]).toEqual([429, "over_budget"]);
		const reset = Math.floor(clock.now() / dayMs) * dayMs + dayMs;
		expect(refused.body.resetsAt).toBe(reset);
		expect(Number(refused.headers.get("retry-after"))).toBe(Math.ceil((reset - clock.now()) / 1000));
		expect(refused.body.message).toContain(new Date(reset).toISOString());
		expect((await ask(hub, bob)).status, "another person's").toBe(200);
		await clock.advance(reset - clock.now());
		expect((await ask(hub)).status).toBe(200);
	});

	it("of a device count for that device alone; everyone's for each person who has none", async () => {
		await using hub = await TestAi.open();
		await hub.call("PUT", "/ai/budgets/device:phone", { monthTokens: tokens });
		expect((await ask(hub, adaSecondDevice)).status).toBe(200);
		expect((await ask(hub, adaSecondDevice)).body.error).toBe("over_budget");
		expect((await ask(hub)).status).toBe(200);
		await hub.call("PUT", "/ai/budgets/everyone", { dayTokens: 0 });
		expect((await ask(hub, bob)).body.error).toBe("over_budget");
		await hub.call("PUT", "/ai/budgets/user:bob", { dayTokens: null });
		expect((await ask(hub, bob)).status).toBe(200);
		expect((await hub.call("DELETE", "/ai/budgets/user:bob")).status).toBe(204);
		expect((await ask(hub, bob)).body.error).toBe("over_budget");
	});

	it("of requests a minute let the next through when they said", async () => {
		const clock = new VirtualClock();
		await using hub = await TestAi.open({ clock });
		await hub.call("PUT", "/ai/budgets/user:ada", { requestsPerMinute: 2 });
		expect([(await ask(hub)).status, (await ask(hub)).status]).toEqual([200, 200]);
		const { status, body } = await ask(hub);
		expect([status, body.error, body.retryAfterMs]).toEqual([429, "rate_limited", 30_000]);
		await clock.advance(30_000);
		expect((await ask(hub)).status).toBe(200);
	});

	it("count a chat as they count the proxy", async () => {
		await using hub = await TestAi.open();
		await hub.call("PUT", "/ai/budgets/user:ada", { dayTokens: 1 });
		const chat = { provider: "openai", model: "m", messages: [{ role: "user", content: "hi" }] };
		expect((await hub.call("POST", "/ai/chat", chat)).status).toBe(200);
		expect((await hub.call("POST", "/ai/chat", chat)).body.error).toBe("over_budget");
	});

	it("are an administrator's, well formed, and outlast a restart", async () => {
		await using hub = await TestAi.open();
		const asBob = { authorization: `Bearer ${bob}` };
		for (const [method, path] of [
			["GET", "/ai/budgets"],
			["GET", "/ai/usage"],
			["PUT", "/ai/budgets/everyone"],
			["DELETE", "/ai/budgets/everyone"],
		] as const)
			expect((await hub.call(method, path, method === "PUT" ? {} : undefined, asBob)).body.error, path).toBe(
				"admin_only",
			);
		expect((await hub.call("PUT", "/ai/budgets/nobody", {})).body.error).toBe("bad_setting");
		expect((await hub.call("PUT", "/ai/budgets/everyone", { dayTokens: -1 })).status).toBe(400);
		await hub.call("PUT", "/ai/budgets/everyone", { dayTokens: 5 });
		expect((await hub.call("GET", "/ai/budgets")).body.budgets).toEqual([
			{ subject: "everyone", dayTokens: 5, monthTokens: null, requestsPerMinute: null },
		]);
		expect((await hub.call("DELETE", "/ai/budgets/user:none")).body.error).toBe("unknown_budget");
	});

	it("bound how fast and how much at once anybody may ask, without being set", async () => {
		const clock = new VirtualClock();
		await using hub = await TestAi.open({ clock });
		const statuses = [];
		for (let count = 0; count <= aiLimits.requests.burst; count++)
			statuses.push((await hub.call("POST", "/proxy/openai/v1/chat/completions", { model: "fault-401" })).status);
		expect(statuses.filter((status) => status === 401)).toHaveLength(aiLimits.requests.burst);
		expect(statuses.at(-1)).toBe(429);
	});
});

describe("usage", () => {
	it("is each person's own by device, and everybody's for an administrator", async () => {
		await using hub = await TestAi.open();
		await ask(hub);
		await ask(hub, adaSecondDevice);
		await ask(hub, bob);
		const own = (await hub.call("GET", "/me/usage?days=1")).body.usage;
		expect(own.map((row: { deviceId: string }) => row.deviceId).sort()).toEqual(["laptop", "phone"]);
		expect(own[0]).toMatchObject({ provider: "openai", model: "m", requests: 1, inputTokens: 11, outputTokens: 5 });
		expect((await hub.call("GET", "/ai/usage")).body.usage).toHaveLength(3);
		expect((await hub.call("GET", "/me/usage?days=0")).status).toBe(400);
	});

	it("takes no more models of one person a day than its limit", async () => {
		const clock = new VirtualClock();
		await using hub = await TestAi.open({ clock });
		for (let count = 0; count < usageLimits.maxModelsPerDay + 3; count++) {
			await clock.advance(1000);
			await ask(hub, undefined, `model-${count}`);
		}
		const { usage } = (await hub.call("GET", "/me/usage")).body;
		expect(usage).toHaveLength(usageLimits.maxModelsPerDay + 1);
		expect(usage.find((row: { model: string }) => row.model === "other").requests).toBe(3);
	});
});
