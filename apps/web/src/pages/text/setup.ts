export const t = {
	title: "Make this machine yours",
	lead: "Choose a user and a PIN for it. They open its terminals, so choose a PIN that nobody guesses.",
	pin: "PIN",
	pinHint: "At least 6 characters; a short sentence is best.",
	again: "PIN once more",
	differ: "The two PINs differ.",
	submit: "Set up and sign in",
	spentTitle: "This link is used up",
	spent:
		"A setup link sets a machine up once, for a short while, and makes the first account once. Where one of the two is missing, “warren up” prints a new link when it starts again.",
	accountLeft: "Make the account, if there is none yet",
	signIn: "Sign in instead",
} as const;
