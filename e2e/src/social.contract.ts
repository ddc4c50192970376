import { expect, it } from "vitest";

/** A hub that has an owner, and registrations `google-id` and `github-id` with secrets of the same beginning. */
export interface SocialHub {
	readonly origin: string;
	/** The owner's session. */
	readonly owner: string;
	call(
		method: string,
		path: string,
		body?: unknown,
		headers?: Readonly<Record<string, string>>,
	): Promise<{ readonly status: number; readonly body: any; readonly headers: Headers }>;
	/** Headers of a client at this address. */
	from(address: string): Readonly<Record<string, string>>;
}

/** Sign-in by another service's account: what holds at every hub. */
export function socialSuite(given: () => SocialHub): void {
	let addresses = 0;
	const from = () => given().from(`198.51.100.${++addresses}`);
	const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
	const call: SocialHub["call"] = (...asked) => given().call(...asked);
	const cookiesOf = (headers: Headers) =>
		headers
			.getSetCookie()
			.map((each) => each.split(";")[0])
			.join("; ");

	/** Goes to the service and comes back as `code`. @returns where the person ends, and with which cookies. */
	async function visit(provider: string, code: string, path = "/auth/sign-in/social", headers = {}) {
		const body = { provider, callbackURL: "/welcome" };
		const asked = await call("POST", path, body, { ...from(), ...headers });
		expect(asked.status, JSON.stringify(asked.body)).toBe(200);
		const state = new URL(asked.body.url).searchParams.get("state") ?? "";
		const cookie = cookiesOf(asked.headers);
		const back = await call("GET", `/auth/callback/${provider}?code=${code}&state=${state}`, undefined, {
			...from(),
			cookie,
		});
		expect(back.status).toBe(302);
		return { to: back.headers.get("location") ?? "", cookie: cookiesOf(back.headers), asked };
	}

	const me = async (cookie: string) => (await call("GET", "/me", undefined, { cookie })).body.user;

	it("says which services there are, to a page at an address that they were told", async () => {
		const { body } = await call("GET", "/auth/services");
		expect(body).toEqual({
			services: [
				{ id: "google", name: "Google" },
				{ id: "github", name: "GitHub" },
			],
		});
		expect(JSON.stringify(body)).not.toMatch(/-id|-secret/);
	});

	it("sends people there with what was configured, and carries its state in a cookie that comes back", async () => {
		const { asked } = await visit("google", "eve");
		const url = new URL(asked.body.url);
		expect(url.origin + url.pathname).toBe("https://accounts.google.com/o/oauth2/v2/auth");
		expect(url.searchParams.get("client_id")).toBe("google-id");
		expect(url.searchParams.get("redirect_uri")).toBe(`${given().origin}/auth/callback/google`);
		expect(asked.headers.getSetCookie().join()).toMatch(/__Host-warren-[a-z0-9]+\.state=[^;]+;.*SameSite=Lax/);
		expect(JSON.stringify(asked.body)).not.toContain("google-secret");
	});

	it("makes no account without an invitation, and says so where the person ends", async () => {
		const { to, cookie } = await visit("google", "eve");
		expect(to).toContain("error=INVITATION_NEEDED");
		expect(cookie).not.toContain("session_token=");
		const { body } = await call("GET", "/me/people", undefined, bearer(given().owner));
		expect(body.people).toHaveLength(1);
	});

	it("makes one for whom an invitation names by an address that the service has checked, once", async () => {
		const invite = (email: string) => call("POST", "/me/invitations", { role: "user", email }, bearer(given().owner));
		expect((await invite("dora@example.test")).status).toBe(201);
		expect((await invite("unsure@example.test")).status).toBe(201);
		expect((await visit("google", "unsure")).to).toContain("error=INVITATION_NEEDED");
		const { to, cookie } = await visit("google", "dora");
		expect(to).toBe("/welcome");
		expect(await me(cookie)).toMatchObject({ email: "dora@example.test", role: "user" });
		const again = await visit("google", "dora");
		expect(await me(again.cookie)).toMatchObject({ email: "dora@example.test" });
		const token = await call(
			"POST",
			"/auth/get-access-token",
			{ providerId: "google" },
			{
				cookie: again.cookie,
				origin: given().origin,
			},
		);
		expect(JSON.stringify(token.body), "what the service's token opens is not kept").not.toContain(
			"google-access-token",
		);
	});

	it("gives nobody an account that stands by its address alone: people link it while they are signed in", async () => {
		expect((await visit("google", "ada")).to).toContain("error=account_not_linked");
		expect((await visit("github", "ada-on-github")).to).toContain("error=INVITATION_NEEDED");
		expect((await visit("github", "ada-on-github", "/auth/link-social", bearer(given().owner))).to).toBe("/welcome");
		const { to, cookie } = await visit("github", "ada-on-github");
		expect(to).toBe("/welcome");
		expect(await me(cookie)).toMatchObject({ email: "ada@example.test", role: "owner" });
	});

	it("is taken back by whoever linked it, and then lets nobody in", async () => {
		const linked = await call("GET", "/auth/list-accounts", undefined, bearer(given().owner));
		const { id } = linked.body.find((each: { providerId: string }) => each.providerId === "github");
		expect(JSON.stringify(linked.body), "nothing of the service's tokens is told").not.toContain("ada-on-github");
		expect((await call("POST", "/auth/unlink-account", { accountId: id }, bearer(given().owner))).status).toBe(200);
		expect((await visit("github", "ada-on-github")).to).toContain("error=INVITATION_NEEDED");
	});

	it("takes no answer that this browser did not ask for", async () => {
		const asked = await call("POST", "/auth/sign-in/social", { provider: "google", callbackURL: "/" }, from());
		const state = new URL(asked.body.url).searchParams.get("state") ?? "";
		const path = `/auth/callback/google?code=dora&state=${state}`;
		const stolen = await call("GET", path, undefined, from());
		expect(stolen.headers.get("location")).toMatch(/error=state_mismatch/);
		expect(cookiesOf(stolen.headers)).not.toContain("session_token=");
	});

	it("sends nobody on to another origin afterwards", async () => {
		const body = { provider: "google", callbackURL: "https://evil.example/" };
		expect((await call("POST", "/auth/sign-in/social", body, from())).status).toBe(403);
	});
}
