import { useSyncExternalStore } from "react";

/** How this browser likes to look. Kept in localStorage; nothing here names a machine's content. */
export interface Preferences {
	readonly theme: "system" | "light" | "dark";
	/** Pixels. */
	readonly terminalFontSize: number;
	readonly terminalTheme: "match" | "dark" | "light";
	/** Mirrors the terminal as text that a screen reader reads. */
	readonly screenReader: boolean;
	readonly notifications: boolean;
	/** Where the app was last, for opening `/` again. The URL always wins. */
	readonly lastPath: string;
	/** How somebody signs in here by habit. */
	readonly signInBy: "account" | "pin";
	/** Which step of the set-up comes next; empty when none does. */
	readonly welcome: string;
}

const storageKey = "warren.preferences.v1";
export const fontSizes = { min: 8, max: 28, initial: 14 } as const;

const initial: Preferences = {
	theme: "system",
	terminalFontSize: matchMedia("(pointer: coarse)").matches ? 12 : fontSizes.initial,
	terminalTheme: "match",
	screenReader: false,
	notifications: false,
	lastPath: "",
	signInBy: "account",
	welcome: "",
};

let current: Preferences = { ...initial, ...stored() };
const watchers = new Set<() => void>();

function stored(): Partial<Preferences> {
	try {
		const parsed: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "{}");
		return typeof parsed === "object" && parsed !== null ? (parsed as Partial<Preferences>) : {};
	} catch {
		// A browser that refuses storage still works, with the defaults.
		return {};
	}
}

export function preferences(): Preferences {
	return current;
}

export function setPreferences(change: Partial<Preferences>): void {
	current = { ...current, ...change };
	try {
		localStorage.setItem(storageKey, JSON.stringify(current));
	} catch (failure) {
		console.warn("warren: this browser does not keep preferences", failure);
	}
	applyTheme();
	for (const watcher of watchers) watcher();
}

export function usePreferences(): Preferences {
	return useSyncExternalStore((watcher) => {
		watchers.add(watcher);
		return () => watchers.delete(watcher);
	}, preferences);
}

export function applyTheme(): void {
	if (current.theme === "system") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = current.theme;
}

const darkQuery = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now, the system's choice included. */
export function useDark(): boolean {
	const { theme } = usePreferences();
	const systemDark = useSyncExternalStore(
		(watcher) => {
			darkQuery.addEventListener("change", watcher);
			return () => darkQuery.removeEventListener("change", watcher);
		},
		() => darkQuery.matches,
	);
	return theme === "system" ? systemDark : theme === "dark";
}
