import type { MachineId } from "../api/machine.ts";

/** Terminals side by side: a tree of splits, terminals at its ends. */
export type PaneTree =
	| { readonly kind: "pane"; readonly pane: Pane }
	| {
			readonly kind: "split";
			/** `row`: side by side; `column`: one below the other. */
			readonly direction: Direction;
			/** The first one's share. */
			readonly ratio: number;
			readonly first: PaneTree;
			readonly second: PaneTree;
	  };

export interface Pane {
	readonly machine: MachineId;
	readonly session: string;
}

export type Direction = "row" | "column";
export type Side = "left" | "right" | "up" | "down";

/** More than these are too small to read on any screen; each is a WebSocket of its own. */
export const maxPanes = 8;
export const ratioLimits = { min: 0.15, max: 0.85 } as const;

/** Shares of the whole, from its upper left corner. */
export interface Rect {
	readonly x: number;
	readonly y: number;
	readonly width: number;
	readonly height: number;
}

/** What is dragged to change a ratio. `path` leads to its split: `1` first, `2` second. */
export interface Divider {
	readonly path: string;
	readonly direction: Direction;
	readonly ratio: number;
	/** Of the whole split. */
	readonly rect: Rect;
}

export const keyOf = ({ machine, session }: Pane) => `${machine}/${session}`;
export const leaf = (pane: Pane): PaneTree => ({ kind: "pane", pane });

export function panesOf(tree: PaneTree): Pane[] {
	return tree.kind === "pane" ? [tree.pane] : [...panesOf(tree.first), ...panesOf(tree.second)];
}

export const has = (tree: PaneTree, pane: Pane) => panesOf(tree).some((each) => keyOf(each) === keyOf(pane));

/** Where everything stands. */
export function placesOf(tree: PaneTree): { panes: { pane: Pane; rect: Rect }[]; dividers: Divider[] } {
	const panes: { pane: Pane; rect: Rect }[] = [];
	const dividers: Divider[] = [];
	const walk = (node: PaneTree, rect: Rect, path: string) => {
		if (node.kind === "pane") {
			panes.push({ pane: node.pane, rect });
			return;
		}
		const { direction, ratio } = node;
		dividers.push({ path, direction, ratio, rect });
		const across = direction === "row";
		const width = across ? rect.width * ratio : rect.width;
		const height = across ? rect.height : rect.height * ratio;
		walk(node.first, { ...rect, width, height }, `${path}1`);
		walk(
			node.second,
			across
				? { ...rect, x: rect.x + width, width: rect.width - width }
				: { ...rect, y: rect.y + height, height: rect.height - height },
			`${path}2`,
		);
	};
	walk(tree, { x: 0, y: 0, width: 1, height: 1 }, "");
	return { panes, dividers };
}

/** @returns the same tree when there is no room, the pane is not in it, or what is added stands there already. */
export function split(tree: PaneTree, at: Pane, direction: Direction, added: Pane): PaneTree {
	if (panesOf(tree).length >= maxPanes || has(tree, added)) return tree;
	const walk = (node: PaneTree): PaneTree => {
		if (node.kind === "split") return { ...node, first: walk(node.first), second: walk(node.second) };
		if (keyOf(node.pane) !== keyOf(at)) return node;
		return { kind: "split", direction, ratio: 0.5, first: node, second: leaf(added) };
	};
	return walk(tree);
}

/** @returns null when nothing is left. */
export function close(tree: PaneTree, pane: Pane): PaneTree | null {
	if (tree.kind === "pane") return keyOf(tree.pane) === keyOf(pane) ? null : tree;
	const [first, second] = [close(tree.first, pane), close(tree.second, pane)];
	if (first === null) return second;
	if (second === null) return first;
	return { ...tree, first, second };
}

export function resize(tree: PaneTree, path: string, ratio: number): PaneTree {
	if (tree.kind === "pane") return tree;
	if (path === "") return { ...tree, ratio: Math.min(ratioLimits.max, Math.max(ratioLimits.min, ratio)) };
	const rest = path.slice(1);
	return path[0] === "1"
		? { ...tree, first: resize(tree.first, rest, ratio) }
		: { ...tree, second: resize(tree.second, rest, ratio) };
}

/** The pane that one sees on that side, the nearest to the middle; undefined at the edge. */
export function neighbour(tree: PaneTree, from: Pane, side: Side): Pane | undefined {
	const { panes } = placesOf(tree);
	const own = panes.find(({ pane }) => keyOf(pane) === keyOf(from))?.rect;
	if (own === undefined) return undefined;
	const near = 1e-6;
	const touching = panes.filter(({ rect }) => {
		switch (side) {
			case "left":
				return Math.abs(rect.x + rect.width - own.x) < near;
			case "right":
				return Math.abs(own.x + own.width - rect.x) < near;
			case "up":
				return Math.abs(rect.y + rect.height - own.y) < near;
			case "down":
				return Math.abs(own.y + own.height - rect.y) < near;
		}
	});
	const across = side === "left" || side === "right";
	const middle = (rect: Rect) => (across ? rect.y + rect.height / 2 : rect.x + rect.width / 2);
	const overlap = (rect: Rect) =>
		across
			? Math.min(rect.y + rect.height, own.y + own.height) - Math.max(rect.y, own.y)
			: Math.min(rect.x + rect.width, own.x + own.width) - Math.max(rect.x, own.x);
	return touching
		.filter(({ rect }) => overlap(rect) > near)
		.sort((a, b) => Math.abs(middle(a.rect) - middle(own)) - Math.abs(middle(b.rect) - middle(own)))[0]?.pane;
}

/** @returns null for anything that is no layout of ours. */
export function readTree(value: unknown): PaneTree | null {
	let panes = 0;
	const seen = new Set<string>();
	const walk = (node: unknown): PaneTree | null => {
		if (typeof node !== "object" || node === null) return null;
		const { kind, pane, direction, ratio, first, second } = node as Record<string, unknown>;
		if (kind === "pane") {
			const { machine, session } = (pane ?? {}) as Record<string, unknown>;
			if (typeof machine !== "string" || typeof session !== "string" || seen.has(`${machine}/${session}`)) return null;
			seen.add(`${machine}/${session}`);
			panes += 1;
			return panes > maxPanes ? null : leaf({ machine, session });
		}
		if (kind !== "split" || (direction !== "row" && direction !== "column") || typeof ratio !== "number") return null;
		const [one, two] = [walk(first), walk(second)];
		if (one === null || two === null || !(ratio >= ratioLimits.min && ratio <= ratioLimits.max)) return null;
		return { kind, direction, ratio, first: one, second: two };
	};
	return walk(value);
}
