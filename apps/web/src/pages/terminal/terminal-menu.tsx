import type { ViewerMode } from "@warren/terminal/protocol";
import {
	ALargeSmall,
	Check,
	ClipboardPaste,
	Columns2,
	Copy,
	Ellipsis,
	Expand,
	PanelBottom,
	PanelRight,
	Pencil,
	Rows2,
	Share2,
	SquareStack,
	Trash2,
	Upload,
	X,
} from "lucide-react";
import { t as panes } from "../../panes/text.ts";
import { fontSizes, preferences, setPreferences } from "../../shell/preferences.ts";
import { isCoarse, type TerminalView } from "../../terminal/use-terminal.ts";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "../../ui/menu.tsx";
import { toast } from "../../ui/toast.tsx";
import { t } from "../text/terminal.ts";
import type { Tmux } from "./use-tmux.ts";

/** What may lie over the terminal. */
export type TerminalOverlay = "history" | "search" | "share" | "rename" | "kill-pane" | "kill-window";

/** Everything that may be done with a terminal beside typing. */
export function TerminalMenu(props: {
	view: TerminalView;
	tmux: Tmux;
	mode: ViewerMode;
	onMode: (mode: ViewerMode) => void;
	onOverlay: (overlay: TerminalOverlay) => void;
	onUpload: () => void;
	onSplit: (direction: "row" | "column") => void;
}) {
	const { view, tmux, mode, onMode, onOverlay, onUpload, onSplit } = props;
	const { controls } = view;
	const setFont = (by: number) =>
		setPreferences({
			terminalFontSize: Math.min(fontSizes.max, Math.max(fontSizes.min, preferences().terminalFontSize + by)),
		});
	return (
		<Menu
			label={t.menu}
			{...(isCoarse ? {} : { onClosed: controls.focus })}
			trigger={
				<button type="button" className="icon-button">
					<Ellipsis size={18} />
				</button>
			}
		>
			<MenuItem icon={<PanelRight size={16} />} onSelect={() => onSplit("row")} {...shortcut("Alt⇧\\")}>
				{panes.splitRow}
			</MenuItem>
			<MenuItem icon={<PanelBottom size={16} />} onSelect={() => onSplit("column")} {...shortcut("Alt⇧-")}>
				{panes.splitColumn}
			</MenuItem>
			<MenuSeparator />
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
					<MenuItem icon={<X size={16} />} danger onSelect={() => onOverlay("kill-pane")}>
						{t.killPane}
					</MenuItem>
				</>
			)}
			{(tmux.windows?.length ?? 0) > 1 && (
				<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => onOverlay("kill-window")}>
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
			<MenuItem icon={<Upload size={16} />} onSelect={onUpload}>
				{t.upload}
			</MenuItem>
			<MenuSeparator />
			<MenuItem icon={<Pencil size={16} />} onSelect={() => onOverlay("rename")}>
				{t.rename}
			</MenuItem>
			<MenuItem icon={<Share2 size={16} />} onSelect={() => onOverlay("share")}>
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
					onSelect={() => onMode(value)}
				>
					{label}
				</MenuItem>
			))}
		</Menu>
	);
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
