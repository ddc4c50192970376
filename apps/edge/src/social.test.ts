import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bearer, TestEdge } from "./edge.testing.ts";

/** Who somebody is at the other service; the code of the redirect names them. */
const people: Readonly<Record<string, { readonly sub: number; readonly email: string; readonly verified: boolean }>> = {
	dora: { sub: 101, email: "dora@example.test", verified: true },
	eve: { sub: 102, email: "eve@example.test", verified: true },
	ada: { sub: 103, email: "ada@example.test", verified: true },
	unsure: { sub: 104, email: "unsure@example.test", verified: false },
	"ada-on-github": { sub: 7, email: "ada.private@example.test", verified: true },
};

/** Google and GitHub, as far as a sign-in asks them. */
async function services(request: Request): Promise<Response> {
	const url = new URL(request.url);
	const at = `${url.hostname}${url.pathname}`;
	if (at === "oauth2.googleapis.com/token") {
		const form = new URLSearchParams(await request.text());
		const { sub, email, verified } = people[form.get("code") ?? ""] ?? { sub: 0, email: "", verified: false };
		const claims = { iss: "https://accounts.google.com", sub: String(sub), email, email_verified: verified, name: "G" };
		const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
		return Response.json({
			access_token: "google-access-token",
			token_type: "Bearer",
			expires_in: 3600,
			id_token: `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`,
		});
	}
	if (at === "github.com/login/oauth/access_token") {
		const body = await request.text();
		const code = new URLSearchParams(body).get("code") ?? (JSON.parse(body) as { code: string }).code;
		return Response.json({ access_token: code, token_type: "bearer", scope: "user:email" });
	}
	const who = people[request.headers.get("authorization")?.split(" ")[1] ?? ""];
	if (at === "api.github.com/user" && who !== undefined)
		return Response.json({ id: who.sub, login: "gh", name: "GH", email: who.email });
	if (at === "api.github.com/user/emails" && who !== undefined)
		return Response.json([{ email: who.email, primary: true, verified: who.verified }]);
	return new Response(`nobody asks for ${at}`, { status: 500 });
}

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };

describe("sign-in by another service's account", patient, () => {
	let edge: TestEdge;
	let owner: string;
	beforeAll(async () => {
		const bindings = {
			GOOGLE_CLIENT_ID: "google-id",
			GOOGLE_CLIENT_SECRET: "google-secret",
			GITHUB_CLIENT_ID: "github-id",
			GITHUB_CLIENT_SECRET: "github-secret",
		};
		edge = await TestEdge.open({ bindings, outbound: services });
		owner = await edge.owner();
	});
	afterAll(() => edge[Symbol.asyncDispose]());

	let addresses = 0;
	const from = () => ({ "cf-connecting-ip": `198.51.100.${++addresses}` });
	const cookiesOf = (headers: Headers) =>
		headers
			.getSetCookie()
			.map((each) => each.split(";")[0])
			.join("; ");

	/** Goes to the service and comes back as `code`. @returns where the person ends, and with which cookies. */
	async function visit(provider: string, code: string, path = "/auth/sign-in/social", headers = {}) {
		const body = { provider, callbackURL: "/welcome" };
		const asked = await edge.call("POST", path, body, { ...from(), ...headers });
		expect(asked.status, JSON.stringify(asked.body)).toBe(200);
		const state = new URL(asked.body.url).searchParams.get("state") ?? "";
		const cookie = cookiesOf(asked.headers);
		const back = await edge.call("GET", `/auth/callback/${provider}?code=${code}&state=${state}`, undefined, {
			...from(),
			cookie,
		});
		expect(back.status).toBe(302);
		return { to: back.headers.get("location") ?? "", cookie: cookiesOf(back.headers), asked };
	}

	const me = async (cookie: string) => (await edge.call("GET", "/me", undefined, { cookie })).body.user;

	it("sends people there with what was configured, and carries its state in a cookie that comes back", async () => {
		const { asked } = await visit("google", "eve");
		const url = new URL(asked.body.url);
		expect(url.origin + url.pathname).toBe("https://accounts.google.com/o/oauth2/v2/auth");
		expect(url.searchParams.get("client_id")).toBe("google-id");
		expect(url.searchParams.get("redirect_uri")).toBe(`${edge.origin}/auth/callback/google`);
		expect(asked.headers.getSetCookie().join()).toMatch(/__Host-warren-hub\.state=[^;]+;.*SameSite=Lax/);
		expect(JSON.stringify(asked.body)).not.toContain("google-secret");
	});

	it("makes no account without an invitation, and says so where the person ends", async () => {
		const { to, cookie } = await visit("google", "eve");
		expect(to).toContain("error=INVITATION_NEEDED");
		expect(cookie).not.toContain("session_token=");
		const { body } = await edge.call("GET", "/me/people", undefined, bearer(owner));
		expect(body.people).toHaveLength(1);
	});

	it("makes one for whom an invitation names by an address that the service has checked, once", async () => {
		const invite = (email: string) => edge.call("POST", "/me/invitations", { role: "user", email }, bearer(owner));
		expect((await invite("dora@example.test")).status).toBe(201);
		expect((await invite("unsure@example.test")).status).toBe(201);
		expect((await visit("google", "unsure")).to).toContain("error=INVITATION_NEEDED");
		const { to, cookie } = await visit("google", "dora");
		expect(to).toBe("/welcome");
		expect(await me(cookie)).toMatchObject({ email: "dora@example.test", role: "user" });
		const again = await visit("google", "dora");
		expect(await me(again.cookie)).toMatchObject({ email: "dora@example.test" });
		const token = await edge.call(
			"POST",
			"/auth/get-access-token",
			{ providerId: "google" },
			{
				cookie: again.cookie,
				origin: edge.origin,
			},
		);
		expect(JSON.stringify(token.body), "what the service's token opens is not kept").not.toContain(
			"google-access-token",
		);
	});

	it("gives nobody an account that stands by its address alone: people link it while they are signed in", async () => {
		expect((await visit("google", "ada")).to).toContain("error=account_not_linked");
		expect((await visit("github", "ada-on-github")).to).toContain("error=INVITATION_NEEDED");
		expect((await visit("github", "ada-on-github", "/auth/link-social", bearer(owner))).to).toBe("/welcome");
		const { to, cookie } = await visit("github", "ada-on-github");
		expect(to).toBe("/welcome");
		expect(await me(cookie)).toMatchObject({ email: "ada@example.test", role: "owner" });
	});

	it("takes no answer that this browser did not ask for", async () => {
		const asked = await edge.call("POST", "/auth/sign-in/social", { provider: "google", callbackURL: "/" }, from());
		const state = new URL(asked.body.url).searchParams.get("state") ?? "";
		const path = `/auth/callback/google?code=dora&state=${state}`;
		const stolen = await edge.call("GET", path, undefined, from());
		expect(stolen.headers.get("location")).toMatch(/error=state_mismatch/);
		expect(cookiesOf(stolen.headers)).not.toContain("session_token=");
	});

	it("sends nobody on to another origin afterwards", async () => {
		const body = { provider: "google", callbackURL: "https://evil.example/" };
		expect((await edge.call("POST", "/auth/sign-in/social", body, from())).status).toBe(403);
	});
});

it("a service that was not configured is not offered", patient, async () => {
	await using edge = await TestEdge.open();
	await edge.owner();
	const asked = await edge.call("POST", "/auth/sign-in/social", { provider: "google", callbackURL: "/" });
	expect(asked.status).toBe(404);
});
