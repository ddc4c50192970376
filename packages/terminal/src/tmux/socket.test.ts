import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tempFolder } from "@warren/testkit";
import { expect, test } from "vitest";
import { findUserSockets, maxSocketPathBytes, ownSocket } from "./socket.ts";

const uid = process.getuid?.() ?? 0;

function listen(path: string): Promise<Server> {
	const server = createServer();
	return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

test("only real sockets of this user, in a folder that only this user writes, are offered", async () => {
	using folder = tempFolder("sockets");
	const sockets = folder.file("tmux-0");
	expect(findUserSockets(sockets, uid, "")).toEqual([]);
	mkdirSync(sockets, { mode: 0o700 });
	const servers = [
		await listen(`${sockets}/default`),
		await listen(`${sockets}/warren`),
		await listen(`${sockets}/a b`),
	];
	writeFileSync(`${sockets}/file`, "");
	symlinkSync(`${sockets}/default`, `${sockets}/link`);
	try {
		expect(findUserSockets(sockets, uid, "").map((each) => [each.key, each.own])).toEqual([
			["default", false],
			["warren-user", false],
		]);
		expect(findUserSockets(sockets, uid, `${sockets}/warren`).map((each) => each.key)).toEqual(["default"]);
		expect(findUserSockets(sockets, uid + 1, "")).toEqual([]);
		chmodSync(sockets, 0o777);
		expect(findUserSockets(sockets, uid, "")).toEqual([]);
	} finally {
		for (const server of servers) server.close();
	}
});

test("a socket's path that does not fit says how long it is", () => {
	expect(ownSocket(`/${"x".repeat(maxSocketPathBytes - 1)}`).key).toBe("warren");
	expect(() => ownSocket(`/${"x".repeat(maxSocketPathBytes)}`)).toThrow("has 104 bytes; 103 fit");
});
