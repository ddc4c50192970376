/** What the address brought along in its fragment, which no server sees. */
export type Arrival =
	| { readonly kind: "setup" | "account" | "pair" | "invitation" | "device"; readonly secret: string }
	| { readonly kind: "share"; readonly token: string }
	| { readonly kind: "plain" };

/** Links that carry a code of one use, by the fragment's key. */
const codes = ["setup", "account", "pair", "invitation", "device"] as const;

export function parseFragment(fragment: string): Arrival {
	const values = new URLSearchParams(fragment.replace(/^#/, ""));
	for (const kind of codes) {
		const secret = values.get(kind);
		// A pairing's page says what its link lacks.
		if (secret || (secret === "" && kind === "pair")) return { kind, secret };
	}
	const token = values.get("share");
	if (token) return { kind: "share", token };
	return { kind: "plain" };
}

const shareKey = "warren.share";

/**
 * Reads the fragment once and takes it out of the address bar and the history at once. A share's token stays for this
 * tab, so that a reload does not lose the link; a code of one use is kept nowhere.
 */
export function takeArrival(): Arrival {
	const arrival = parseFragment(location.hash);
	if (arrival.kind === "share") {
		history.replaceState(null, "", "/share");
		remember(arrival.token);
	} else if (arrival.kind !== "plain") history.replaceState(null, "", "/");
	if (arrival.kind === "plain" && location.pathname === "/share") {
		const token = remembered();
		if (token !== null) return { kind: "share", token };
	}
	return arrival;
}

function remember(token: string): void {
	try {
		sessionStorage.setItem(shareKey, token);
	} catch (failure) {
		console.warn("warren: a reload will lose this share", failure);
	}
}

function remembered(): string | null {
	try {
		return sessionStorage.getItem(shareKey);
	} catch {
		// Storage refused: as if there were none.
		return null;
	}
}
