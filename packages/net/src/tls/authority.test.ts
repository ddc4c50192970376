import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { systemClock, systemRandom } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { Authority, createCsr } from "./authority.ts";
import { nodeIdOf } from "./certificates.ts";
import { fingerprintOfPem, parseFingerprint } from "./fingerprint.ts";

const make = () => Authority.create("Test warren", ["burrow", "203.0.113.7"], systemClock, systemRandom);

/** Handshakes with a server that presents `leaf`, trusting only `ca`. @returns the client's verdict. */
async function handshake(ca: string, leaf: { cert: string; key: string }, host: string): Promise<string> {
	const server = createServer(leaf, (socket) => socket.end());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as { port: number };
	const verdict = await new Promise<string>((resolve) => {
		const socket: TLSSocket = connect(
			{
				port,
				host: "127.0.0.1",
				servername: /^[\d.]+$/.test(host) ? "" : host,
				ca,
				checkServerIdentity: () => undefined,
			},
			() => {
				resolve("trusted");
				socket.destroy();
			},
		);
		socket.on("error", (fault: NodeJS.ErrnoException) => resolve(fault.code ?? fault.message));
	});
	server.close();
	return verdict;
}

describe("the warren's CA", () => {
	it("issues leaves that a client with only this CA trusts", async () => {
		const { authority } = await make();
		const leaf = await authority.issue({
			name: "burrow",
			hosts: ["burrow", "localhost", "127.0.0.1", "::1", "192.168.1.5", "burrow.warren.internal"],
		});
		expect(await handshake(authority.certPem, leaf, "localhost")).toBe("trusted");
		expect(new X509Certificate(leaf.cert).subjectAltName).toContain("DNS:burrow.warren.internal");
	});

	it("is critically constrained: OpenSSL refuses a leaf for a public name even when the CA signs it", async () => {
		const { authority, pem } = await make();
		const folder = mkdtempSync(join(tmpdir(), "warren-ca-"));
		try {
			const file = (name: string, text: string) => {
				writeFileSync(join(folder, name), text);
				return join(folder, name);
			};
			const { csr, key } = await createCsr("bank.example");
			const leaf = join(folder, "leaf.pem");
			execFileSync(
				"openssl",
				[
					"x509",
					"-req",
					"-in",
					file("csr.pem", csr),
					"-CA",
					file("ca.pem", pem.cert),
					"-CAkey",
					file("ca.key", pem.key),
					"-days",
					"1",
					"-out",
					leaf,
					"-extfile",
					file("ext", "subjectAltName=DNS:bank.example"),
				],
				{ stdio: "ignore" },
			);
			const judged = spawnSync("openssl", ["verify", "-CAfile", join(folder, "ca.pem"), leaf], { encoding: "utf8" });
			expect(judged.stderr).toContain("permitted subtree violation");
			const cert = readFileSync(leaf, "utf8");
			expect(await handshake(authority.certPem, { cert, key }, "bank.example")).not.toBe("trusted");
		} finally {
			rmSync(folder, { recursive: true });
		}
	});

	it("leaves out hosts that its constraints do not cover", async () => {
		const { authority } = await make();
		expect(
			["burrow", "x.local", "10.1.2.3", "203.0.113.7", "fd5a:1f00::1"].map((host) => authority.allows(host)),
		).toEqual([true, true, true, true, true]);
		expect(["example.com", "203.0.113.8", "2001:db8::1"].map((host) => authority.allows(host))).toEqual([
			false,
			false,
			false,
		]);
		const leaf = await authority.issue({ name: "n", hosts: ["example.com", "localhost"] });
		expect(new X509Certificate(leaf.cert).subjectAltName).toBe("DNS:localhost");
	});

	it("signs a machine's own key from a CSR, with the names it was told, and refuses a broken request", async () => {
		const { authority } = await make();
		const { csr, key } = await createCsr("evil.example");
		const cert = await authority.issueForCsr(csr, { name: "second", hosts: ["second.warren.internal", "localhost"] });
		expect(new X509Certificate(cert).subject).toBe("CN=second");
		expect(await handshake(authority.certPem, { cert, key }, "localhost")).toBe("trusted");
		await expect(authority.issueForCsr("nonsense", { name: "x", hosts: [] })).rejects.toMatchObject({
			code: "bad_csr",
		});
	});

	it("loads what it made, and says so when the files are broken", async () => {
		const { authority, pem } = await make();
		const again = await Authority.load(pem, systemClock, systemRandom);
		expect(again.fingerprint).toBe(authority.fingerprint);
		expect(parseFingerprint(fingerprintOfPem(pem.cert).replaceAll(":", "").toUpperCase())).toBe(authority.fingerprint);
		const other = await make();
		for (const broken of [{ cert: "broken" }, { key: "broken" }, { key: other.pem.key }]) {
			await expect(Authority.load({ ...pem, ...broken }, systemClock, systemRandom)).rejects.toMatchObject({
				code: "bad_certificate",
			});
		}
	});
});

describe("a machine's identifier", () => {
	it("stands in its leaf, which OpenSSL and a renewal with the same key take", async () => {
		const { authority } = await make();
		const { csr, key } = await createCsr("second");
		const facts = { name: "second", hosts: ["localhost"], nodeId: "abcdefgh12345678" };
		const cert = await authority.issueForCsr(csr, facts);
		expect(new X509Certificate(cert).subjectAltName).toBe("DNS:localhost, URI:urn:warren:node:abcdefgh12345678");
		expect(nodeIdOf(new X509Certificate(cert).raw)).toBe("abcdefgh12345678");
		expect(await handshake(authority.certPem, { cert, key }, "localhost")).toBe("trusted");
		const again = await createCsr("second", key);
		expect(again.key).toBe(key);
		const renewed = await authority.issueForCsr(again.csr, facts);
		expect(await handshake(authority.certPem, { cert: renewed, key }, "localhost")).toBe("trusted");
	});

	it("is nobody's in a leaf without one, whatever its names spell", async () => {
		const { authority } = await make();
		const names = ["localhost", "x.urn-warren-node-abcdefgh.local"];
		expect(nodeIdOf(new X509Certificate((await authority.issue({ name: "x", hosts: names })).cert).raw)).toBeNull();
	});
});
