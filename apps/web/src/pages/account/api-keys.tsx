import { useQuery } from "@tanstack/react-query";
import { KeySquare, Trash2 } from "lucide-react";
import { useState } from "react";
import { hub } from "../../api/hub.ts";
import type { ApiKey } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Field } from "../../ui/field.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { ListSection, MakeRow } from "../../ui/list-section.tsx";
import { agoOf, dayOf } from "../../ui/time.ts";
import { t } from "../text/account.ts";

const key = ["hub", "api-keys"];
const daySeconds = 86_400;
const lifetimes: Readonly<Record<string, number>> = { month: 30 * daySeconds, year: 365 * daySeconds };

export function ApiKeys() {
	const [making, setMaking] = useState(false);
	const [made, setMade] = useState<string>();
	const [deleting, setDeleting] = useState<ApiKey>();
	const list = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) => (await hub.request<{ apiKeys: ApiKey[] }>("/auth/api-key/list", { signal })).apiKeys,
	});
	const nameOf = (each: ApiKey) => each.name || each.start || each.id;
	return (
		<ListSection
			id="api-keys"
			title={t.keys}
			lead={t.keysLead}
			list={list}
			row={(each) => (
				<>
					<KeySquare size={17} aria-hidden="true" />
					<div className="grow">
						<div className="clip">{nameOf(each)}</div>
						<span className="small faint">
							{each.start !== null && <span className="mono">{each.start}… </span>}
							{each.lastRequest === null ? t.keyUnused : t.keyUsed(agoOf(Date.parse(each.lastRequest)))}
							{each.expiresAt !== null && ` · ${t.keyEnds(dayOf(Date.parse(each.expiresAt)))}`}
						</span>
					</div>
					<button
						type="button"
						className="icon-button"
						aria-label={t.deleteKey(nameOf(each))}
						onClick={() => setDeleting(each)}
					>
						<Trash2 size={16} />
					</button>
				</>
			)}
		>
			<MakeRow label={t.makeKey} onMake={() => setMaking(true)} empty={list.data?.length === 0} none={t.noKeys} />
			<Dialog
				open={making}
				onClose={() => {
					setMaking(false);
					setMade(undefined);
				}}
				title={made === undefined ? t.makeKey : t.keyMade}
				{...(made === undefined ? {} : { lead: t.keyOnce })}
			>
				{made === undefined ? <MakeForm onMade={setMade} /> : <Copyable block text={made} label={t.keyLabel} />}
			</Dialog>
			<Confirm
				open={deleting !== undefined}
				onClose={() => setDeleting(undefined)}
				title={t.deleteKeyTitle(deleting === undefined ? "" : nameOf(deleting))}
				action={t.delete}
				onConfirm={async () => {
					await hub.request("/auth/api-key/delete", { method: "POST", body: { keyId: deleting?.id } });
					await queryClient.invalidateQueries({ queryKey: key });
				}}
			>
				{t.deleteKeyBody}
			</Confirm>
		</ListSection>
	);
}

function MakeForm({ onMade }: { onMade: (key: string) => void }) {
	const submission = useSubmit(async (form) => {
		const expiresIn = lifetimes[textOf(form, "expiry")];
		const made = await hub.request<{ key: string }>("/auth/api-key/create", {
			method: "POST",
			body: { name: textOf(form, "name"), ...(expiresIn === undefined ? {} : { expiresIn }) },
		});
		onMade(made.key);
		await queryClient.invalidateQueries({ queryKey: key });
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.makeKey}
				</SubmitButton>
			}
		>
			<TextField label={t.keyName} name="name" maxLength={32} autoComplete="off" required />
			<Field label={t.keyExpiry}>
				{(ids) => (
					<select {...ids} className="select" name="expiry" defaultValue="year">
						{Object.entries(t.keyExpiries).map(([value, label]) => (
							<option key={value} value={value}>
								{label}
							</option>
						))}
					</select>
				)}
			</Field>
		</Form>
	);
}
