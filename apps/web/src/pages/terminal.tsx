import "@xterm/xterm/css/xterm.css";
import "../styles/terminal.css";
import { useQueryClient } from "@tanstack/react-query";
import type { ViewerMode } from "@warren/terminal/protocol";
import {
	ALargeSmall,
	ArrowLeft,
	Check,
	ClipboardPaste,
	Columns2,
	Copy,
	Ellipsis,
	Expand,
	Pencil,
	Plus,
	Rows2,
	Search,
	Share2,
	SquareStack,
	Trash2,
	Upload,
	X,
} from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { type MachineId, self, terminalsPath } from "../api/machine.ts";
import { openSocket } from "../api/socket.ts";
import type { Pane, Window } from "../api/types.ts";
import { api, useMachineName, useSessions, useWindows } from "../api/warren.tsx";
import { fontSizes, setPreferences, usePreferences } from "../shell/preferences.ts";
import { ConnectionBanner } from "../terminal/connection-banner.tsx";
import { HistoryPanel } from "../terminal/history.tsx";
import { KeyBar } from "../terminal/key-bar.tsx";
import { type Modifiers, noModifiers } from "../terminal/keys.ts";
import { ShareDialog } from "../terminal/share-dialog.tsx";
import { UploadTray, useUploads } from "../terminal/upload-tray.tsx";
import { isCoarse, useTerminal } from "../terminal/use-terminal.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "../ui/menu.tsx";
import { millisecondsOf } from "../ui/time.ts";
import { toast, toastError } from "../ui/toast.tsx";
import { RenameSession } from "./session-dialogs.tsx";
import { t } from "./text/terminal.ts";

/** One session, live. The first answer to "which terminal?" is always the address. */
export function TerminalPage({ machine, session }: { machine: MachineId; session: string }) {
	const [life, setLife] = useState(0);
	return <LiveTerminal key={life} machine={machine} session={session} onReopen={() => setLife((now) => now + 1)} />;
}

const shells = /^-?(?:ba|z|fi|da|k|a|tc|c)?sh$|^(?:nu|pwsh|elvish|xonsh)$/;

type Overlay = "history" | "search" | "share" | "rename" | "kill-pane" | "kill-window" | undefined;

function LiveTerminal({ machine, session, onReopen }: { machine: MachineId; session: string; onReopen: () => void }) {
	const list = useSessions(machine).data?.sessions;
	const facts = list?.find((each) => each.id === session) ?? list?.find((each) => each.own && each.name === session);
	const name = facts?.name ?? session;
	const machineName = useMachineName(machine);
	const via = useMachineName(self);
	const { terminalFontSize } = usePreferences();
	const [mode, setMode] = useState<ViewerMode>("fit");
	const [overlay, setOverlay] = useState<Overlay>();
	const [link, setLink] = useState<string>();
	const [raw, setRaw] = useState(false);
	const [dragging, setDragging] = useState(false);
	const host = useRef<HTMLDivElement>(null);
	const compose = useRef<HTMLTextAreaElement>(null);
	const picker = useRef<HTMLInputElement>(null);
	const modifiers = useRef<Modifiers>(noModifiers);
	const used = useRef<() => void>(() => undefined);
	const paneCommand = useRef("");
	const rawNow = useRef(raw);
	rawNow.current = raw;

	const open = useCallback(() => openSocket(api, machine, `/ws/${encodeURIComponent(session)}`), [machine, session]);
	const view = useTerminal({
		host,
		open,
		mode,
		modifiers,
		onModifiersUsed: () => used.current(),
		onScrollBack: () => setOverlay("history"),
		atShell: () => shells.test(paneCommand.current),
		onTap: () => (rawNow.current ? view.controls.focus() : compose.current?.focus()),
		onLink: setLink,
	});
	const { state, controls } = view;
	const uploads = useUploads(machine, session);
	const tmux = useTmux(machine, session);
	useKeyboardInset();

	useEffect(() => {
		document.title = `${name} · ${machineName}`;
		return () => {
			document.title = "Warren";
		};
	}, [name, machineName]);

	const closeOverlay = () => {
		setOverlay(undefined);
		if (!isCoarse) controls.focus();
	};
	const pane = tmux.window?.panes.find((each) => each.active);
	paneCommand.current = pane?.command ?? "";
	const setFont = (by: number) =>
		setPreferences({ terminalFontSize: Math.min(fontSizes.max, Math.max(fontSizes.min, terminalFontSize + by)) });

	return (
		<div
			className="terminal-page"
			data-light={view.light}
			style={{ background: view.theme.background }}
			onDragOver={(event) => {
				if (!event.dataTransfer.types.includes("Files")) return;
				event.preventDefault();
				setDragging(true);
			}}
			onDragLeave={(event) => event.currentTarget === event.target && setDragging(false)}
			onDrop={(event) => {
				event.preventDefault();
				setDragging(false);
				uploads.add(event.dataTransfer.files);
			}}
		>
			<h1 className="visually-hidden">{t.terminal(name)}</h1>
			<header className="terminal-bar">
				<Link className="icon-button" href={terminalsPath(machine)} aria-label={t.back}>
					<ArrowLeft size={18} />
				</Link>
				<div className="terminal-title">
					<span className="name clip">{name}</span>
					<span className="where clip">
						{machineName}
						<span className="fact">{machine === self ? t.direct : t.relayed(via)}</span>
						{view.roundTripMs !== undefined && <span className="fact rtt">{millisecondsOf(view.roundTripMs)}</span>}
						{view.readOnly && <span className="tag">{t.readOnly}</span>}
					</span>
				</div>
				<WindowTabs tmux={tmux} onDone={() => !isCoarse && controls.focus()} />
				<button
					type="button"
					className="icon-button"
					aria-label={t.search}
					title={t.search}
					aria-pressed={overlay === "search" || overlay === "history"}
					onClick={() => setOverlay("search")}
				>
					<Search size={18} />
				</button>
				<Menu
					label={t.menu}
					{...(isCoarse ? {} : { onClosed: controls.focus })}
					trigger={
						<button type="button" className="icon-button">
							<Ellipsis size={18} />
						</button>
					}
				>
					<MenuItem icon={<Columns2 size={16} />} onSelect={() => tmux.split("right")}>
						{t.splitRight}
					</MenuItem>
					<MenuItem icon={<Rows2 size={16} />} onSelect={() => tmux.split("down")}>
						{t.splitDown}
					</MenuItem>
					{(tmux.window?.panes.length ?? 0) > 1 && (
						<>
							<MenuItem icon={<Expand size={16} />} onSelect={tmux.zoom}>
								{tmux.window?.zoomed ? t.unzoom : t.zoom}
							</MenuItem>
							<MenuItem icon={<SquareStack size={16} />} onSelect={tmux.nextPane}>
								{t.nextPane}
							</MenuItem>
							<MenuItem icon={<X size={16} />} danger onSelect={() => setOverlay("kill-pane")}>
								{t.killPane}
							</MenuItem>
						</>
					)}
					{(tmux.windows?.length ?? 0) > 1 && (
						<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setOverlay("kill-window")}>
							{t.killWindow}
						</MenuItem>
					)}
					<MenuSeparator />
					<MenuItem
						icon={<Copy size={16} />}
						disabled={!view.hasSelection}
						onSelect={() => controls.copySelection()}
						{...shortcut("Ctrl⇧C")}
					>
						{t.copy}
					</MenuItem>
					<MenuItem
						icon={<ClipboardPaste size={16} />}
						onSelect={() => void pasteFromClipboard(controls.paste)}
						{...shortcut("Ctrl⇧V")}
					>
						{t.paste}
					</MenuItem>
					<MenuItem icon={<Upload size={16} />} onSelect={() => picker.current?.click()}>
						{t.upload}
					</MenuItem>
					<MenuSeparator />
					<MenuItem icon={<Pencil size={16} />} onSelect={() => setOverlay("rename")}>
						{t.rename}
					</MenuItem>
					<MenuItem icon={<Share2 size={16} />} onSelect={() => setOverlay("share")}>
						{t.share}
					</MenuItem>
					<MenuSeparator />
					<MenuItem icon={<ALargeSmall size={16} />} onSelect={() => setFont(1)}>
						{t.larger}
					</MenuItem>
					<MenuItem icon={<ALargeSmall size={16} />} onSelect={() => setFont(-1)}>
						{t.smaller}
					</MenuItem>
					<MenuLabel>{t.size}</MenuLabel>
					{(
						[
							["fit", t.sizeFit],
							["follow", t.sizeFollow],
							["read-only", t.sizeReadOnly],
						] as const
					).map(([value, label]) => (
						<MenuItem
							key={value}
							icon={<Check size={16} className={mode === value ? "" : "unseen"} />}
							checked={mode === value}
							onSelect={() => setMode(value)}
						>
							{label}
						</MenuItem>
					))}
				</Menu>
			</header>
			<ConnectionBanner
				state={state}
				name={machineName}
				onRetry={controls.retry}
				onReopen={onReopen}
				home={terminalsPath(machine)}
			/>
			<div className="terminal-stage" data-phase={state.phase} data-mode={mode}>
				<div className="terminal-host" ref={host} />
				{(overlay === "history" || overlay === "search") && (
					<HistoryPanel
						machine={machine}
						session={session}
						theme={view.theme}
						light={view.light}
						fontSize={terminalFontSize}
						searching={overlay === "search"}
						onClose={closeOverlay}
					/>
				)}
				{dragging && <p className="drop-hint">{t.dropHere(pane?.cwd ?? facts?.cwd ?? "")}</p>}
				<UploadTray
					entries={uploads.entries}
					onRemove={uploads.remove}
					onInsert={(path) => controls.paste(quotePath(path), false)}
				/>
			</div>
			{isCoarse && !view.readOnly && (
				<KeyBar
					controls={controls}
					modifiers={modifiers}
					used={used}
					raw={raw}
					onRaw={(next) => {
						setRaw(next);
						if (next) controls.focus();
					}}
					composeRef={compose}
				/>
			)}
			<input
				ref={picker}
				type="file"
				multiple
				hidden
				aria-label={t.upload}
				onChange={(event) => {
					if (event.target.files !== null) uploads.add(event.target.files);
					event.target.value = "";
				}}
			/>
			<ShareDialog
				open={overlay === "share"}
				onClose={closeOverlay}
				machine={machine}
				session={{ id: facts?.id ?? session, name }}
			/>
			<RenameSession
				open={overlay === "rename"}
				machine={machine}
				session={{ id: facts?.id ?? session, name }}
				onClose={closeOverlay}
			/>
			<Confirm
				open={overlay === "kill-pane"}
				onClose={closeOverlay}
				title={t.killPaneTitle}
				action={t.killPane}
				onConfirm={tmux.killPane}
			>
				{t.killPaneBody(pane?.command || t.killPane, name)}
			</Confirm>
			<Confirm
				open={overlay === "kill-window"}
				onClose={closeOverlay}
				title={t.killWindowTitle(tmux.window?.name ?? "")}
				action={t.killWindow}
				onConfirm={tmux.killWindow}
			>
				{t.killWindowBody(name)}
			</Confirm>
			<Confirm
				open={link !== undefined}
				onClose={() => setLink(undefined)}
				title={t.linkTitle}
				action={t.linkOpen}
				onConfirm={async () => void globalThis.open(link, "_blank", "noopener,noreferrer")}
			>
				{t.linkLead} <code className="link-shown">{link}</code>
			</Confirm>
		</div>
	);
}

function WindowTabs({ tmux, onDone }: { tmux: Tmux; onDone: () => void }) {
	if (tmux.windows === undefined) return <div className="window-tabs" />;
	return (
		<div className="window-tabs">
			<div className="window-list" role="tablist" aria-label={t.windows}>
				{tmux.windows.map((window) => (
					<button
						key={window.id}
						type="button"
						role="tab"
						className="window-tab"
						aria-selected={window.active}
						onClick={() => {
							tmux.select(window);
							onDone();
						}}
					>
						<span className="index">{window.index}</span>
						<span className="clip">{window.name}</span>
						{window.bell && <span className="tag live">bell</span>}
					</button>
				))}
			</div>
			<button
				type="button"
				className="icon-button"
				aria-label={t.newWindow}
				title={t.newWindow}
				onClick={() => {
					tmux.create();
					onDone();
				}}
			>
				<Plus size={16} />
			</button>
		</div>
	);
}

interface Tmux {
	readonly windows: Window[] | undefined;
	/** The one in sight. */
	readonly window: Window | undefined;
	select(window: Window): void;
	create(): void;
	split(direction: "right" | "down"): void;
	zoom(): void;
	nextPane(): void;
	killPane(): Promise<void>;
	killWindow(): Promise<void>;
}

/** The session's windows and panes, and the commands on them that a page may give. */
function useTmux(machine: MachineId, session: string): Tmux {
	const client = useQueryClient();
	const windows = useWindows(machine, session).data;
	const window = windows?.find((each) => each.active);
	const pane = window?.panes.find((each) => each.active);
	const base = `/api/sessions/${encodeURIComponent(session)}`;

	async function act(method: "POST" | "DELETE", path: string, body?: unknown): Promise<void> {
		await api.request(machine, `${base}${path}`, { method, ...(body === undefined ? {} : { body }) });
		await client.invalidateQueries({ queryKey: [machine, "windows", session] });
	}
	const tell = (promise: Promise<void>, what: string) => void promise.catch((failure) => toastError(what, failure));
	const windowPath = (of: Window) => `/windows/${encodeURIComponent(of.id.replace(/^@/, ""))}`;
	const panePath = (of: Pane) => `/panes/${encodeURIComponent(of.id.replace(/^%/, ""))}`;

	return {
		windows,
		window,
		select(target) {
			client.setQueryData<Window[]>([machine, "windows", session], (all) =>
				all?.map((each) => ({ ...each, active: each.id === target.id })),
			);
			tell(act("POST", `${windowPath(target)}/select`, {}), target.name);
		},
		create: () => tell(act("POST", "/windows", {}), t.newWindow),
		split(direction) {
			if (window) tell(act("POST", `${windowPath(window)}/split`, { direction }), t.splitRight);
		},
		zoom() {
			if (window) tell(act("POST", `${windowPath(window)}/zoom`, {}), t.zoom);
		},
		nextPane() {
			const panes = window?.panes ?? [];
			const next = panes[(panes.findIndex((each) => each.active) + 1) % panes.length];
			if (next) tell(act("POST", `${panePath(next)}/select`, {}), t.nextPane);
		},
		killPane: async () => pane && act("DELETE", panePath(pane)),
		killWindow: async () => window && act("DELETE", windowPath(window)),
	};
}

/** iOS shrinks only the visual viewport when its keyboard opens: the page follows, so that the key bar stays in sight. */
function useKeyboardInset(): void {
	useEffect(() => {
		const viewport = window.visualViewport;
		if (viewport === null) return;
		const apply = () =>
			document.documentElement.style.setProperty("--visible-height", `${Math.round(viewport.height)}px`);
		apply();
		viewport.addEventListener("resize", apply);
		return () => {
			viewport.removeEventListener("resize", apply);
			document.documentElement.style.removeProperty("--visible-height");
		};
	}, []);
}

async function pasteFromClipboard(paste: (text: string, enter: boolean) => void): Promise<void> {
	try {
		paste(await navigator.clipboard.readText(), false);
	} catch {
		toast.add({ title: t.pasteFailedTitle, description: t.pasteFailed, type: "error" });
	}
}

/** A shortcut is shown where there is a keyboard to press it on. */
const shortcut = (keys: string) => (isCoarse ? {} : { keys });

/** A path as a shell takes it in one word. */
function quotePath(path: string): string {
	return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
