import "@xterm/xterm/css/xterm.css";
import "../../styles/terminal.css";
import type { ViewerMode } from "@warren/terminal/protocol";
import { ArrowLeft, Search, X } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { type MachineId, self, terminalsPath } from "../../api/machine.ts";
import { openSocket } from "../../api/socket.ts";
import { api, useMachineName, useSessions } from "../../api/warren.tsx";
import { t as panes } from "../../panes/text.ts";
import { usePreferences } from "../../shell/preferences.ts";
import { ConnectionBanner } from "../../terminal/connection-banner.tsx";
import { HistoryPanel } from "../../terminal/history.tsx";
import { KeyBar } from "../../terminal/key-bar.tsx";
import { type Modifiers, noModifiers } from "../../terminal/keys.ts";
import { ShareDialog } from "../../terminal/share-dialog.tsx";
import { UploadTray, useUploads } from "../../terminal/upload-tray.tsx";
import { isCoarse, useTerminal } from "../../terminal/use-terminal.ts";
import { Confirm } from "../../ui/dialog.tsx";
import { millisecondsOf } from "../../ui/time.ts";
import { RenameSession } from "../session-dialogs.tsx";
import { t } from "../text/terminal.ts";
import { useKeyboardInset } from "./keyboard-inset.ts";
import { TerminalMenu, type TerminalOverlay } from "./terminal-menu.tsx";
import { useTmux } from "./use-tmux.ts";
import { WindowTabs } from "./window-tabs.tsx";

/** One session, live. The first answer to "which terminal?" is always the address. */
export function TerminalPage(props: TerminalPageProps) {
	const [life, setLife] = useState(0);
	return <LiveTerminal key={life} {...props} onReopen={() => setLife((now) => now + 1)} />;
}

export interface TerminalPageProps {
	readonly machine: MachineId;
	readonly session: string;
	/** Keys go here, and the window is called by it: one of those in view. */
	readonly focused: boolean;
	readonly onSplit: (direction: "row" | "column") => void;
	/** Takes this view away; there is none where it is the only one. */
	readonly onClose?: () => void;
}

const shells = /^-?(?:ba|z|fi|da|k|a|tc|c)?sh$|^(?:nu|pwsh|elvish|xonsh)$/;

function LiveTerminal(props: TerminalPageProps & { onReopen: () => void }) {
	const { machine, session, focused, onReopen } = props;
	const list = useSessions(machine).data?.sessions;
	const facts = list?.find((each) => each.id === session) ?? list?.find((each) => each.own && each.name === session);
	const name = facts?.name ?? session;
	const machineName = useMachineName(machine);
	const via = useMachineName(self);
	const { terminalFontSize } = usePreferences();
	const [mode, setMode] = useState<ViewerMode>("fit");
	const [overlay, setOverlay] = useState<TerminalOverlay>();
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
		// Not known yet counts: what would be scrolled by a program can be read back all the same.
		atShell: () => paneCommand.current === "" || shells.test(paneCommand.current),
		onTap: () => (rawNow.current ? view.controls.focus() : compose.current?.focus()),
		onLink: setLink,
		focused,
	});
	const { state, controls } = view;
	const uploads = useUploads(machine, session);
	const tmux = useTmux(machine, session);
	useKeyboardInset();

	useEffect(() => {
		if (!focused) return;
		document.title = `${name} · ${machineName}`;
		return () => {
			document.title = "Warren";
		};
	}, [name, machineName, focused]);

	const closeOverlay = () => {
		setOverlay(undefined);
		if (!isCoarse) controls.focus();
	};
	const pane = tmux.window?.panes.find((each) => each.active);
	paneCommand.current = pane?.command ?? "";

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
				<TerminalMenu
					view={view}
					tmux={tmux}
					mode={mode}
					onMode={setMode}
					onOverlay={setOverlay}
					onUpload={() => picker.current?.click()}
					onSplit={props.onSplit}
				/>
				{props.onClose !== undefined && (
					<button
						type="button"
						className="icon-button"
						aria-label={panes.closeOf(name)}
						title={panes.close}
						onClick={props.onClose}
					>
						<X size={18} />
					</button>
				)}
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

/** A path as a shell takes it in one word. */
function quotePath(path: string): string {
	return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
