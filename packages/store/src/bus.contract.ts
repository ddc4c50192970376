import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "./bus.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);

/** What every bus of this product does. A subscription counts once a message that was published after it has come back. */
export function busContract(name: string, make: () => Promise<Bus>): void {
	describe(`${name} as a bus`, () => {
		let bus: Bus;
		beforeEach(async () => {
			bus = await make();
		});
		afterEach(() => bus.close());

		/** Resolves when everything published before has been delivered: one sender's messages keep their order. */
		const settled = () =>
			new Promise<void>((resolve) => {
				const mark = bus.subscribe("settled", () => {
					void mark.close();
					resolve();
				});
				bus.publish("settled", bytes(""));
			});
		const collect = (subject: string, group?: string) => {
			const got: string[] = [];
			const subscription = bus.subscribe(
				subject,
				(message) => got.push(`${message.subject} ${text(message.data)}`),
				group === undefined ? {} : { group },
			);
			return { got, subscription };
		};

		it("brings a message to everybody who subscribed to its subject, in order, and to nobody else", async () => {
			const [one, two, other] = [collect("a.b"), collect("a.b"), collect("a.c")];
			await settled();
			for (let index = 0; index < 100; index++) bus.publish("a.b", bytes(String(index)));
			await settled();
			const expected = Array.from({ length: 100 }, (_, index) => `a.b ${index}`);
			expect([one.got, two.got, other.got]).toEqual([expected, expected, []]);
		});

		it("takes .> for everything below, and not for the word itself", async () => {
			const below = collect("a.>");
			await settled();
			for (const subject of ["a", "a.b", "a.b.c", "ab.c", "b.a"]) bus.publish(subject, bytes("x"));
			await settled();
			expect(below.got).toEqual(["a.b x", "a.b.c x"]);
		});

		it("brings each message to one of a group, and to each group", async () => {
			const members = [collect("w", "g"), collect("w", "g"), collect("w", "g")];
			const [otherGroup, nobody] = [collect("w", "h"), collect("w")];
			await settled();
			for (let index = 0; index < 60; index++) bus.publish("w", bytes(String(index)));
			await settled();
			const shared = members.flatMap(({ got }) => got);
			expect(new Set(shared).size).toBe(60);
			expect([shared.length, otherGroup.got.length, nobody.got.length]).toEqual([60, 60, 60]);
			for (const { got } of members) expect(got.length).toBeGreaterThan(0);
		});

		it("brings nothing more once a subscription is closed; closing twice is nothing", async () => {
			const { got, subscription } = collect("a");
			await settled();
			bus.publish("a", bytes("1"));
			await settled();
			await subscription.close();
			await subscription.close();
			bus.publish("a", bytes("2"));
			await settled();
			expect(got).toEqual(["a 1"]);
		});

		it("keeps subscribers from one another: one that throws hides nothing from the next, nor fails the publisher", async () => {
			bus.subscribe("a", () => {
				throw new Error("a subscriber's own fault");
			});
			const { got } = collect("a");
			await settled();
			bus.publish("a", bytes("1"));
			await settled();
			expect(got).toEqual(["a 1"]);
		});
	});
}
