import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { certificatesIn } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { startCoordinator, TestJoiner } from "../coordinator/coordinator.testing.ts";
import { openRevocationFile } from "../coordinator/revocation-file.ts";
import { verifyRoster } from "../joiner/signed-roster.ts";
import { AuthorityFolder } from "./authority-folder.ts";

/** A CA, and what it gives out. */
async function openMesh() {
	const folder = tempFolder("overlay-ca");
	const path = folder.file("ca");
	let ca = await AuthorityFolder.init(path, "mesh", ["203.0.113.7", "mesh.example"], systemClock, systemRandom);
	const issue = async (name: string, hosts: readonly string[] = []) => {
		const out = folder.file(name);
		await ca.issuePeer({ name, out, tags: ["x"], hosts, days: 30 });
		const read = (file: string) => readFileSync(join(out, file), "utf8");
		return { ca: read("ca.crt"), cert: read("peer.crt"), key: read("peer.key") };
	};
	return {
		path,
		issue,
		reopen: async () => (ca = await AuthorityFolder.open(path, systemClock, systemRandom)),
		rotate: async () => (ca = await ca.rotate()),
		get ca() {
			return ca;
		},
		/** What is brought to every machine. */
		trusted: () => readFileSync(join(path, "ca.crt"), "utf8"),
		[Symbol.dispose]: () => folder[Symbol.dispose](),
	};
}

type Pair = Awaited<ReturnType<Awaited<ReturnType<typeof openMesh>>["issue"]>>;
const serverOf = ({ cert, key }: Pair, clientCa: string) => ({ cert, key, clientCa });

describe("a CA's index", () => {
	it("A2 knows all that is issued and revoked at once, and each name as one machine", async () => {
		using mesh = await openMesh();
		const names = ["a", "b", "constructor"];
		await Promise.all([...names, ...names].map((name) => mesh.issue(name)));
		const listed = mesh.ca.list();
		expect(listed.map(({ name, serialNumbers }) => [name, serialNumbers.length]).toSorted()).toEqual(
			names.map((name) => [name, 2]),
		);
		await Promise.all(["a", "constructor"].map((name) => mesh.ca.revoke(name)));
		const revocations = await openRevocationFile(join(mesh.path, "ca.crl"), mesh.trusted);
		const revoked = (name: string) =>
			listed.find((each) => each.name === name)?.serialNumbers.map((serial) => revocations.isRevoked(serial));
		expect([revoked("a"), revoked("b"), revoked("constructor")]).toEqual([
			[true, true],
			[false, false],
			[true, true],
		]);
		await expect(mesh.ca.revoke("toString")).rejects.toMatchObject({ code: "unknown_peer" });
	});
});

describe("a CA that is replaced", () => {
	it("A1 both count until the earlier one is retired: machines are renewed one by one, coordinators too", async () => {
		using mesh = await openMesh();
		const before = {
			server: await mesh.issue("coordinator", ["127.0.0.1"]),
			a: await mesh.issue("a"),
			b: await mesh.issue("b"),
		};
		const next = await mesh.rotate();
		expect(next.earlier).toBe(1);
		expect(next.notRenewed().toSorted()).toEqual(["a", "b", "coordinator"]);
		const both = mesh.trusted();
		expect(certificatesIn(both)).toHaveLength(2);

		let peerId = "";
		{
			// The coordinator has not been renewed: old and new machines come in.
			await using server = await startCoordinator({ tls: serverOf(before.server, both) });
			const renewed = await mesh.issue("a");
			expect(renewed.ca).toBe(both);
			await using a = new TestJoiner(server.url, { ...before.a, ca: both });
			expect(await a.register()).toMatchObject({ status: 200 });
			peerId = a.peerId;
			await using again = new TestJoiner(server.url, renewed, a.key);
			expect(await again.heartbeat({ peer_id: peerId })).toMatchObject({ status: 200 });
			await using b = new TestJoiner(server.url, { ...before.b, ca: both });
			expect(await b.register()).toMatchObject({ status: 200 });
		}
		{
			// It is renewed: who has the file with both believes it and what it signs; who has not, does not.
			const server = await mesh.issue("coordinator", ["127.0.0.1", "203.0.113.7", "mesh.example"]);
			await using running = await startCoordinator({ tls: serverOf(server, both) });
			await using b = new TestJoiner(running.url, { ...before.b, ca: both });
			expect(await b.register()).toMatchObject({ status: 200 });
			const { body } = await b.call("GET", `/v1/mesh/roster?peer_id=${b.peerId}`);
			expect(verifyRoster(body, both)?.peerId).toBe(b.peerId);
			expect(verifyRoster(body, before.b.ca)).toBeNull();
			await using late = new TestJoiner(running.url, before.b);
			await expect(late.register()).rejects.toThrow(/certificate/);
		}

		expect(mesh.ca.notRenewed()).toEqual(["b"]);
		expect(() => mesh.ca.retire()).toThrow(
			expect.objectContaining({ code: "conflict", message: expect.stringMatching(/1 machines.*: b\./) }),
		);
		const b = await mesh.issue("b");
		mesh.ca.retire();
		const alone = mesh.trusted();
		expect(certificatesIn(alone)).toHaveLength(1);
		const server = await mesh.issue("coordinator", ["127.0.0.1"]);
		await using running = await startCoordinator({ tls: serverOf(server, alone) });
		await using renewed = new TestJoiner(running.url, { ...b, ca: alone });
		expect(await renewed.register()).toMatchObject({ status: 200 });
		await using old = new TestJoiner(running.url, { ...before.b, ca: alone });
		await expect(old.register()).rejects.toThrow();
	});

	it("A1 what was revoked stays revoked, by a list that either CA may have signed", async () => {
		using mesh = await openMesh();
		await mesh.issue("a");
		const { file, serialNumbers } = await mesh.ca.revoke("a");
		const before = readFileSync(file, "utf8");
		await mesh.rotate();
		for (const list of [before, readFileSync(file, "utf8")]) {
			writeFileSync(file, list);
			const revocations = await openRevocationFile(file, mesh.trusted);
			expect(serialNumbers.map((each) => revocations.isRevoked(each))).toEqual([true]);
		}
		// One that is open goes by what is trusted now.
		writeFileSync(file, before);
		let trusted = certificatesIn(mesh.trusted())[1] as string;
		const open = await openRevocationFile(file, () => trusted);
		await mesh.ca.writeRevocations();
		await expect(open.refresh()).rejects.toMatchObject({ code: "bad_certificate" });
		expect(serialNumbers.map((each) => open.isRevoked(each))).toEqual([true]);
		trusted = mesh.trusted();
		await open.refresh();
		writeFileSync(file, before);
		mesh.ca.retire(true);
		await expect(openRevocationFile(file, mesh.trusted)).rejects.toMatchObject({ code: "bad_certificate" });
	});

	it("A1 is one at a time, and by no accident: cut between its files, the earlier CA goes on", async () => {
		using mesh = await openMesh();
		const { fingerprint } = mesh.ca;
		const key = readFileSync(join(mesh.path, "ca.key"), "utf8");
		await mesh.rotate();
		await expect(mesh.ca.rotate()).rejects.toMatchObject({ code: "conflict" });
		expect((await mesh.reopen()).fingerprint).not.toBe(fingerprint);
		// The certificates were written, the key was not.
		writeFileSync(join(mesh.path, "ca.key"), key);
		expect((await mesh.reopen()).fingerprint).toBe(fingerprint);
		const leaf = await mesh.issue("a");
		expect(certificatesIn(leaf.ca)).toHaveLength(2);
		mesh.ca.retire();
		expect((await mesh.rotate()).earlier).toBe(1);
		const other = tempFolder("overlay-ca");
		await AuthorityFolder.init(other.file("ca"), "other", [], systemClock, systemRandom);
		writeFileSync(join(mesh.path, "ca.key"), readFileSync(other.file("ca/ca.key"), "utf8"));
		await expect(mesh.reopen()).rejects.toThrow(/ca\.key is none of ca\.crt's/);
		other[Symbol.dispose]();
	});
});
