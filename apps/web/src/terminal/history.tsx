import type { ITheme } from "@xterm/xterm";
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { type CSSProperties, memo, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import type { History, SearchResult } from "../api/types.ts";
import { api } from "../api/warren.tsx";
import { t } from "../pages/text/terminal.ts";
import { ErrorNotice, Skeletons } from "../ui/states.tsx";
import { cssColour } from "./palette.ts";
import { parseLine, plain, type Run, type Style } from "./sgr.ts";

const pageLines = 1000;
const maxLines = 20_000;
const searchLimit = 200;
const searchAfterMs = 250;

interface Props {
	machine: MachineId;
	session: string;
	theme: ITheme;
	light: boolean;
	fontSize: number;
	/** Begins with the search field in focus. */
	searching: boolean;
	onClose: () => void;
}

/** The scrollback as plain text over the live terminal: it scrolls, selects and copies as any page does. */
export function HistoryPanel({ machine, session, theme, light, fontSize, searching, onClose }: Props) {
	const base = `/api/sessions/${encodeURIComponent(session)}`;
	const [pages, setPages] = useState<readonly (readonly Run[][])[]>([]);
	const [more, setMore] = useState(true);
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const scroller = useRef<HTMLDivElement>(null);
	const keepFromBottom = useRef(0);
	const loaded = pages.reduce((sum, page) => sum + page.length, 0);
	const loading = useRef(false);

	const loadMore = useCallback(
		async (from: number): Promise<number> => {
			if (loading.current) return 0;
			loading.current = true;
			setBusy(true);
			try {
				const page = await api.request<History>(machine, `${base}/history?lines=${pageLines}&before=${from}`);
				const lines = parsePage(page.text);
				const element = scroller.current;
				keepFromBottom.current = element === null ? 0 : element.scrollHeight - element.scrollTop;
				setPages((before) => [lines, ...before]);
				setMore(page.more && lines.length > 0);
				setFailure(undefined);
				return lines.length;
			} catch (thrown) {
				setFailure(thrown);
				return 0;
			} finally {
				loading.current = false;
				setBusy(false);
			}
		},
		[machine, base],
	);

	useEffect(() => void loadMore(0), [loadMore]);

	// Lines that came in above must not move what is being read.
	// biome-ignore lint/correctness/useExhaustiveDependencies: after each page
	useLayoutEffect(() => {
		const element = scroller.current;
		if (element === null) return;
		element.scrollTop = pages.length <= 1 ? element.scrollHeight : element.scrollHeight - keepFromBottom.current;
	}, [pages.length]);

	const find = useFind(machine, base, pages, loaded, more, loadMore, scroller);

	function onScroll() {
		const element = scroller.current;
		if (element === null || pages.length === 0) return;
		if (element.scrollTop < 400 && more && loaded < maxLines) void loadMore(loaded);
	}

	return (
		<section
			className="history"
			style={{ background: theme.background, color: theme.foreground }}
			onKeyDown={(event) => event.key === "Escape" && onClose()}
		>
			<div className="history-bar">
				<input
					className="input"
					type="search"
					aria-label={t.historyFind}
					placeholder={t.historyFind}
					value={find.query}
					// biome-ignore lint/a11y/noAutofocus: opened by the search command
					autoFocus={searching}
					autoCapitalize="none"
					spellCheck={false}
					onChange={(event) => find.setQuery(event.target.value)}
					onKeyDown={(event) => {
						if (event.key !== "Enter") return;
						event.preventDefault();
						find.move(event.shiftKey ? -1 : 1);
					}}
				/>
				<span className="small history-count" role="status">
					{find.query === ""
						? ""
						: find.count === 0
							? find.busy
								? ""
								: t.historyNone
							: t.historyCount(find.at + 1, find.count, find.truncated)}
				</span>
				<button
					type="button"
					className="icon-button"
					aria-label={t.historyOlder}
					disabled={find.count === 0}
					onClick={() => find.move(1)}
				>
					<ChevronUp size={17} />
				</button>
				<button
					type="button"
					className="icon-button"
					aria-label={t.historyNewer}
					disabled={find.count === 0}
					onClick={() => find.move(-1)}
				>
					<ChevronDown size={17} />
				</button>
				<button type="button" className="button" onClick={onClose}>
					<X size={15} aria-hidden="true" /> {t.historyClose}
				</button>
			</div>
			{(failure !== undefined || find.failure !== undefined) && (
				<ErrorNotice failure={failure ?? find.failure} onRetry={() => void loadMore(loaded)} />
			)}
			<div
				className="history-text"
				ref={scroller}
				// biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
				tabIndex={0}
				role="region"
				aria-label={t.history}
				onScroll={onScroll}
				onWheel={(event) => {
					const element = event.currentTarget;
					const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 2;
					if (event.deltaY > 0 && atEnd) onClose();
				}}
				style={{ fontSize }}
			>
				{busy && <p className="small history-note">{t.historyLoading}</p>}
				{loaded >= maxLines && <p className="small history-note">{t.historyLimit(maxLines)}</p>}
				{pages.length === 0 && failure === undefined && <Skeletons count={6} height={14} label={t.historyLoading} />}
				{pages.length > 0 && loaded === 0 && <p className="history-note">{t.historyEmpty}</p>}
				<pre>
					{pages.map((page, index) => (
						// Counted from the newest page, which stays: pages are only ever put before the others.
						<HistoryPage
							key={pages.length - index}
							lines={page}
							theme={theme}
							light={light}
							current={find.currentIn(index)}
						/>
					))}
				</pre>
			</div>
		</section>
	);
}

function useFind(
	machine: MachineId,
	base: string,
	pages: readonly (readonly Run[][])[],
	loaded: number,
	more: boolean,
	loadMore: (from: number) => Promise<number>,
	scroller: React.RefObject<HTMLDivElement | null>,
) {
	const [query, setQuery] = useState("");
	const [result, setResult] = useState<SearchResult>({ matches: [], truncated: false });
	const [at, setAt] = useState(0);
	const [busy, setBusy] = useState(false);
	const [failure, setFailure] = useState<unknown>();

	useEffect(() => {
		setResult({ matches: [], truncated: false });
		setAt(0);
		if (query.trim() === "") return;
		const abort = new AbortController();
		setBusy(true);
		const timer = setTimeout(() => {
			const path = `${base}/search?q=${encodeURIComponent(query)}&limit=${searchLimit}`;
			api
				.request<SearchResult>(machine, path, { signal: abort.signal })
				.then((found) => {
					// Nearest first: the newest line has the smallest number.
					setResult({ ...found, matches: [...found.matches].sort((a, b) => a.line - b.line) });
					setFailure(undefined);
				})
				.catch((thrown: unknown) => !abort.signal.aborted && setFailure(thrown))
				.finally(() => !abort.signal.aborted && setBusy(false));
		}, searchAfterMs);
		return () => {
			clearTimeout(timer);
			abort.abort();
		};
	}, [machine, base, query]);

	const wanted = result.matches[at]?.line;
	useEffect(() => {
		if (wanted === undefined) return;
		if (wanted >= loaded) {
			if (more && loaded < maxLines) void loadMore(loaded);
			return;
		}
		const frame = requestAnimationFrame(() =>
			scroller.current?.querySelector(".history-match")?.scrollIntoView({ block: "center" }),
		);
		return () => cancelAnimationFrame(frame);
	}, [wanted, loaded, more, loadMore, scroller]);

	return {
		query,
		setQuery,
		busy,
		failure,
		at,
		count: result.matches.length,
		truncated: result.truncated,
		move: (by: number) => setAt((now) => Math.min(Math.max(0, now + by), Math.max(0, result.matches.length - 1))),
		/** The line of this page that is the current match, counted from its first; −1 when it is elsewhere. */
		currentIn(index: number): number {
			if (wanted === undefined) return -1;
			const newer = pages.slice(index + 1).reduce((sum, page) => sum + page.length, 0);
			const length = pages[index]?.length ?? 0;
			const fromEnd = wanted - newer;
			return fromEnd >= 0 && fromEnd < length ? length - 1 - fromEnd : -1;
		},
	};
}

function parsePage(text: string): Run[][] {
	if (text === "") return [];
	let style: Style = plain;
	return text
		.replace(/\n$/, "")
		.split("\n")
		.map((line) => {
			const { runs, end } = parseLine(line, style);
			style = end;
			return runs;
		});
}

const HistoryPage = memo(function HistoryPage(props: {
	lines: readonly Run[][];
	theme: ITheme;
	light: boolean;
	current: number;
}) {
	return (
		<div className="history-page">
			{props.lines.map((runs, index) => (
				// biome-ignore lint/suspicious/noArrayIndexKey: lines of a page never move
				<div key={index} className={index === props.current ? "history-match" : undefined}>
					{runs.map((run, at) =>
						run.style === plain ? (
							run.text
						) : (
							// biome-ignore lint/suspicious/noArrayIndexKey: runs of a line never move
							<span key={at} style={cssOf(run.style, props.theme, props.light)}>
								{run.text}
							</span>
						),
					)}
					{runs.length === 0 && "\n"}
				</div>
			))}
		</div>
	);
});

function cssOf(style: Style, theme: ITheme, light: boolean): CSSProperties {
	const wanted = style.fg === undefined ? undefined : cssColour(style.fg, theme);
	// Colours beyond the theme's sixteen were chosen for a dark screen: on paper they need ink to be read.
	const beyond = typeof style.fg === "string" || (style.fg !== undefined && style.fg >= 16);
	const fg =
		light && beyond && style.bg === undefined ? `color-mix(in oklab, ${wanted} 38%, ${theme.foreground})` : wanted;
	const bg = style.bg === undefined ? undefined : cssColour(style.bg, theme);
	const [color, background] = style.inverse ? [bg ?? theme.background, fg ?? theme.foreground] : [fg, bg];
	const lines = [style.underline && "underline", style.strike && "line-through"].filter(Boolean).join(" ");
	return {
		...(color === undefined ? {} : { color }),
		...(background === undefined ? {} : { background }),
		...(style.bold ? { fontWeight: 700 } : {}),
		...(style.dim ? { opacity: 0.65 } : {}),
		...(style.italic ? { fontStyle: "italic" } : {}),
		...(lines === "" ? {} : { textDecoration: lines }),
	};
}
