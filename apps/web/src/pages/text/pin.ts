export const t = {
	title: (name: string) => `${name} shows another certificate`,
	lead: "Nothing was sent to it. A reinstalled machine makes a new certificate; so does someone who stands in between. Compare with the fingerprint that the machine shows under its own Settings.",
	expected: "Known so far",
	actual: "Shown now",
	unknown: "not told",
	trust: "Trust new",
	forget: "Forget",
	forgetHint: "Forget trusts whatever it shows next; Trust new accepts exactly the one above.",
	trusted: (name: string) => `${name} is trusted with its new certificate`,
	forgotten: (name: string) => `The fingerprint of ${name} is forgotten`,
} as const;
