import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { linuxNetwork } from "./host-network.ts";

describe("names of the overlay on this system", () => {
	afterEach(() => vi.unstubAllEnvs());

	/** A resolvectl that writes down how it is called. */
	function stage(script: string) {
		const folder = tempFolder("resolvectl");
		writeFileSync(folder.file("resolvectl"), `#!/bin/sh\n${script.replaceAll("$FOLDER", folder.path)}\n`);
		chmodSync(folder.file("resolvectl"), 0o755);
		vi.stubEnv("PATH", `${folder.path}:/usr/bin:/bin`);
		return folder;
	}

	it("are split from the system's: the overlay's domain alone is asked of it, on its interface alone", async () => {
		using folder = stage('echo "$@" >> $FOLDER/calls');
		expect(await linuxNetwork.useNames("warren0", "fd5a:1f00:0:1::1", "warren.internal")).toBeNull();
		// `~`: a route for that domain, and no suffix for what has no dot; no `default-route`.
		expect(readFileSync(folder.file("calls"), "utf8")).toBe(
			"dns warren0 fd5a:1f00:0:1::1\ndomain warren0 ~warren.internal\n",
		);
	});

	it("that the system does not take say why, once", async () => {
		using folder = stage('echo "$@" >> $FOLDER/calls; echo "Failed to resolve interface" >&2; exit 1');
		expect(await linuxNetwork.useNames("warren0", "fd5a::1", "warren.internal")).toBe("Failed to resolve interface");
		expect(readFileSync(folder.file("calls"), "utf8")).toBe("dns warren0 fd5a::1\n");
	});

	it("are left to whoever asks where there is no systemd-resolved", async () => {
		using folder = tempFolder("nothing");
		vi.stubEnv("PATH", folder.path);
		expect(await linuxNetwork.useNames("warren0", "fd5a::1", "warren.internal")).toBe("resolvectl is not installed");
	});
});
