import type { RouteAbout } from "@warren/net";
import { z } from "zod";

const email = z.email();
const password = z.string().min(10).max(128);
const login = z.object({ email, password });
const userCode = z.object({ userCode: z.string() });
const code = z.object({ code: z.string() });
const social = z.object({
	provider: z.enum(["google", "github"]),
	callbackURL: z.string().optional(),
	errorCallbackURL: z.string().optional(),
});

/** The account library's paths, as far as clients use them: it reads its bodies by itself, these describe them. */
export const aboutAuth = {
	login: { summary: "Sign in with email and password", body: login },
	signup: {
		summary: "Make an account: the first with the setup secret, later ones with an invitation",
		body: z.object({ name: z.string(), email, password, invitation: z.string().optional() }),
	},
	services: { summary: "Other services by which people sign in on this page: Google, GitHub" },
	library: {
		summary: "Accounts (Better Auth)",
		paths: [
			{ method: "POST", path: "/auth/sign-out", summary: "End this session" },
			{
				method: "POST",
				path: "/auth/change-password",
				summary: "Change one's password",
				body: z.object({
					currentPassword: z.string(),
					newPassword: password,
					revokeOtherSessions: z.boolean().optional(),
				}),
			},
			{
				method: "POST",
				path: "/auth/device/code",
				summary: "Begin a sign-in by code (RFC 8628)",
				body: z.object({ client_id: z.string() }),
			},
			{
				method: "POST",
				path: "/auth/device/token",
				summary: "Ask whether the code was approved",
				body: z.object({ grant_type: z.string(), device_code: z.string(), client_id: z.string() }),
			},
			{ method: "POST", path: "/auth/device/approve", summary: "Approve a sign-in by code", body: userCode },
			{ method: "POST", path: "/auth/device/deny", summary: "Refuse a sign-in by code", body: userCode },
			{
				method: "POST",
				path: "/auth/two-factor/enable",
				summary: "Begin a second factor",
				body: z.object({ password: z.string() }),
			},
			{ method: "POST", path: "/auth/two-factor/verify-totp", summary: "Show the second factor", body: code },
			{
				method: "POST",
				path: "/auth/sign-in/social",
				summary: "Sign in by another service: answers with the URL to go to",
				body: social,
			},
			{
				method: "POST",
				path: "/auth/link-social",
				summary: "Link one's account of another service: answers with the URL to go to",
				body: social,
			},
			{ method: "GET", path: "/auth/list-accounts", summary: "What one can sign in by" },
			{
				method: "POST",
				path: "/auth/unlink-account",
				summary: "No longer sign in by another service",
				body: z.object({ accountId: z.string() }),
			},
			{ method: "GET", path: "/auth/passkey/list-user-passkeys", summary: "One's passkeys" },
			{
				method: "POST",
				path: "/auth/api-key/create",
				summary: "Make an API key",
				body: z.object({ name: z.string().optional() }),
			},
			{ method: "GET", path: "/auth/admin/list-users", summary: "People with an account (administrators)" },
			{
				method: "POST",
				path: "/auth/admin/set-role",
				summary: "Make somebody an administrator, or no longer",
				body: z.object({ userId: z.string(), role: z.enum(["user", "admin"]) }),
			},
		],
	},
} as const satisfies Record<string, RouteAbout>;
