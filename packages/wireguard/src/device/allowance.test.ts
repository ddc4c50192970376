import { describe, expect, it } from "vitest";
import { Allowance } from "./allowance.ts";

describe("what is under way between the threads", () => {
	it("is bounded at 4 MiB, and goes on once the other side has taken some", () => {
		const sender = new Allowance();
		const taker = new Allowance();
		let sent = 0;
		while (sender.claim(1452)) sent += 1;
		expect(sent).toBe(Math.floor((4 * 1024 * 1024) / (1452 + 256)));
		expect(sender.dropped).toBe(1);
		let told = 0;
		for (let each = 0; each < sent; each++) {
			const lot = taker.take(1452);
			if (lot > 0) told += 1;
			sender.free(lot);
		}
		expect(told).toBeLessThan(sent / 30);
		expect(sender.claim(1452)).toBe(true);
	});
});
