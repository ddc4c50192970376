import { chmodSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { TailscalePeers } from "./tailscale.ts";

/** A program on the disk that stands in for `tailscale`: what it prints, where, and how it ends. */
async function ask(script: string, abortAfterStart = false) {
	using folder = tempFolder("tailscale");
	const command = folder.file("tailscale");
	writeFileSync(command, `#!/bin/sh\n${script}\n`);
	chmodSync(command, 0o755);
	const abort = new AbortController();
	if (abortAfterStart) setImmediate(() => abort.abort());
	return await new TailscalePeers({ command, port: 5151, user: "ada" }).candidates(abort.signal);
}
const status = (value: unknown) => `cat <<'END'\n${JSON.stringify(value)}\nEND`;
const box = { HostName: "Box", DNSName: "Box.tail1.ts.net.", TailscaleIPs: ["100.64.0.2"], Online: true };

describe("tailscale's peers", () => {
	it("are its machines that are on, by their name without its dot; the machine itself is none", async () => {
		const answer = await ask(
			`[ "$*" = "status --json" ] || exit 9\n${status({
				BackendState: "Running",
				Self: { HostName: "me", DNSName: "me.tail1.ts.net." },
				Peer: {
					a: box,
					b: { HostName: "bare", DNSName: "", TailscaleIPs: ["100.64.0.3", "fd7a::3"] },
					c: { ...box, HostName: "off", DNSName: "off.tail1.ts.net.", Online: false },
					d: { HostName: "nowhere" },
				},
			})}`,
		);
		expect(answer).toEqual({
			candidates: [
				{ name: "Box", host: "box.tail1.ts.net", port: 5151 },
				{ name: "bare", host: "100.64.0.3", port: 5151 },
			],
			errors: [],
		});
	});

	it("come with the machine's own name", async () => {
		using folder = tempFolder("tailscale");
		const command = folder.file("tailscale");
		writeFileSync(
			command,
			`#!/bin/sh\n${status({ BackendState: "Running", Self: { DNSName: "me.tail1.ts.net." } })}\n`,
		);
		chmodSync(command, 0o755);
		const names: string[] = [];
		const source = new TailscalePeers({ command, port: 1, user: "ada", onSelf: (name) => names.push(name) });
		await source.candidates(new AbortController().signal);
		expect(names).toEqual(["me.tail1.ts.net"]);
	});

	it("may be nobody", async () => {
		expect(await ask(status({ BackendState: "Running", Peer: null }))).toEqual({ candidates: [], errors: [] });
	});

	it.each([
		[
			"operator_denied",
			'echo "Access denied: status access denied, must be an operator" >&2; exit 1',
			"--operator=ada",
		],
		[
			"tailscale_unavailable",
			'echo "failed to connect to local tailscaled; it doesn\'t appear to be running" >&2; exit 1',
			"tailscale status",
		],
		["tailscale_unavailable", status({ BackendState: "NeedsLogin", Peer: null }), "tailscale up"],
		["tailscale_unavailable", status({ BackendState: "Stopped", Peer: { a: box } }), "tailscale up"],
		["parse_error", "echo not json", "by hand"],
		["parse_error", status({ Peer: { a: { HostName: 7 } } }), "by hand"],
		["parse_error", "exit 0", "by hand"],
		["tailscale_unavailable", "exit 3", "tailscale status"],
	])("%s: says so, with what to do, instead of an empty list", async (kind, script, fix) => {
		const { candidates, errors } = await ask(script);
		expect(candidates).toEqual([]);
		expect(errors).toEqual([
			{ source: "tailscale", kind, message: expect.stringMatching(/./), fix: expect.stringContaining(fix) },
		]);
	});

	it("tailscale_not_installed", async () => {
		const missing = new TailscalePeers({ command: "/nonexistent/tailscale", port: 5151, user: "ada" });
		const { errors } = await missing.candidates(new AbortController().signal);
		expect(errors).toMatchObject([{ kind: "tailscale_not_installed" }]);
	});

	it("timeout: a program that hangs is stopped", async () => {
		const { errors } = await ask("exec sleep 60");
		expect(errors).toMatchObject([{ kind: "timeout" }]);
	});

	it("timeout: so is one whose asker has no time left", async () => {
		const { errors } = await ask("exec sleep 60", true);
		expect(errors).toMatchObject([{ kind: "timeout" }]);
	});
});
