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
		"A setup link works once, for a short while. Start the node again with “warren up” and it prints a new one, unless the machine is set up already.",
	signIn: "Sign in instead",
} as const;
