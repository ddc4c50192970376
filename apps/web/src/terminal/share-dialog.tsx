import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { MachineId } from "../api/machine.ts";
import type { Share } from "../api/types.ts";
import { api } from "../api/warren.tsx";
import { t } from "../pages/text/terminal.ts";
import { ActionButton } from "../ui/action-button.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Segments } from "../ui/field.tsx";
import { QrCode } from "../ui/qr.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { momentOf } from "../ui/time.ts";

const hourMs = 3_600_000;
const spans = [
	["1", t.hour],
	["8", t.eightHours],
	["24", t.day],
	["168", t.week],
] as const;

interface Props {
	open: boolean;
	onClose: () => void;
	machine: MachineId;
	session: { id: string; name: string };
}

export function ShareDialog(props: Props) {
	return (
		<Dialog wide open={props.open} onClose={props.onClose} title={t.shareTitle(props.session.name)} lead={t.shareLead}>
			<ShareBody {...props} />
		</Dialog>
	);
}

function ShareBody({ machine, session }: Props) {
	const client = useQueryClient();
	const [hours, setHours] = useState<(typeof spans)[number][0]>("1");
	const [url, setUrl] = useState<string>();
	const [failure, setFailure] = useState<unknown>();
	const key = [machine, "shares"];
	const existing = useQuery({
		queryKey: key,
		queryFn: ({ signal }) => api.request<{ shares: Share[] }>(machine, "/api/shares", { signal }),
	});
	const mine =
		existing.data?.shares.filter((share) => share.session === session.id || share.session === session.name) ?? [];

	async function attempt(what: () => Promise<void>) {
		setFailure(undefined);
		try {
			await what();
			await client.invalidateQueries({ queryKey: key });
		} catch (thrown) {
			setFailure(thrown);
		}
	}

	return (
		<>
			{url === undefined ? (
				<div className="row wrap">
					<Segments label={t.shareFor} value={hours} options={spans} onChange={setHours} />
					<ActionButton
						className="button primary"
						act={() =>
							attempt(async () => {
								const made = await api.request<{ url: string }>(
									machine,
									`/api/sessions/${encodeURIComponent(session.id)}/shares`,
									{
										method: "POST",
										body: { expiresInMs: Number(hours) * hourMs },
									},
								);
								setUrl(made.url);
							})
						}
					>
						{t.shareMake}
					</ActionButton>
				</div>
			) : (
				<div className="share-made">
					<QrCode text={url} label={t.shareQr} />
					<div className="stack tight grow">
						<Copyable block text={url} label={t.shareLink} />
						<p className="small muted">{t.shareOnce}</p>
					</div>
				</div>
			)}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			{existing.error !== null && <ErrorNotice failure={existing.error} />}
			{mine.length > 0 && (
				<section className="stack tight">
					<h3>{t.shareExisting}</h3>
					<ul className="list card">
						{mine.map((share) => (
							<li key={share.id}>
								<span className="grow">{t.shareUntil(momentOf(share.expiresAt))}</span>
								<ActionButton
									className="button danger"
									act={() =>
										attempt(() =>
											api.request(machine, `/api/shares/${encodeURIComponent(share.id)}`, { method: "DELETE" }),
										)
									}
								>
									{t.shareRevoke}
								</ActionButton>
							</li>
						))}
					</ul>
				</section>
			)}
		</>
	);
}
