import { describe, expect, test, vi } from "vitest";
import { type Credential, CredentialStore, credentialStorageKey, refusedBy, refusedByClose } from "./credentials.ts";

const credential = (token: string): Credential => ({ token, deviceId: "d", machineName: "m", savedAt: 1 });

function memory(initial: Record<string, string> = {}) {
	const values = new Map(Object.entries(initial));
	return {
		getItem: (key: string) => values.get(key) ?? null,
		setItem: (key: string, value: string) => void values.set(key, value),
	};
}

describe("the credential store", () => {
	test("keeps one token a machine, over a reload", () => {
		const storage = memory();
		const store = new CredentialStore(storage);
		store.put("self", credential("a"));
		store.put("forge", credential("b"));
		const later = new CredentialStore(storage);
		expect(later.get("self")?.token).toBe("a");
		expect(later.get("forge")?.token).toBe("b");
	});

	test("dropping one machine's token leaves the others", () => {
		const store = new CredentialStore(memory());
		store.put("self", credential("a"));
		store.put("forge", credential("b"));
		store.drop("forge");
		expect(store.get("forge")).toBeUndefined();
		expect(store.get("self")?.token).toBe("a");
	});

	test("a late refusal of an old token does not wipe its successor", () => {
		const store = new CredentialStore(memory());
		store.put("self", credential("new"));
		store.drop("self", "old");
		expect(store.get("self")?.token).toBe("new");
	});

	test("what is stored and is no credential is left out", () => {
		const store = new CredentialStore(memory({ [credentialStorageKey]: '{"self":{"token":4},"forge":{"token":"b"}}' }));
		expect(store.all().map(([machine]) => machine)).toEqual(["forge"]);
		expect(new CredentialStore(memory({ [credentialStorageKey]: "no json" })).all()).toEqual([]);
	});

	test("a machine called like a property of every object is not signed in", () => {
		expect(new CredentialStore(memory()).get("constructor")).toBeUndefined();
	});

	test("a storage that refuses keeps the sign-in in memory", () => {
		vi.spyOn(console, "warn").mockImplementation(() => undefined);
		const store = new CredentialStore({
			getItem: () => {
				throw new Error("denied");
			},
			setItem: () => {
				throw new Error("denied");
			},
		});
		store.put("self", credential("a"));
		expect(store.get("self")?.token).toBe("a");
	});
});

describe("whose 401 it is", () => {
	const headers = (values: Record<string, string>) => (name: string) => values[name] ?? null;
	test.each([
		["self", { "x-warren-auth": "node" }, "self"],
		["forge", { "x-warren-auth": "node", "x-warren-relay": "0" }, "forge"],
		["forge", { "x-warren-auth": "node", "x-warren-relay": "1" }, "self"],
		["forge", { "x-warren-auth": "node" }, "self"],
		["forge", {}, "self"],
	])("asked of %s with %o: the token of %3$s", (machine, values, expected) => {
		expect(refusedBy(machine, headers(values as Record<string, string>)).machine).toBe(expected);
	});

	test.each([
		["self", '{"error":"unauthorized","message":"x"}', "self"],
		["forge", '{"error":"unauthorized","message":"x"}', "forge"],
		["forge", '{"error":"unauthorized","message":"x","relay":1}', "self"],
		["forge", '{"error":"unauthorized","relay":1,"message":"cut at 123 by', "self"],
	])("a close of a socket of %s with %s", (machine, reason, expected) => {
		expect(refusedByClose(machine, reason)).toBe(expected);
	});
});
