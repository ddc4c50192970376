import { useQuery } from "@tanstack/react-query";
import { KeyRound, Trash2 } from "lucide-react";
import { useState } from "react";
import { hub, useHubRole } from "../../api/hub.ts";
import type { Passkey } from "../../api/hub-types.ts";
import { addPasskey, passkeyObstacle, passkeysSupported, wasDismissed } from "../../api/passkeys.ts";
import { queryClient } from "../../api/warren.tsx";
import { guessDeviceName } from "../../shell/device-name.ts";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { ListSection, MakeRow } from "../../ui/list-section.tsx";
import { dayOf } from "../../ui/time.ts";
import { toast } from "../../ui/toast.tsx";
import { t } from "../text/account.ts";

const key = ["hub", "passkeys"];

export function Passkeys() {
	const role = useHubRole();
	const [adding, setAdding] = useState(false);
	const [removing, setRemoving] = useState<Passkey>();
	const list = useQuery({
		queryKey: key,
		queryFn: ({ signal }) => hub.request<Passkey[]>("/auth/passkey/list-user-passkeys", { signal }),
	});
	const obstacle = role === "member" ? "member" : passkeyObstacle(location.hostname, passkeysSupported());
	const nameOf = (passkey: Passkey) => passkey.name || t.unnamed;
	return (
		<ListSection
			id="passkeys"
			title={t.passkeys}
			lead={t.passkeysLead}
			list={list}
			row={(passkey) => (
				<>
					<KeyRound size={17} aria-hidden="true" />
					<span className="grow clip">{nameOf(passkey)}</span>
					{passkey.createdAt && <span className="small faint">{t.keySince(dayOf(Date.parse(passkey.createdAt)))}</span>}
					<button
						type="button"
						className="icon-button"
						aria-label={t.removePasskey(nameOf(passkey))}
						onClick={() => setRemoving(passkey)}
					>
						<Trash2 size={16} />
					</button>
				</>
			)}
		>
			{obstacle !== null ? (
				<p className="small muted">{t.obstacles[obstacle]}</p>
			) : (
				<MakeRow
					label={t.addPasskey}
					onMake={() => setAdding(true)}
					empty={list.data?.length === 0}
					none={t.noPasskeys}
				/>
			)}
			<Dialog open={adding} onClose={() => setAdding(false)} title={t.addPasskey} lead={t.passkeysLead}>
				<AddForm onDone={() => setAdding(false)} />
			</Dialog>
			<Confirm
				open={removing !== undefined}
				onClose={() => setRemoving(undefined)}
				title={t.removePasskeyTitle(removing === undefined ? "" : nameOf(removing))}
				action={t.remove}
				onConfirm={async () => {
					await hub.request("/auth/passkey/delete-passkey", { method: "POST", body: { id: removing?.id } });
					await queryClient.invalidateQueries({ queryKey: key });
				}}
			>
				{t.removePasskeyBody}
			</Confirm>
		</ListSection>
	);
}

function AddForm({ onDone }: { onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		try {
			await addPasskey(hub, textOf(form, "name"));
		} catch (failure) {
			if (wasDismissed(failure)) return;
			throw failure;
		}
		toast.add({ title: t.passkeyAdded, type: "info" });
		await queryClient.invalidateQueries({ queryKey: key });
		onDone();
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.add}
				</SubmitButton>
			}
		>
			<TextField
				label={t.passkeyName}
				name="name"
				defaultValue={guessDeviceName(navigator.userAgent)}
				maxLength={64}
				autoComplete="off"
				required
			/>
		</Form>
	);
}
