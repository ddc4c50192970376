import { join } from "node:path";
import { Workerd } from "@warren/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { TestAi, type TestAiHubs } from "./ai.testing.ts";
import { chatSuite } from "./chat/chat.contract.ts";
import { proxySuite } from "./proxy/provider-proxy.contract.ts";

// The runtime is a process of its own, and shares the machine.
describe("AI in a Durable Object", { timeout: 120_000 }, () => {
	let workerd: Workerd;
	beforeAll(async () => {
		const entry = join(import.meta.dirname, "ai-worker.testing.ts");
		workerd = await Workerd.start(entry, { objects: { HUB: "AiObject" } });
	});
	afterAll(() => workerd[Symbol.asyncDispose]());

	const hubs: TestAiHubs = { remote: true, open: (more = {}) => TestAi.remote(workerd.port, more) };
	proxySuite(hubs);
	chatSuite(hubs);
});
