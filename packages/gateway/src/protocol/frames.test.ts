import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseClientMessage } from "./frames.ts";

/** A space before it, and the full parser reads it. */
const spelledOtherwise = (text: string) => parseClientMessage(` ${text}`);

/** With the payload as a value: its bytes may differ. */
function read(message: ReturnType<typeof parseClientMessage>): unknown {
	if (message.type !== "gateway_relay" && message.type !== "gateway_broadcast") return message;
	return { ...message, payload: JSON.parse(message.payload) as unknown };
}

const word = fc.oneof(fc.string({ maxLength: 70 }), fc.stringMatching(/^[A-Za-z0-9._:@-]{1,12}$/));
const send = fc
	.record(
		{
			targetMeshId: word,
			id: word,
			room: word,
			payload: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue()),
			ttlMs: fc.integer(),
		},
		{ requiredKeys: ["payload"] },
	)
	.map(({ targetMeshId, id, room, payload, ttlMs }) => ({
		type: targetMeshId === undefined ? "gateway_broadcast" : "gateway_relay",
		...(targetMeshId === undefined ? {} : { targetMeshId }),
		...(id === undefined ? {} : { id }),
		...(room === undefined ? {} : { room }),
		payload,
		...(ttlMs === undefined ? {} : { ttlMs }),
	}));

describe("what a client says", () => {
	it("G8 a payload passes as its own bytes where the message is spelled as usual", () => {
		const text = '{"type":"gateway_relay","targetMeshId":"b","id":"1","room":"den","payload":{"n": 1.0,"a":"\\u00fc"}}';
		expect(parseClientMessage(text)).toEqual({
			...{ type: "gateway_relay", targetMeshId: "b", id: "1", room: "den", ttlMs: null },
			payload: '{"n": 1.0,"a":"\\u00fc"}',
		});
	});

	it("G5 means the same however it is spelled, and nothing at all where it is wrong", () => {
		let whole = 0;
		let broken = 0;
		const check = (text: string) => {
			const message = parseClientMessage(text);
			expect(read(message)).toEqual(read(spelledOtherwise(text)));
			if (message.type === "fault") broken += 1;
			else whole += 1;
		};
		const cut = fc.record({
			at: fc.nat(),
			take: fc.nat({ max: 2 }),
			put: fc.constantFrom("", '"', "}", ",", "\\", " ", "\n"),
		});
		fc.assert(
			fc.property(send, cut, (message, { at, take, put }) => {
				const text = JSON.stringify(message);
				check(text);
				const from = at % text.length;
				check(text.slice(0, from) + put + text.slice(from + take));
			}),
			{ numRuns: 3_000 },
		);
		expect(Math.min(whole, broken)).toBeGreaterThan(50);
	});

	it("G5 a second payload, or words after it, are not part of the first", () => {
		const first = '{"type":"gateway_broadcast","payload":{"n":1}';
		for (const rest of [',"payload":{"n":2}}', ',"ttlMs":5}', '},"x":{"y":1}}'])
			expect(read(parseClientMessage(first + rest))).toEqual(read(spelledOtherwise(first + rest)));
		expect(read(parseClientMessage(`${first},"payload":{"n":2}}`))).toMatchObject({ payload: { n: 2 } });
		expect(parseClientMessage(`${first},"ttlMs":5}`)).toMatchObject({ payload: '{"n":1}', ttlMs: 5 });
		expect(parseClientMessage(`${first}},"x":{"y":1}}`)).toEqual({ type: "fault", message: "Invalid JSON" });
	});
});
