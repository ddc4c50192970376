/** What to do about the library's own refusals, by their codes in small letters: it says only what happened. */
const fixes: Readonly<Record<string, string>> = {
	invalid_email_or_password: "Check both. The account is the one at this warren's hub, not the PIN of a machine.",
	invalid_password: "Type the password that you sign in with.",
	invalid_code: "Codes change every 30 seconds: take the one that is shown now, and check the clock of both devices.",
	invalid_backup_code: "Each backup code works once: take another one.",
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
	bad_name: "Give one that can be read.",
	too_many: "Delete one that is no longer used.",
	session_not_fresh: "Sign out and in again, then repeat this.",
	authentication_failed: "Use the passkey that was made for this very address, or sign in with email and password.",
	validation_error: "Correct the field that is named, and send it again.",
	unauthorized: "Sign in again.",
	not_found: "What there is stands at /openapi.",
	rate_limited: "Wait a little, then try again: Retry-After says how long.",
};

/** A refusal of the library in the shape of every API error; its own fields stay beside it. */
export function refusal(fields: Readonly<Record<string, unknown>>, status: number): Record<string, unknown> {
	const code = typeof fields["code"] === "string" ? fields["code"].toLowerCase() : codeOf(status);
	const fix = fixes[code];
	return {
		...fields,
		error: code,
		message: fields["message"] ?? "The request was refused.",
		...(fix === undefined ? {} : { fix }),
		retryable: status === 429 || status >= 500,
	};
}

function codeOf(status: number): string {
	switch (status) {
		case 401:
			return "unauthorized";
		case 403:
			return "forbidden";
		case 404:
			return "not_found";
		case 429:
			return "rate_limited";
		default:
			return status >= 500 ? "internal" : "bad_request";
	}
}
