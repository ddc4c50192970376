// A provider of OpenAI's format that costs as little as it can: 1 KB answers at once, or a paced stream.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const answer = Buffer.from(
	JSON.stringify({
		id: "chatcmpl-1",
		object: "chat.completion",
		created: 1,
		model: "m",
		choices: [{ index: 0, message: { role: "assistant", content: "x".repeat(820) }, finish_reason: "stop" }],
		usage: { prompt_tokens: 11, completion_tokens: 200, total_tokens: 211 },
	}),
);
const chunk = Buffer.from(
	`data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: "word " }, finish_reason: null }] })}\n\n`,
);
let abandonedAt: number[] = [];

const server = createServer((incoming, outgoing) => {
	if (incoming.url === "/abandoned") {
		outgoing.end(JSON.stringify(abandonedAt));
		abandonedAt = [];
		return;
	}
	let body = "";
	incoming.on("data", (part) => (body += String(part)));
	incoming.once("end", () => {
		// Some gateways look whether it is there, with nothing to ask.
		const asked = JSON.parse(body === "" ? "{}" : body) as { stream?: boolean; chunks?: number; everyMs?: number };
		if (asked.stream !== true) {
			outgoing.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer);
			return;
		}
		outgoing.writeHead(200, { "content-type": "text/event-stream" });
		let left = asked.chunks ?? 20;
		const everyMs = asked.everyMs ?? 10;
		const timer = setInterval(() => {
			outgoing.write(chunk);
			left -= 1;
			if (left > 0) return;
			clearInterval(timer);
			outgoing.end("data: [DONE]\n\n");
		}, everyMs);
		outgoing.once("close", () => {
			clearInterval(timer);
			if (!outgoing.writableFinished) abandonedAt.push(Date.now());
		});
	});
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
