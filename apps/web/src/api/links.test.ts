import { expect, test } from "vitest";
import { reachableOrigin } from "./links.ts";

test("another device gets the address that this page was reached by, never loopback", () => {
	const hub = "https://atlas:5151/";
	expect(reachableOrigin({ hostname: "atlas.local", origin: "https://atlas.local:5151" }, hub)).toBe(
		"https://atlas.local:5151",
	);
	for (const hostname of ["localhost", "127.0.0.1", "[::1]"])
		expect(reachableOrigin({ hostname, origin: `https://${hostname}:5151` }, hub)).toBe("https://atlas:5151");
});
