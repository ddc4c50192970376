export const t = {
	title: "Sign in",
	email: "Email",
	password: "Password",
	passwordHint: "At least 10 characters; a short sentence is best.",
	again: "Password once more",
	differ: "The two passwords differ.",
	name: "Your name",
	signIn: "Sign in",
	create: "Create the account",
	withPasskey: "Use a passkey",
	withService: (service: string) => `Continue with ${service}`,
	back: "Back",
	code: "Code",
	codeHint: "The six digits that your authenticator app shows now.",
	backupCode: "Backup code",
	backupHint: "One of the codes that were shown when you switched the second factor on. Each works once.",
	useBackup: "Use a backup code",
	useApp: "Use the app's code",
	firstTitle: "Make your account",
	firstLead:
		"It ties your machines together: documents that follow you, other machines that join with a code, phones that pair by scanning. It lives on this machine and nowhere else.",
	later: "Not now",
	laterHint: "Warren prints a link for it at its next start.",
	invitedTitle: "You are invited",
	invitedLead: (name: string) => `Make your account in this warren. Its hub is ${name}.`,
	invitedOther: (name: string) =>
		`You are signed in as ${name} here. A new account signs that one out of this browser.`,
	haveAccount: "Sign in instead",
	pairTitle: "Pair this device",
	pairLead: (name: string) => `It becomes one of your devices at ${name}.`,
	pairName: "Name of this device",
	pair: "Pair",
	pairWaiting: "Now confirm on the other screen",
	pairWaitingLead: (name: string) => `It asks whether “${name}” may sign in. This page goes on by itself.`,
	pairCut: "This pairing link is not whole",
	pairCutLead: (length: number, whole: number) =>
		`Behind “#pair=” stand ${length === 0 ? "no" : `${length} of ${whole}`} characters of its code. Copy the whole link, or scan the code on the other screen once more.`,
	pairBad: "This is no pairing link",
	pairBadLead: (whole: number) =>
		`Behind “#pair=” stands a code of ${whole} letters, digits, “-” and “_”, and here something else does. Copy the link from the other screen once more, or scan its code.`,
	pairOver: "This code no longer works",
	pairOverLead: "Codes last three minutes and pair one device. Show a new one on the other screen and scan it.",
	toSignIn: "Sign in instead",
	approveTitle: "A command line asks to sign in",
	approveLead: "Go on only if you just started it yourself and it shows this very code.",
	approve: "Let it in",
	deny: "Refuse",
	approved: "It is signed in. You can close this page.",
	denied: "It was refused. You can close this page.",
	approveSignIn: "Sign in first, to say that it is you.",
	toWarren: "Open Warren",
	noAccount: "No account yet?",
	noAccountHelp:
		"The first one is made with the setup link that Warren prints on the first machine; every other one with an invitation.",
} as const;

/** Why another service's sign-in did not end in one here. @param code the account library's. */
export function socialRefusal(code: string): string {
	switch (code) {
		case "INVITATION_NEEDED":
			return "No account here is linked to that one, and no invitation is open for its address. Ask the owner for one, or sign in and link it.";
		case "account_not_linked":
			return "An account here has that address. Sign in to it first, then link the other service under Account.";
		case "account_already_linked_to_different_user":
			return "That account is linked to somebody else here.";
		case "access_denied":
			return "The other service was not allowed to say who you are.";
		case "state_mismatch":
		case "please_restart_the_process":
			return "That sign-in was not begun in this browser, or took too long. Begin again.";
		default:
			return `The other service's sign-in did not work (${code.slice(0, 60)}). Begin again.`;
	}
}
