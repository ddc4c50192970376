import { describe, expect, it } from "vitest";
import { actorName, targetName } from "./actor-name.ts";

const names = new Map([
	["u1", "Ada Lovelace"],
	["d1", "Pixel"],
	["n1", "burrow"],
]);

describe("who did it", () => {
	it("is shown by name, whatever kind it is", () => {
		for (const [actor, name] of [
			["user:u1", "Ada Lovelace"],
			["device:d1", "Pixel"],
			["node:n1", "burrow"],
			["operator:setup", "setup link"],
			["operator:console", "a command on this machine"],
			["operator:ada", "ada"],
			["service:wiki", "service wiki"],
			["anonymous", "nobody"],
			["mesh:friends.example", "warren friends.example"],
		] as const)
			expect(actorName(actor, names), actor).toBe(name);
	});

	it("is a kind and the beginning of an identifier where it is gone", () => {
		expect(actorName("user:ghp2nhK7elQQKY3baYryHGbLcm2b", names)).toBe("person ghp2nhK7");
		expect(actorName("something new", names)).toBe("something new");
	});

	it("acted on what has a name, too", () => {
		expect(targetName("d1", names)).toBe("Pixel");
		expect(targetName("user:u1", names)).toBe("Ada Lovelace");
		expect(targetName("admin/api/grants/n1/web", names)).toBe("admin/api/grants/burrow/web");
		expect(targetName("warren.0", names)).toBe("warren.0");
	});
});
