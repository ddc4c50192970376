import { expect, test } from "vitest";
import { passkeyObstacle } from "./passkeys.ts";

test("passkeys need a name: bare addresses have none", () => {
	for (const host of ["192.168.1.20", "127.0.0.1", "[fd5a:1f00::1]"])
		expect(passkeyObstacle(host, true), host).toBe("address");
	for (const host of ["localhost", "atlas.local", "1password.internal", "10.example.test"])
		expect(passkeyObstacle(host, true), host).toBeNull();
	expect(passkeyObstacle("atlas.local", false)).toBe("unsupported");
});
