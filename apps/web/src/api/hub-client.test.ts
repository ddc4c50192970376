import { expect, test } from "vitest";
import { AccountStore } from "./account.ts";
import { ApiError } from "./exchange.ts";
import { createHub } from "./hub-client.ts";

const profile = { user: { id: "u1", name: "Ada", email: "ada@example.test" }, deviceId: "d1", expiresAt: 1 };

function setUp(answer: (path: string) => Response) {
	const account = new AccountStore({ getItem: () => null, setItem: () => undefined });
	const requests: { path: string; init: RequestInit; headers: Record<string, string> }[] = [];
	const hub = createHub(
		account,
		(async (path: string, init: RequestInit) => {
			requests.push({ path, init, headers: init.headers as Record<string, string> });
			return answer(path);
		}) as typeof fetch,
		() => "Ada's phone",
	);
	return { hub, account, requests };
}
const kept = { token: "kept", deviceId: "d", userId: "u", name: "Ada", email: "a@example.test", savedAt: 1 };

test("a sign-in names its device, adopts the session and learns whose it is", async () => {
	const { hub, account, requests } = setUp((path) =>
		path === "/me" ? Response.json(profile) : Response.json({ token: "t1" }),
	);
	expect(await hub.signIn("/auth/login", { email: "ada@example.test", password: "x" })).toEqual({ twoFactor: false });
	expect(requests[0]?.headers["x-warren-device"]).toBe("Ada's%20phone");
	expect(requests[1]?.headers.authorization).toBe("Bearer t1");
	expect(account.get()).toMatchObject({ token: "t1", userId: "u1", deviceId: "d1" });
});

test("a signed token is kept without its signature", async () => {
	const { hub, account } = setUp((path) =>
		path === "/me"
			? Response.json(profile)
			: Response.json({}, { headers: { "set-auth-token": "abc.sig%2Fnature%3D" } }),
	);
	await hub.signIn("/auth/passkey/verify-authentication", {});
	expect(account.get()?.token).toBe("abc");
});

test("a second factor is asked for before anything is kept", async () => {
	const { hub, account } = setUp(() => Response.json({ twoFactorRedirect: true }));
	expect(await hub.signIn("/auth/login", {})).toEqual({ twoFactor: true });
	expect(account.get()).toBeUndefined();
});

test("a session that has ended is dropped, one whose hub is away is kept", async () => {
	let status = 503;
	const { hub, account } = setUp(() =>
		Response.json({ error: status === 401 ? "unauthorized" : "hub_away", message: "no" }, { status }),
	);
	account.put(kept);
	await expect(hub.request("/me")).rejects.toThrow(ApiError);
	expect(account.get()?.token).toBe("kept");
	status = 401;
	await expect(hub.request("/me")).rejects.toThrow(ApiError);
	expect(account.get()).toBeUndefined();
});

test("a wrong password of a step does not end the session", async () => {
	const { hub, account } = setUp(() =>
		Response.json({ error: "invalid_password", message: "Invalid password" }, { status: 401 }),
	);
	account.put(kept);
	await expect(hub.request("/auth/two-factor/disable", { method: "POST", body: {} })).rejects.toThrow("Invalid");
	expect(account.get()?.token).toBe("kept");
});

test("cookies travel only where a flow needs them", async () => {
	const { hub, account, requests } = setUp(() => Response.json({}));
	account.put(kept);
	await hub.request("/rooms");
	await hub.request("/auth/passkey/generate-register-options", { cookies: true });
	expect(requests.map(({ init }) => init.credentials)).toEqual(["omit", "same-origin"]);
});

test("a refusal of too many tries says how long to wait, which a page's reader sees in no header", async () => {
	const { hub } = setUp(() =>
		Response.json(
			{ error: "rate_limited", message: "Too many.", fix: "Retry-After says how long." },
			{ status: 429, headers: { "retry-after": "7" } },
		),
	);
	await expect(hub.signIn("/auth/login", {})).rejects.toMatchObject({
		code: "rate_limited",
		fix: "Wait 7 s, then try again.",
	});
});
