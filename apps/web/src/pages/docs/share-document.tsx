import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useState } from "react";
import { documentPath } from "../../api/documents.ts";
import { hub, useAccount } from "../../api/hub.ts";
import type { DocumentRecord, DocumentShare } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { useBusy } from "../../ui/action-button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field } from "../../ui/field.tsx";
import { Form, SubmitButton, textOf, useSubmit } from "../../ui/form.tsx";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { t } from "../text/docs.ts";

interface HubPerson {
	id: string;
	name: string;
}

/** Who else may read a document, or write in it. */
export function ShareDocument(props: { record: DocumentRecord; open: boolean; onClose: () => void }) {
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.shareTitle(props.record.title)} lead={t.shareLead} wide>
			{props.open && <Shares record={props.record} />}
		</Dialog>
	);
}

function Shares({ record }: { record: DocumentRecord }) {
	const own = useAccount()?.userId;
	const sharesPath = `${documentPath(record.id)}/shares`;
	const sharesKey = ["hub", "shares", record.id];
	const [failure, setFailure] = useState<unknown>();
	const people = useQuery({
		queryKey: ["hub", "people"],
		queryFn: async ({ signal }) => (await hub.request<{ people: HubPerson[] }>("/me/people", { signal })).people,
	});
	const shares = useQuery({
		queryKey: sharesKey,
		queryFn: async ({ signal }) => (await hub.request<{ shares: DocumentShare[] }>(sharesPath, { signal })).shares,
		staleTime: 0,
	});

	async function change(user: string, access: DocumentShare["access"] | null) {
		const path = `${sharesPath}/${encodeURIComponent(user)}`;
		await hub.request(path, access === null ? { method: "DELETE" } : { method: "PUT", body: { access } });
		await queryClient.invalidateQueries({ queryKey: sharesKey });
	}
	const [busy, work] = useBusy();
	const tell = (promise: Promise<void>) => {
		setFailure(undefined);
		void work(() => promise.catch(setFailure));
	};
	const submission = useSubmit(async (form) =>
		change(textOf(form, "user"), textOf(form, "access") === "read-write" ? "read-write" : "read-only"),
	);

	if (people.isError) return <ErrorNotice failure={people.error} onRetry={() => void people.refetch()} />;
	if (shares.isError) return <ErrorNotice failure={shares.error} onRetry={() => void shares.refetch()} />;
	if (people.data === undefined || shares.data === undefined)
		return <Skeletons count={2} height={44} label={t.shareList} />;
	const nameOf = (id: string) => people.data.find((each) => each.id === id)?.name ?? id;
	const others = people.data.filter((each) => each.id !== own);
	const candidates = others.filter((each) => !shares.data.some((share) => share.user === each.id));
	return (
		<>
			{candidates.length === 0 ? (
				<p className="muted">{others.length === 0 ? t.shareNobody : t.shareEverybody}</p>
			) : (
				<Form
					submission={submission}
					action={
						<SubmitButton submission={submission} end>
							{t.shareAdd}
						</SubmitButton>
					}
				>
					<div className="share-with">
						<Field label={t.shareWith}>
							{(ids) => (
								<select {...ids} className="select" name="user" required defaultValue="">
									<option value="" disabled>
										{t.shareChoose}
									</option>
									{candidates.map((each) => (
										<option key={each.id} value={each.id}>
											{each.name}
										</option>
									))}
								</select>
							)}
						</Field>
						<Field label={t.shareAs}>
							{(ids) => (
								<select {...ids} className="select" name="access">
									<option value="read-only">{t.shareRead}</option>
									<option value="read-write">{t.shareWrite}</option>
								</select>
							)}
						</Field>
					</div>
				</Form>
			)}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<section className="section" aria-label={t.shareList}>
				<h3>{t.shareList}</h3>
				{shares.data.length === 0 ? (
					<p className="muted">{t.shareNone}</p>
				) : (
					<ul className="card list">
						{shares.data.map(({ user, access }) => (
							<li key={user}>
								<span className="grow clip">{nameOf(user)}</span>
								<select
									className="select narrow"
									aria-label={t.shareAccess(nameOf(user))}
									value={access}
									disabled={busy}
									onChange={(event) =>
										tell(change(user, event.target.value === "read-write" ? "read-write" : "read-only"))
									}
								>
									<option value="read-only">{t.shareRead}</option>
									<option value="read-write">{t.shareWrite}</option>
								</select>
								<button
									type="button"
									className="icon-button"
									aria-label={t.shareRemove(nameOf(user))}
									title={t.shareRemove(nameOf(user))}
									disabled={busy}
									aria-busy={busy}
									onClick={() => tell(change(user, null))}
								>
									<X size={17} />
								</button>
							</li>
						))}
					</ul>
				)}
			</section>
		</>
	);
}
