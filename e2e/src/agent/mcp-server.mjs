// A server of tools on standard input and output, as a person's own machine may have one.
import { createInterface } from "node:readline";

const tools = [{ name: "ping", description: "Answers", inputSchema: { type: "object", properties: {} } }];
const answers = {
	initialize: ({ protocolVersion }) => ({
		protocolVersion,
		capabilities: { tools: {} },
		serverInfo: { name: "local", version: "1" },
	}),
	"tools/list": () => ({ tools }),
	"tools/call": () => ({ content: [{ type: "text", text: "pong from this machine" }] }),
	ping: () => ({}),
};

for await (const line of createInterface({ input: process.stdin })) {
	const { id, method, params } = JSON.parse(line);
	if (id === undefined) continue;
	const result = answers[method]?.(params ?? {});
	const answer = result === undefined ? { error: { code: -32601, message: `no ${method}` } } : { result };
	process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...answer })}\n`);
}
