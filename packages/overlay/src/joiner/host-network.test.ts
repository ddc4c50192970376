import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { tempFolder } from "@warren/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { linuxNetwork } from "./host-network.ts";

describe("forwarding for stock clients", () => {
	/** In a network of its own: an uplink that takes router advertisements, one that does not, one that forwards already. */
	const script = `set -e
		for name in warren0 up0 up0.5 static0 router0; do ip link add $name type veth peer name p$name; done
		cd /proc/sys/net/ipv6/conf
		for name in warren0 up0 up0.5 static0 router0 default; do echo 1 > $name/accept_ra; echo 0 > $name/forwarding; done
		echo 0 > static0/accept_ra
		echo 1 > router0/forwarding
		node --input-type=module --eval "$1"
		for name in up0 up0.5 static0 router0 default; do echo $name $(cat $name/accept_ra $name/forwarding); done
		echo $(cat all/forwarding warren0/forwarding)`;
	const call = `
		const { linuxNetwork } = await import(${JSON.stringify(new URL("./host-network.ts", import.meta.url).href)});
		console.log(await linuxNetwork.forward("warren0"));`;

	it("leaves this host's own uplinks what routers tell them: their addresses and their way out", (context) => {
		const isAble = spawnSync("unshare", ["--net", "ip", "link", "add", "x", "type", "veth"]).status === 0;
		context.skip(!isAble, "networks of its own and iproute2 are needed");
		const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` };
		const done = spawnSync("unshare", ["--net", "sh", "-c", script, "sh", call], { env, encoding: "utf8" });
		expect(done.stdout, done.stderr).toBe("null\nup0 2 1\nup0.5 2 1\nstatic0 0 1\nrouter0 1 1\ndefault 2 1\n1 1\n");
	});
});

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
