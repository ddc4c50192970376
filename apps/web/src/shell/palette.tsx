import { Dialog } from "@base-ui/react/dialog";
import {
	CircleDot,
	CornerDownLeft,
	FileText,
	Globe,
	type LucideIcon,
	Mail,
	Moon,
	PanelBottom,
	PanelRight,
	Plus,
	QrCode,
	Server,
	ShieldCheck,
	Smartphone,
	SquareTerminal,
} from "lucide-react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { DocumentRecord } from "../api/hub-types.ts";
import { type MachineId, self, terminalPath, terminalsPath } from "../api/machine.ts";
import type { SessionList } from "../api/types.ts";
import { queryClient, useMachineName, usePeers } from "../api/warren.tsx";
import { layout } from "../panes/layout.ts";
import { panesOf } from "../panes/pane-tree.ts";
import { t as panes } from "../panes/text.ts";
import { places } from "./navigation.ts";
import { preferences, setPreferences } from "./preferences.ts";
import { t } from "./text.ts";

interface Command {
	readonly id: string;
	readonly label: string;
	readonly kind: string;
	readonly icon: LucideIcon;
	run(): void;
}

const maxShown = 12;

/** Ctrl/⌘-K: machines, sessions, pages and a few actions, by any part of their name. */
export function Palette({ open, onClose, machine }: { open: boolean; onClose: () => void; machine: MachineId }) {
	return (
		<Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
			<Dialog.Portal>
				<Dialog.Backdrop className="backdrop" />
				<Dialog.Popup className="palette" aria-label={t.goTo}>
					<PaletteBody onClose={onClose} machine={machine} />
				</Dialog.Popup>
			</Dialog.Portal>
		</Dialog.Root>
	);
}

function PaletteBody({ onClose, machine }: { onClose: () => void; machine: MachineId }) {
	const [query, setQuery] = useState("");
	const [at, setAt] = useState(0);
	const list = useId();
	const chosen = useRef<HTMLLIElement>(null);
	const commands = useCommands(machine);
	const found = useMemo(() => matching(commands, query).slice(0, maxShown), [commands, query]);
	const current = found[Math.min(at, found.length - 1)];
	// biome-ignore lint/correctness/useExhaustiveDependencies: follows the choice
	useEffect(() => {
		// Newer browsers return a promise here, which React would take for a clean-up.
		void chosen.current?.scrollIntoView({ block: "nearest" });
	}, [current]);

	function run(command: Command | undefined) {
		if (command === undefined) return;
		onClose();
		command.run();
	}

	return (
		<>
			<input
				role="combobox"
				aria-label={t.goTo}
				aria-expanded="true"
				aria-controls={list}
				aria-activedescendant={current === undefined ? undefined : `${list}-${current.id}`}
				placeholder={t.palette.placeholder}
				value={query}
				autoComplete="off"
				spellCheck={false}
				onChange={(event) => {
					setQuery(event.target.value);
					setAt(0);
				}}
				onKeyDown={(event) => {
					if (event.key === "ArrowDown") setAt((now) => Math.min(now + 1, found.length - 1));
					else if (event.key === "ArrowUp") setAt((now) => Math.max(now - 1, 0));
					else if (event.key === "Enter") run(current);
					else return;
					event.preventDefault();
				}}
			/>
			{found.length === 0 && <p className="none">{t.palette.none(query)}</p>}
			<ul role="listbox" id={list} aria-label={t.palette.list}>
				{found.map((command) => (
					<li
						key={command.id}
						id={`${list}-${command.id}`}
						ref={command === current ? chosen : undefined}
						role="option"
						aria-selected={command === current}
						onPointerMove={() => setAt(found.indexOf(command))}
						onClick={() => run(command)}
						onKeyDown={undefined}
					>
						<command.icon size={16} aria-hidden="true" />
						<span className="clip">{command.label}</span>
						<span className="kind">{command.kind}</span>
						{command === current && <CornerDownLeft size={14} aria-hidden="true" />}
					</li>
				))}
			</ul>
		</>
	);
}

function useCommands(machine: MachineId): Command[] {
	const [path, navigate] = useLocation();
	const peers = usePeers().data;
	const selfName = useMachineName(self);
	return useMemo(() => {
		const names = new Map<MachineId, string>([
			[self, selfName],
			...(peers?.peers.map((peer) => [peer.id, peer.name] as const) ?? []),
		]);
		const sessions = [...names].flatMap(([id, name]) =>
			(queryClient.getQueryData<SessionList>([id, "sessions"])?.sessions ?? []).map((session) => ({
				id: `session-${id}-${session.id}`.replace(/[^\w-]/g, "_"),
				label: session.name,
				kind: name,
				icon: SquareTerminal,
				run: () => navigate(terminalPath(id, session.id)),
			})),
		);
		const machines = [...names].map(([id, name]) => ({
			id: `machine-${id}`.replace(/[^\w-]/g, "_"),
			label: name,
			kind: t.palette.kinds.machine,
			icon: Server,
			run: () => navigate(terminalsPath(id)),
		}));
		const documents = (queryClient.getQueryData<DocumentRecord[]>(["hub", "rooms"]) ?? []).map((record) => ({
			id: `document-${record.id}`.replace(/[^\w-]/g, "_"),
			label: record.title,
			kind: t.palette.kinds.document,
			icon: FileText,
			run: () => navigate(`/docs/${encodeURIComponent(record.id)}`),
		}));
		const pages = places.map((place) => ({
			id: `place-${place.id}`,
			label: place.label,
			kind: t.palette.kinds.page,
			icon: place.icon,
			run: () => navigate(place.path(machine)),
		}));
		const actions: Command[] = [
			{
				id: "new-session",
				label: t.palette.newSession(names.get(machine) ?? machine),
				kind: t.palette.kinds.action,
				icon: Plus,
				run: () => navigate(`${terminalsPath(machine)}?new`),
			},
			{
				id: "add-machine",
				label: t.palette.addMachine,
				kind: t.palette.kinds.action,
				icon: Plus,
				run: () => navigate("/machines?add"),
			},
			{
				id: "expose",
				label: t.palette.expose,
				kind: t.palette.kinds.action,
				icon: Globe,
				run: () => navigate("/services?expose"),
			},
			{
				id: "add-phone",
				label: t.palette.addPhone,
				kind: t.palette.kinds.action,
				icon: Smartphone,
				run: () => navigate("/network?add"),
			},
			{
				id: "new-document",
				label: t.palette.newDocument,
				kind: t.palette.kinds.action,
				icon: Plus,
				run: () => navigate("/docs?new"),
			},
			{
				id: "pair",
				label: t.palette.pair,
				kind: t.palette.kinds.action,
				icon: QrCode,
				run: () => navigate("/account?pair"),
			},
			{
				id: "invite",
				label: t.palette.invite,
				kind: t.palette.kinds.action,
				icon: Mail,
				run: () => navigate("/account?invite"),
			},
			{
				id: "theme",
				label: t.palette.theme,
				kind: t.palette.kinds.action,
				icon: Moon,
				run: () => setPreferences({ theme: preferences().theme === "dark" ? "light" : "dark" }),
			},
			{
				id: "trust",
				label: t.palette.trust,
				kind: t.palette.kinds.page,
				icon: ShieldCheck,
				run: () => navigate("/trust"),
			},
			{
				id: "notices",
				label: t.palette.notices,
				kind: t.palette.kinds.page,
				icon: CircleDot,
				run: () => navigate("/settings"),
			},
		];
		return [...sessions, ...machines, ...documents, ...pages, ...actions, ...paneCommands(path, navigate)];
	}, [machine, navigate, path, peers, selfName]);
}

/** Of a terminal: what may come beside it. Elsewhere: the way back to those that were side by side. */
function paneCommands(path: string, navigate: (to: string) => void): Command[] {
	const kept = layout();
	const inView = kept === null ? [] : panesOf(kept).map((pane) => terminalPath(pane.machine, pane.session));
	const [first] = inView;
	return [
		...(/^\/m\/[^/]+\/terminals\/[^/]+$/.test(path)
			? [
					{ id: "split-row", label: panes.splitRow, icon: PanelRight, run: () => navigate(`${path}?split=row`) },
					{
						id: "split-column",
						label: panes.splitColumn,
						icon: PanelBottom,
						run: () => navigate(`${path}?split=column`),
					},
				]
			: []),
		...(first === undefined || inView.includes(path)
			? []
			: [{ id: "split-open", label: panes.open, icon: PanelRight, run: () => navigate(first) }]),
	].map((each) => ({ ...each, kind: t.palette.kinds.action }));
}

/** Every word of the query must occur; what begins with it comes first. */
export function matching<T extends { readonly label: string; readonly kind: string }>(
	commands: readonly T[],
	query: string,
): T[] {
	const words = query.toLowerCase().split(/\s+/).filter(Boolean);
	const first = words[0];
	const hits = commands.filter((command) => {
		const text = `${command.label} ${command.kind}`.toLowerCase();
		return words.every((word) => text.includes(word));
	});
	if (first === undefined) return hits;
	const rank = (command: T) => (command.label.toLowerCase().startsWith(first) ? 0 : 1);
	return hits.sort((a, b) => rank(a) - rank(b));
}
