import { describe } from "vitest";
import { nodeHubs } from "./ai.testing.ts";
import { chatSuite } from "./chat/chat.contract.ts";
import { proxySuite } from "./proxy/provider-proxy.contract.ts";

describe("AI on Node", () => {
	proxySuite(nodeHubs);
	chatSuite(nodeHubs);
});
