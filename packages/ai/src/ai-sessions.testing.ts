import type { Authenticator, Identity } from "@warren/kernel";

/** Sessions of this test: the hub's authenticator in two lines. */
export const ada = "a".repeat(32);
export const bob = "b".repeat(32);
export const adaSecondDevice = "c".repeat(32);

const people: Readonly<Record<string, Identity>> = {
	[ada]: { kind: "user", userId: "ada" as never, name: "Ada", admin: true, deviceId: "laptop", expiresAt: 9e15 },
	[adaSecondDevice]: {
		kind: "user",
		userId: "ada" as never,
		name: "Ada",
		admin: true,
		deviceId: "phone",
		expiresAt: 9e15,
	},
	[bob]: { kind: "user", userId: "bob" as never, name: "Bob", admin: false, deviceId: "desktop", expiresAt: 9e15 },
};

export const sessions: Authenticator = {
	kinds: ["session"],
	async authenticate(credential) {
		if (credential.scheme !== "bearer") return null;
		const identity = people[credential.token];
		return identity === undefined
			? { ok: false, reason: "invalid", message: "This session has ended or was signed out." }
			: { ok: true, kind: "session", identity };
	},
};
