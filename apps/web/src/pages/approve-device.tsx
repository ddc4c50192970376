import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { hub, useAccount } from "../api/hub.ts";
import { ErrorNotice } from "../ui/states.tsx";
import { AccountSignIn } from "./account-sign-in.tsx";
import { Gate } from "./gate.tsx";
import { t } from "./text/account-entry.ts";

/** What `warren login` asks a person to open: one look at the code, one answer. */
export function ApproveDevicePage({ code, onDone }: { code: string; onDone: () => void }) {
	const account = useAccount();
	const [outcome, setOutcome] = useState<"approve" | "deny">();
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	// The library lets only those decide who looked at the code first.
	const asked = useQuery({
		queryKey: ["hub", "device-code", code, account?.userId],
		queryFn: ({ signal }) => hub.request(`/auth/device?user_code=${encodeURIComponent(code)}`, { signal }),
		enabled: account !== undefined && outcome === undefined,
		retry: false,
	});

	async function decide(what: "approve" | "deny") {
		setBusy(true);
		setFailure(undefined);
		try {
			await hub.request(`/auth/device/${what}`, { method: "POST", body: { userCode: code } });
			setOutcome(what);
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}

	if (account === undefined)
		return (
			<Gate title={t.title} lead={t.approveSignIn}>
				<AccountSignIn />
			</Gate>
		);
	if (outcome !== undefined)
		return (
			<Gate title={outcome === "approve" ? t.approved : t.denied}>
				<button type="button" className="button" onClick={onDone}>
					{t.toWarren}
				</button>
			</Gate>
		);
	return (
		<Gate title={t.approveTitle} lead={t.approveLead} foot={<span className="clip">{account.email}</span>}>
			<p className="user-code mono">{code}</p>
			{asked.isError && <ErrorNotice failure={asked.error} />}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<div className="row wrap">
				<button
					type="button"
					className="button primary grow"
					disabled={busy || !asked.isSuccess}
					aria-busy={busy}
					onClick={() => void decide("approve")}
				>
					{t.approve}
				</button>
				<button
					type="button"
					className="button grow"
					disabled={busy || !asked.isSuccess}
					aria-busy={busy}
					onClick={() => void decide("deny")}
				>
					{t.deny}
				</button>
			</div>
		</Gate>
	);
}
