import { expect, it } from "vitest";
import { providers } from "../providers/provider-table.ts";
import { upstreamHeaders } from "./headers.ts";

it("a request's trace goes on to the provider, and nothing that says who asked does", () => {
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	const asked = { traceparent, authorization: "Bearer session", cookie: "a=b", "x-forwarded-for": "192.0.2.1" };
	expect(upstreamHeaders(asked, providers.openai, "sk-hub")).toEqual({
		traceparent,
		"accept-encoding": "identity",
		authorization: "Bearer sk-hub",
	});
});
