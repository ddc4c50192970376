import { systemClock, systemRandom } from "@warren/kernel";
import { expect, it } from "vitest";
import { coordinatorLimits } from "./limits.ts";
import { ServiceNames } from "./service-names.ts";

it("there is an end to names, and those that were given out stay", () => {
	const names = new ServiceNames(null, systemClock, systemRandom);
	const first = names.of("service-0", null);
	for (let index = 1; index < coordinatorLimits.maxServiceNames; index++) names.of(`service-${index}`, null);
	expect(() => names.of("one-more", null)).toThrow(/names of services are given out/);
	expect(names.of("service-0", null)).toBe(first);
	expect(names.list()).toHaveLength(coordinatorLimits.maxServiceNames);
});
