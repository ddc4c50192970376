import "./panes.css";
import { X } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { type MachineId, terminalPath, terminalsPath } from "../api/machine.ts";
import { useMachineName, useSessions } from "../api/warren.tsx";
import { TerminalPage } from "../pages/terminal/terminal.tsx";
import { MachineGate } from "../shell/machine-gate.tsx";
import { useNarrow } from "../ui/narrow.ts";
import { toast } from "../ui/toast.tsx";
import { setLayout, useLayout } from "./layout.ts";
import { PanePicker } from "./pane-picker.tsx";
import {
	close,
	type Direction,
	type Divider,
	has,
	keyOf,
	leaf,
	maxPanes,
	neighbour,
	type Pane,
	type PaneTree,
	panesOf,
	placesOf,
	ratioLimits,
	resize,
	type Side,
	split,
} from "./pane-tree.ts";
import { t } from "./text.ts";

/**
 * The terminal that the address names, and beside it those that this device keeps in view with it. The address is the
 * pane in focus, so a link, a reload and the back button mean what they say.
 */
export function PanesPage({ machine, session }: Pane) {
	const [, navigate] = useLocation();
	const asked = new URLSearchParams(useSearch()).get("split");
	const kept = useLayout();
	const phone = useNarrow();
	const focused = { machine, session };
	const tree = kept !== null && has(kept, focused) ? kept : leaf(focused);
	const shown = panesOf(tree);
	const here = terminalPath(machine, session);
	const goTo = (pane: Pane) => navigate(terminalPath(pane.machine, pane.session), { replace: true });

	function add(pane: Pane) {
		setLayout(split(tree, focused, asked === "column" ? "column" : "row", pane));
		goTo(pane);
	}
	function drop(pane: Pane) {
		const left = close(tree, pane);
		setLayout(left);
		if (keyOf(pane) !== keyOf(focused)) return;
		const next = left === null ? undefined : panesOf(left)[0];
		if (next === undefined) navigate(terminalsPath(pane.machine));
		else goTo(next);
	}
	function ask(direction: Direction) {
		if (shown.length >= maxPanes) toast.add({ title: t.full, description: t.fullFix });
		else navigate(`${here}?split=${direction}`);
	}
	usePaneKeys({
		split: ask,
		close: () => shown.length > 1 && drop(focused),
		move: (side) => {
			const next = neighbour(tree, focused, side);
			if (next !== undefined) goTo(next);
		},
	});

	const { panes, dividers } = placesOf(tree);
	// Always in the same order, so that no terminal is drawn anew because another one came or went.
	const inOrder = [...panes].sort((a, b) => (keyOf(a.pane) < keyOf(b.pane) ? -1 : 1));
	return (
		<div className="panes" data-count={shown.length}>
			{phone && shown.length > 1 && <PaneTabs panes={shown} focused={focused} onClose={drop} />}
			<div className="pane-area">
				{inOrder
					.filter(({ pane }) => !phone || keyOf(pane) === keyOf(focused))
					.map(({ pane, rect }) => {
						const isFocused = keyOf(pane) === keyOf(focused);
						return (
							<PaneFrame
								key={keyOf(pane)}
								isFocused={isFocused}
								single={phone || shown.length === 1}
								rect={rect}
								onFocus={() => !isFocused && goTo(pane)}
							>
								<MachineGate machine={pane.machine}>
									<TerminalPage
										machine={pane.machine}
										session={pane.session}
										focused={isFocused}
										onSplit={ask}
										{...(shown.length > 1 && !phone ? { onClose: () => drop(pane) } : {})}
									/>
								</MachineGate>
							</PaneFrame>
						);
					})}
				{!phone && dividers.map((divider) => <DividerBar key={divider.path} divider={divider} tree={tree} />)}
			</div>
			<PanePicker open={asked !== null} shown={shown} onPick={add} onClose={() => navigate(here, { replace: true })} />
		</div>
	);
}

function PaneFrame(props: {
	isFocused: boolean;
	single: boolean;
	rect: { x: number; y: number; width: number; height: number };
	onFocus: () => void;
	children: ReactNode;
}) {
	const { x, y, width, height } = props.rect;
	const percent = (share: number) => `${share * 100}%`;
	return (
		<div
			className="pane"
			data-focused={props.single ? undefined : props.isFocused}
			style={
				props.single
					? { inset: 0 }
					: { left: percent(x), top: percent(y), width: percent(width), height: percent(height) }
			}
			onFocusCapture={props.onFocus}
			onPointerDownCapture={props.onFocus}
		>
			{props.children}
		</div>
	);
}

/** Dragged, or moved by the arrow keys once it has the focus. */
function DividerBar({ divider, tree }: { divider: Divider; tree: PaneTree }) {
	const { path, direction, ratio, rect } = divider;
	const bar = useRef<HTMLDivElement>(null);
	const [dragging, setDragging] = useState(false);
	const across = direction === "row";
	const percent = (share: number) => `${share * 100}%`;
	function follow(event: PointerEvent<HTMLDivElement>) {
		const area = bar.current?.parentElement?.getBoundingClientRect();
		if (!dragging || area === undefined) return;
		const share = across
			? ((event.clientX - area.left) / area.width - rect.x) / rect.width
			: ((event.clientY - area.top) / area.height - rect.y) / rect.height;
		setLayout(resize(tree, path, share));
	}
	function step(event: KeyboardEvent) {
		const by = { ArrowLeft: -0.05, ArrowUp: -0.05, ArrowRight: 0.05, ArrowDown: 0.05 }[event.key];
		if (by === undefined) return;
		event.preventDefault();
		setLayout(resize(tree, path, ratio + by));
	}
	return (
		// biome-ignore lint/a11y/useSemanticElements: a separator that moves is no hr
		<div
			ref={bar}
			role="separator"
			tabIndex={0}
			aria-label={t.resize}
			aria-orientation={across ? "vertical" : "horizontal"}
			aria-valuenow={Math.round(ratio * 100)}
			aria-valuemin={ratioLimits.min * 100}
			aria-valuemax={ratioLimits.max * 100}
			className="divider-bar"
			data-direction={direction}
			data-dragging={dragging}
			style={
				across
					? { left: percent(rect.x + rect.width * ratio), top: percent(rect.y), height: percent(rect.height) }
					: { top: percent(rect.y + rect.height * ratio), left: percent(rect.x), width: percent(rect.width) }
			}
			onPointerDown={(event) => {
				event.currentTarget.setPointerCapture(event.pointerId);
				setDragging(true);
			}}
			onPointerMove={follow}
			onPointerUp={() => setDragging(false)}
			onPointerCancel={() => setDragging(false)}
			onKeyDown={step}
		/>
	);
}

/** On a phone: one terminal at a time, the others a tap away. */
function PaneTabs({
	panes,
	focused,
	onClose,
}: {
	panes: readonly Pane[];
	focused: Pane;
	onClose: (pane: Pane) => void;
}) {
	return (
		<nav className="pane-tabs" aria-label={t.views}>
			{panes.map((pane) => (
				<PaneTab key={keyOf(pane)} pane={pane} current={keyOf(pane) === keyOf(focused)} onClose={() => onClose(pane)} />
			))}
		</nav>
	);
}

function PaneTab({ pane, current, onClose }: { pane: Pane; current: boolean; onClose: () => void }) {
	const machine = useMachineName(pane.machine);
	const name = useSessionName(pane.machine, pane.session);
	return (
		<span className="pane-tab" data-current={current}>
			<Link href={terminalPath(pane.machine, pane.session)} replace aria-current={current ? "page" : undefined}>
				<span className="clip">{name}</span>
				<span className="small clip">{machine}</span>
			</Link>
			<button type="button" className="icon-button" aria-label={t.closeOf(name)} onClick={onClose}>
				<X size={15} />
			</button>
		</span>
	);
}

function useSessionName(machine: MachineId, session: string): string {
	return useSessions(machine).data?.sessions.find((each) => each.id === session)?.name ?? session;
}

const sides: Readonly<Record<string, Side>> = {
	ArrowLeft: "left",
	ArrowRight: "right",
	ArrowUp: "up",
	ArrowDown: "down",
};

/** Alt-Shift with \ and - splits, with an arrow goes there, with W closes the view. */
function usePaneKeys(act: { split: (direction: Direction) => void; close: () => void; move: (side: Side) => void }) {
	const latest = useRef(act);
	latest.current = act;
	useEffect(() => {
		const onKey = (event: globalThis.KeyboardEvent) => {
			if (!event.altKey || !event.shiftKey || event.ctrlKey || event.metaKey) return;
			const side = sides[event.code];
			if (side !== undefined) latest.current.move(side);
			else if (event.code === "Backslash") latest.current.split("row");
			else if (event.code === "Minus") latest.current.split("column");
			else if (event.code === "KeyW") latest.current.close();
			else return;
			event.preventDefault();
			event.stopPropagation();
		};
		// Captured, so that the terminal does not swallow it.
		addEventListener("keydown", onKey, true);
		return () => removeEventListener("keydown", onKey, true);
	}, []);
}
