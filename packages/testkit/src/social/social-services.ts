/** Who somebody is at the other service; the code of the redirect names them. */
const people: Readonly<Record<string, { readonly sub: number; readonly email: string; readonly verified: boolean }>> = {
	dora: { sub: 101, email: "dora@example.test", verified: true },
	eve: { sub: 102, email: "eve@example.test", verified: true },
	ada: { sub: 103, email: "ada@example.test", verified: true },
	unsure: { sub: 104, email: "unsure@example.test", verified: false },
	"ada-on-github": { sub: 7, email: "ada.private@example.test", verified: true },
};

/** The hosts that it answers for. */
export const socialHosts = ["accounts.google.com", "oauth2.googleapis.com", "github.com", "api.github.com"] as const;

/** Google and GitHub, as far as a sign-in asks them: any secret is right, and their pages let everybody in as Ada. */
export async function socialServices(request: Request): Promise<Response> {
	const url = new URL(request.url);
	const at = `${url.hostname}${url.pathname}`;
	if (at === "accounts.google.com/o/oauth2/v2/auth" || at === "github.com/login/oauth/authorize") {
		const back = new URL(url.searchParams.get("redirect_uri") ?? "");
		back.searchParams.set("code", "ada");
		back.searchParams.set("state", url.searchParams.get("state") ?? "");
		const link = back.href.replaceAll("&", "&amp;");
		return new Response(`<!doctype html><title>Service</title><a href="${link}">It is me</a>`, {
			headers: { "content-type": "text/html" },
		});
	}
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
