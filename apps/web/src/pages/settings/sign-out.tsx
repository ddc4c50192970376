import { useState } from "react";
import { forgetLocalDocuments } from "../../api/documents.ts";
import { account, hub, useAccount } from "../../api/hub.ts";
import { self } from "../../api/machine.ts";
import { api, credentials, queryClient } from "../../api/warren.tsx";
import { ActionButton } from "../../ui/action-button.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { t } from "../text/settings.ts";

/** Leaves nothing of a person in this browser that opens anything: machine, account, copies of documents. */
export function SignOut() {
	const [asking, setAsking] = useState(false);
	const signedIn = useAccount() !== undefined;
	return (
		<>
			<ActionButton className="button danger" act={async () => (signedIn ? setAsking(true) : await signOutOfMachine())}>
				{t.signOut}
			</ActionButton>
			<Confirm
				open={asking}
				onClose={() => setAsking(false)}
				title={t.signOutTitle}
				action={t.signOut}
				onConfirm={async () => {
					await signOutOfAccount();
					await signOutOfMachine();
				}}
			>
				{t.signOutBody}
			</Confirm>
		</>
	);
}

/** Revokes this browser's own token, and forgets it even when the machine is away. */
async function signOutOfMachine(): Promise<void> {
	const own = credentials.get(self);
	if (own === undefined) return;
	await api
		.request(self, `/api/devices/${encodeURIComponent(own.deviceId)}`, { method: "DELETE" })
		.catch(() => undefined);
	credentials.drop(self);
	queryClient.clear();
}

/** The same for the account's session; the copies of its documents go with it. */
export async function signOutOfAccount(): Promise<void> {
	const own = account.get();
	if (own === undefined) return;
	// With cookies, because a sign-in may have left one that the hub takes back.
	await hub.request("/auth/sign-out", { method: "POST", body: {}, cookies: true }).catch(() => undefined);
	account.drop(own.token);
	await forgetLocalDocuments(own.userId);
}
