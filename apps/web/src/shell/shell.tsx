import { Plus, Search } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { machineOfPath, self, terminalPath, terminalsPath } from "../api/machine.ts";
import { useCredential, useFeed, useMachineName, useSessions } from "../api/warren.tsx";
import { useAnnounce } from "../presence/use-announce.ts";
import { Mark } from "./mark.tsx";
import { more, places } from "./navigation.ts";
import { News } from "./news.tsx";
import { Palette } from "./palette.tsx";
import { setPreferences } from "./preferences.ts";
import { t } from "./text.ts";

/** Rail on wide screens, tabs on phones, around whatever page the URL names. */
export function Shell({ children }: { children: ReactNode }) {
	const [path] = useLocation();
	const machine = machineOfPath(path) ?? self;
	const [searching, setSearching] = useState(false);
	useFeed(self);
	useAnnounce();

	useEffect(() => setPreferences({ lastPath: path }), [path]);
	useEffect(() => {
		const onKey = (event: KeyboardEvent) => {
			if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey)
				return;
			event.preventDefault();
			event.stopPropagation();
			setSearching((open) => !open);
		};
		// Captured, so that a terminal in focus does not swallow it.
		addEventListener("keydown", onKey, true);
		return () => removeEventListener("keydown", onKey, true);
	}, []);

	return (
		<div className="shell">
			<a className="button skip" href="#main">
				{t.skip}
			</a>
			<nav className="rail" aria-label={t.main}>
				<Link className="brand" href={terminalsPath(machine)} aria-label={t.home}>
					<Mark size={22} /> Warren
				</Link>
				<button type="button" className="palette-hint" onClick={() => setSearching(true)}>
					<span className="row">
						<Search size={15} aria-hidden="true" /> {t.goTo}
					</span>
					<kbd>{isApple ? "⌘K" : "Ctrl K"}</kbd>
				</button>
				{places.map(({ id, label, icon: Icon, path: pathOf, isAt, useNews }) => (
					<Link key={id} className="rail-link" href={pathOf(machine)} aria-current={isAt(path) ? "page" : undefined}>
						<Icon size={17} aria-hidden="true" /> {label}
						{useNews !== undefined && <News machine={machine} useNews={useNews} />}
					</Link>
				))}
				<RailSessions machine={machine} path={path} />
			</nav>
			<main className="main" id="main" tabIndex={-1}>
				{children}
			</main>
			<nav className="tabs" aria-label={t.main}>
				{[...places.filter((place) => place.tab), more].map(
					({ id, label, icon: Icon, path: pathOf, isAt, useNews }) => (
						<Link key={id} href={pathOf(machine)} aria-current={isAt(path) ? "page" : undefined}>
							<Icon size={21} aria-hidden="true" /> {label}
							{useNews !== undefined && <News machine={machine} useNews={useNews} />}
						</Link>
					),
				)}
			</nav>
			<Palette open={searching} onClose={() => setSearching(false)} machine={machine} />
		</div>
	);
}

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

function RailSessions({ machine, path }: { machine: string; path: string }) {
	const { data } = useSessions(machine);
	const name = useMachineName(machine);
	if (useCredential(machine) === undefined) return null;
	return (
		<section className="rail-section" aria-label={t.sessionsOn(name)}>
			<div className="title">
				<span className="clip">{t.on(name)}</span>
				<Link
					className="icon-button"
					href={`${terminalsPath(machine)}?new`}
					aria-label={t.newSession}
					title={t.newSession}
				>
					<Plus size={15} />
				</Link>
			</div>
			<div className="rail-sessions">
				{data?.sessions.map((session) => {
					const href = terminalPath(machine, session.id);
					return (
						<Link
							key={session.id}
							className="rail-session"
							href={href}
							aria-current={path === href ? "page" : undefined}
						>
							<span className="name clip">{session.name}</span>
							{session.bell && <span className="tag live">{t.bell}</span>}
							<span className="sub clip">{session.command}</span>
						</Link>
					);
				})}
				{data?.sessions.length === 0 && <span className="menu-label">{t.noSessions}</span>}
			</div>
		</section>
	);
}
