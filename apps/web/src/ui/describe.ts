import { ApiError } from "../api/exchange.ts";

/** What to do about refusals whose sender does not say: the account library's. */
const fixes: Readonly<Record<string, string>> = {
	invalid_email_or_password: "Check both. The account is the one at this warren's hub, not the PIN of a machine.",
	invalid_password: "Type the password that you sign in with.",
	invalid_code: "Codes change every 30 seconds: take the one that is shown now, and check the clock of both devices.",
	invalid_two_factor_cookie: "The sign-in took too long. Begin again with email and password.",
	password_too_short: "Use at least 10 characters; a short sentence is best.",
	password_too_long: "Use at most 128 characters.",
	invalid_email: "Check the address for a typing error.",
	user_already_exists: "Sign in instead.",
	user_already_exists_use_another_email: "Sign in instead, or use another address.",
	setup_spent: "Restart Warren on its first machine: it prints a new link while there is no account.",
	setup_needed: "Open the link that Warren printed on its first machine.",
	invitation_needed: "Ask whoever runs this warren for an invitation link.",
	bad_invitation: "Ask for a new one; each works once.",
	session_not_fresh: "Sign out and in again, then repeat this.",
	authentication_failed: "Use the passkey that was made for this very address, or sign in with email and password.",
	rate_limited: "Wait a little, then try again.",
	document_forbidden: "Ask its owner to share it with you.",
};

/** Any failure as `{message, fix, code}`, ready to be read. */
export function describe(failure: unknown): { message: string; fix: string; code: string } {
	if (failure instanceof ApiError)
		return { message: failure.message, fix: failure.fix || (fixes[failure.code] ?? ""), code: failure.code };
	const message = failure instanceof Error ? failure.message : String(failure);
	return { message: message || "Something failed without saying why.", fix: "", code: "" };
}
