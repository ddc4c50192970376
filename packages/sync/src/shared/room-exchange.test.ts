import { silentLogger, systemRandom } from "@warren/kernel";
import { MemoryBus, MemoryKeyValue } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { LossyBus } from "./lossy-bus.testing.ts";
import { exchangeLimits, RoomExchange } from "./room-exchange.ts";

function setUp() {
	const clock = new VirtualClock();
	const inner = new MemoryBus(silentLogger);
	const keyValue = new MemoryKeyValue(clock, silentLogger);
	const open = () => {
		const bus = new LossyBus(inner);
		return { bus, exchange: new RoomExchange({ bus, keyValue, clock, random: systemRandom, logger: silentLogger }) };
	};
	return { clock, open };
}

it("a relay that is silent counts as gone after 3.5 s, once; silence of the bus is no word about anybody (S21)", async () => {
	const { clock, open } = setUp();
	const [one, other] = [open(), open()];
	const gone: number[] = [];
	await one.exchange.open("r", { heard() {}, relayGone: (relay) => gone.push(relay) });
	await clock.advance(2 * exchangeLimits.beatMs);
	one.bus.cut();
	await clock.advance(10_000);
	expect(gone).toEqual([]);
	one.bus.resume();
	await clock.advance(exchangeLimits.goneMs);
	expect(gone).toEqual([]);
	other.bus.cut();
	await clock.advance(exchangeLimits.goneMs + exchangeLimits.beatMs);
	expect(gone).toHaveLength(1);
	await clock.advance(10_000);
	expect(gone).toHaveLength(1);
	one.exchange.close();
	other.exchange.close();
	expect(clock.pending).toBe(0);
});

it("a goodbye is believed at once (S21)", async () => {
	const { clock, open } = setUp();
	const [one, other] = [open(), open()];
	let gone = 0;
	await one.exchange.open("r", {
		heard() {},
		relayGone() {
			gone += 1;
		},
	});
	await clock.advance(exchangeLimits.beatMs);
	other.exchange.close();
	expect(gone).toBe(1);
	one.exchange.close();
});

it("one of several has the right to compact; it ends with its holder's life (S20)", async () => {
	const { clock, open } = setUp();
	const [one, other] = [open(), open()];
	const lease = await one.exchange.claimCompaction("r");
	expect(lease).not.toBeNull();
	expect(await other.exchange.claimCompaction("r")).toBeNull();
	expect(await other.exchange.claimCompaction("another")).not.toBeNull();
	await clock.advance(exchangeLimits.compactLeaseMs);
	const late = await other.exchange.claimCompaction("r");
	expect(late).not.toBeNull();
	// Its time is over: it ends nothing of the other's.
	await lease?.close();
	await clock.advance(10);
	expect(await one.exchange.claimCompaction("r")).toBeNull();
	await late?.close();
	await clock.advance(10);
	expect(await one.exchange.claimCompaction("r")).not.toBeNull();
	one.exchange.close();
	other.exchange.close();
});
