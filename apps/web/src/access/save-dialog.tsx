import { useState } from "react";
import { ApiError } from "../api/exchange.ts";
import { Dialog } from "../ui/dialog.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { type PolicyPreview, type StoredPolicy, savePolicy } from "./access-api.ts";
import { t } from "./text.ts";

/** What a policy would change, pair by pair, before it is saved. */
export function SaveDialog(props: {
	preview: PolicyPreview | undefined;
	text: string;
	etag: string;
	onClose: () => void;
	onSaved: (policy: StoredPolicy) => void;
	/** Somebody else was faster. */
	onConflict: () => void;
}) {
	const { preview } = props;
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function save() {
		setBusy(true);
		setFailure(undefined);
		try {
			props.onSaved(await savePolicy(props.text, props.etag));
		} catch (thrown) {
			if (thrown instanceof ApiError && thrown.status === 412) props.onConflict();
			else setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	const lost = preview?.lostCount ?? 0;
	const closed = preview?.portsLostCount ?? 0;
	return (
		<Dialog open={preview !== undefined} onClose={props.onClose} title={t.preview.title}>
			{preview !== undefined && (
				<>
					{preview.gainedCount + lost + preview.portsCount === 0 && <p className="muted">{t.preview.same}</p>}
					<Pairs
						title={t.preview.gained(preview.gainedCount)}
						pairs={preview.gained}
						count={preview.gainedCount}
						sign="+"
					/>
					<Pairs title={t.preview.lost(lost)} pairs={preview.lost} count={lost} sign="−" />
					<Ports preview={preview} />
				</>
			)}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<div className="row end">
				<button
					type="button"
					className={lost + closed > 0 ? "button danger solid" : "button primary"}
					disabled={busy}
					aria-busy={busy}
					onClick={() => void save()}
				>
					{lost > 0 ? t.preview.saveLosing(lost) : closed > 0 ? t.preview.saveClosing(closed) : t.preview.save}
				</button>
			</div>
		</Dialog>
	);
}

function Ports({ preview: { ports, portsCount } }: { preview: PolicyPreview }) {
	if (portsCount === 0) return null;
	return (
		<section className="stack tight">
			<h3>{t.preview.ports(portsCount)}</h3>
			<ul className="pair-list mono small" data-sign="±">
				{ports.map(({ from, to, both, gained, lost }) => (
					<li key={`${from} ${to}`}>
						{from} {both ? "↔" : "→"} {to}
						{gained.map((each) => (
							<span key={each} className="gained">
								+ {each}
							</span>
						))}
						{lost.map((each) => (
							<span key={each} className="lost">
								− {each}
							</span>
						))}
					</li>
				))}
				{portsCount > ports.length && <li>{t.preview.more(portsCount - ports.length)}</li>}
			</ul>
		</section>
	);
}

function Pairs(props: { title: string; pairs: readonly string[][]; count: number; sign: string }) {
	if (props.count === 0) return null;
	return (
		<section className="stack tight">
			<h3>{props.title}</h3>
			<ul className="pair-list mono small" data-sign={props.sign}>
				{props.pairs.map(([a, b]) => (
					<li key={`${a} ${b}`}>
						{props.sign} {a} ↔ {b}
					</li>
				))}
				{props.count > props.pairs.length && <li>{t.preview.more(props.count - props.pairs.length)}</li>}
			</ul>
		</section>
	);
}
