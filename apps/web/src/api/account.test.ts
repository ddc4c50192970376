import { expect, test } from "vitest";
import { type Account, AccountStore, accountStorageKey } from "./account.ts";

const ada: Account = {
	token: "first",
	deviceId: "d1",
	userId: "u1",
	name: "Ada",
	email: "ada@example.test",
	savedAt: 1,
};

function memory(initial: Record<string, string> = {}) {
	const values = new Map(Object.entries(initial));
	return {
		getItem: (key: string) => values.get(key) ?? null,
		setItem: (key: string, value: string) => void values.set(key, value),
	};
}

test("an account is there again after a reload, and gone after a sign-out", () => {
	const storage = memory();
	new AccountStore(storage).put(ada);
	const again = new AccountStore(storage);
	expect(again.get()).toEqual(ada);
	again.drop();
	expect(new AccountStore(storage).get()).toBeUndefined();
});

test("a late refusal of an old token does not sign its successor out", () => {
	const store = new AccountStore(memory());
	store.put({ ...ada, token: "second" });
	store.drop("first");
	expect(store.get()?.token).toBe("second");
	store.drop("second");
	expect(store.get()).toBeUndefined();
});

test("what cannot be read counts as nobody", () => {
	for (const kept of ["{", "[]", '{"token":1}', "null", '"text"'])
		expect(new AccountStore(memory({ [accountStorageKey]: kept })).get(), kept).toBeUndefined();
});

test("a storage that refuses keeps the account in memory", () => {
	const refuse = () => {
		throw new DOMException("denied");
	};
	const store = new AccountStore({ getItem: refuse, setItem: refuse });
	const warned: unknown[] = [];
	const { warn } = console;
	console.warn = (...words) => void warned.push(words);
	try {
		store.put(ada);
	} finally {
		console.warn = warn;
	}
	expect(store.get()).toEqual(ada);
	expect(warned).toHaveLength(1);
});
