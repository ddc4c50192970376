import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aiLimits } from "../limits.ts";
import { UsageReader } from "./usage-reader.ts";

function read(type: string, text: string | Buffer, encoding = ""): ReturnType<UsageReader["end"]> {
	const reader = new UsageReader(type, encoding, 400);
	reader.push(Buffer.from(text as string));
	return reader.end();
}

const json = "application/json; charset=utf-8";
const sse = "text/event-stream; charset=utf-8";

describe("UsageReader", () => {
	it.each([
		[
			"OpenAI chat",
			json,
			'{"model":"gpt","usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}',
			[3, 4, 2],
		],
		[
			"OpenAI responses",
			sse,
			'data: {"type":"response.completed","response":{"model":"gpt","usage":{"input_tokens":3,"output_tokens":4}}}\n\n',
			[3, 4, 0],
		],
		[
			"Anthropic",
			sse,
			'event: message_start\ndata: {"type":"message_start","message":{"model":"gpt","usage":{"input_tokens":3,"cache_read_input_tokens":10,"cache_creation_input_tokens":1,"output_tokens":1}}}\n\ndata: {"type":"message_delta","usage":{"output_tokens":4}}\n\n',
			[14, 4, 10],
		],
		[
			"Gemini as one array",
			json,
			'[{"modelVersion":"gpt","usageMetadata":{"promptTokenCount":3}},{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3,"thoughtsTokenCount":1}}]',
			[3, 4, 0],
		],
		[
			"Ollama",
			"application/x-ndjson",
			'{"model":"gpt","message":{"content":"a"}}\n{"model":"gpt","done":true,"prompt_eval_count":3,"eval_count":4}\n',
			[3, 4, 0],
		],
		["Groq", sse, 'data: {"model":"gpt","x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":4}}}\n\n', [3, 4, 0]],
	])("reads %s", (_name, type, text, [input, output, cached]) => {
		expect(read(type, text)).toEqual({ model: "gpt", counts: { input, output, cached }, estimated: false });
	});

	it("reads the same however a stream is cut", () => {
		const text = Buffer.from(
			'data: {"model":"größe","choices":[{"delta":{"content":"🐇"}}]}\r\n\r\ndata: {"usage": {"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n',
		);
		fc.assert(
			fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }), (sizes) => {
				const reader = new UsageReader(sse, "", 0);
				let at = 0;
				for (let index = 0; at < text.length; index++) {
					const size = sizes[index % sizes.length] as number;
					reader.push(text.subarray(at, at + size));
					at += size;
				}
				expect(reader.end()).toMatchObject({ model: "größe", counts: { input: 3, output: 4 } });
			}),
			{ numRuns: 100 },
		);
	});

	it("estimates where nothing is said, or a zero is", () => {
		expect(read(sse, 'data: {"a":1}\n\n'.repeat(7))).toEqual({
			model: null,
			counts: { input: 100, output: 7, cached: 0 },
			estimated: true,
		});
		expect(read(json, '{"usage":{"prompt_tokens":3,"completion_tokens":0}}')).toMatchObject({ estimated: true });
		expect(read(json, "no json")).toMatchObject({ counts: { output: 2 }, estimated: true });
	});

	it("is not told numbers by what a model writes", () => {
		const said = JSON.stringify({ choices: [{ delta: { content: 'see "usage":{"prompt_tokens":1} here' } }] });
		expect(read(sse, `data: ${said}\n\n`)).toMatchObject({ estimated: true });
	});

	it("takes only numbers that can be", () => {
		const { counts } = read(json, '{"usage":{"prompt_tokens":-5,"completion_tokens":1e300,"input_tokens":"many"}}');
		expect(counts).toEqual({ input: 100, output: 1_000_000_000, cached: 0 });
	});

	it("holds no more than its limits, and reads on after a line that was too long", () => {
		const long = `data: {"x":"${"y".repeat(aiLimits.maxMeteredLineBytes)}"}\n`;
		const reader = new UsageReader(sse, "", 0);
		for (let at = 0; at < long.length; at += 65_536) reader.push(Buffer.from(long.slice(at, at + 65_536)));
		reader.push(Buffer.from('data: {"usage":{"prompt_tokens":3,"completion_tokens":4}}\n'));
		expect(reader.end()).toMatchObject({ counts: { input: 3, output: 4 }, estimated: false });
		const whole = new UsageReader(json, "", 0);
		whole.push(Buffer.alloc(aiLimits.maxMeteredBodyBytes + 1, 0x20));
		expect(whole.end()).toMatchObject({ estimated: true });
	});

	it("reads compressed answers, and survives those that lie about it", () => {
		const body = '{"usage":{"prompt_tokens":3,"completion_tokens":4}}';
		expect(read(json, gzipSync(body), "gzip")).toMatchObject({ counts: { input: 3, output: 4 }, estimated: false });
		expect(read(json, body, "gzip")).toMatchObject({ estimated: true });
		expect(read(json, gzipSync(Buffer.alloc(64 * 1024 * 1024)), "gzip"), "a bomb").toMatchObject({ estimated: true });
		expect(read(json, body, "zstd")).toMatchObject({ estimated: true });
	});
});
