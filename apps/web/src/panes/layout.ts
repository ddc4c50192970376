import { useSyncExternalStore } from "react";
import { type PaneTree, panesOf, readTree } from "./pane-tree.ts";

const storageKey = "warren.panes.v1";

/** This device's one split view; kept over reloads, never sent anywhere. */
let current: PaneTree | null = stored();
const watchers = new Set<() => void>();

function stored(): PaneTree | null {
	try {
		return readTree(JSON.parse(localStorage.getItem(storageKey) ?? "null"));
	} catch {
		// A browser that refuses storage still splits, until it is closed.
		return null;
	}
}

export const layout = () => current;

export function setLayout(tree: PaneTree | null): void {
	current = tree;
	try {
		if (tree === null || panesOf(tree).length < 2) localStorage.removeItem(storageKey);
		else localStorage.setItem(storageKey, JSON.stringify(tree));
	} catch (failure) {
		console.warn("warren: this browser does not keep the split view", failure);
	}
	for (const watcher of watchers) watcher();
}

export function useLayout(): PaneTree | null {
	return useSyncExternalStore((watcher) => {
		watchers.add(watcher);
		return () => watchers.delete(watcher);
	}, layout);
}
