import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exchange, fromA, twoMachines } from "../machine.testing.ts";
import { type Keypair, KeypairSlots } from "./keypair.ts";

type Named = Keypair<null> & { readonly name: number };

describe("the keypairs of a peer", () => {
	it("S1 a message of the session before is taken, one of the session before that is not", async () => {
		const { clock, a, b, ab, both } = twoMachines();
		const held = () => {
			a.send(ab, fromA);
			return a.outbox.splice(0)[0]?.bytes as Uint8Array;
		};
		const origin = { endpoint: a.endpoint };
		a.send(ab, fromA);
		exchange(both);
		const ofFirst = [held(), held()] as const;
		const again = async () => {
			await clock.advance(6_000);
			ab.initiate(a.now);
			exchange(both);
		};
		await again();
		expect(b.take(ofFirst[0], origin)).toBe(fromA.length);
		const ofSecond = held();
		await again();
		expect(b.take(ofSecond, origin)).toBe(fromA.length);
		expect(b.take(ofFirst[1], origin)).toBeLessThan(0);
		expect(b.device.refusals.unknownSession).toBe(1);
	});

	it("S1 whoever leaves its slot is erased, once, and nobody who is in one, in whatever order sessions are made", () => {
		let most = 0;
		fc.assert(
			fc.property(
				fc.array(fc.constantFrom("begun", "answered", "confirmed", "stale", "cleared"), { maxLength: 40 }),
				(steps) => {
					const erased: number[] = [];
					const slots = new KeypairSlots<null>((keypair) => erased.push((keypair as Named).name));
					let made = 0;
					const make = () => ({ name: made++ }) as Named;
					const first = make();
					for (const step of steps) {
						const waiting = slots.next;
						const current = slots.current;
						if (step === "begun") slots.addInitiated(make());
						else if (step === "answered") slots.addAnswered(make());
						else if (step === "confirmed" && waiting !== null) {
							expect(slots.confirm(waiting)).toBe(true);
							expect([slots.current, slots.previous, slots.next]).toEqual([waiting, current, null]);
						} else if (step === "stale") expect(slots.confirm(current ?? first)).toBe(false);
						else if (step === "cleared") slots.clear();
					}
					const kept = [slots.previous, slots.current, slots.next].flatMap((each) =>
						each === null ? [] : [(each as Named).name],
					);
					most = Math.max(most, kept.length);
					expect([...kept, ...erased].toSorted((x, y) => x - y)).toEqual(
						Array.from({ length: made - 1 }, (_, at) => at + 1),
					);
				},
			),
		);
		expect(most, "with one to come, the one before is gone").toBe(2);
	});
});

describe("indices of sessions", () => {
	const indexOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);

	it("H8 are random, never the same twice, and one that nobody has is answered by silence", async () => {
		const { clock, a, b, ab } = twoMachines();
		const seen: number[] = [];
		for (let turn = 0; turn < 80; turn++) {
			await clock.advance(6_000);
			ab.initiate(a.now);
			const [sent] = a.outbox.splice(0);
			seen.push(indexOf(sent?.bytes as Uint8Array));
		}
		expect(new Set(seen).size).toBe(80);
		const rising = seen.filter((index, at) => at > 0 && index > (seen[at - 1] as number)).length;
		expect(rising).toBeGreaterThan(15);
		expect(rising).toBeLessThan(65);
		const data = new Uint8Array(64);
		data[0] = 4;
		new DataView(data.buffer).setUint32(4, 12_345, true);
		expect(b.take(data, { endpoint: a.endpoint })).toBeLessThan(0);
		const response = new Uint8Array(92);
		response[0] = 2;
		b.take(response, { endpoint: a.endpoint });
		expect(b.outbox).toEqual([]);
	});
});
