import type { ReactNode } from "react";
import { useAccount, useHubRole } from "../api/hub.ts";
import { AccountSignIn } from "../pages/account-sign-in.tsx";
import { HubName } from "../pages/hub-choice.tsx";
import { t } from "../pages/text/account-gate.ts";
import { Notice } from "../ui/states.tsx";

/** Shows what belongs to a person's account once this browser is signed in to it; else asks for the account. */
export function AccountGate({ what, children }: { what: string; children: ReactNode }) {
	const account = useAccount();
	const role = useHubRole();
	if (account !== undefined) return children;
	return (
		<div className="gate">
			<div className="gate-card">
				<div className="gate-head">
					<h1>{t.title}</h1>
					<p className="muted">{t.lead(what)}</p>
				</div>
				{role === "none" ? (
					<Notice title={t.none}>
						<span className="muted">{t.noneFix}</span>
					</Notice>
				) : (
					<>
						<AccountSignIn />
						<div className="gate-foot stacked">
							<HubName />
							<p>{t.noAccount}</p>
						</div>
					</>
				)}
			</div>
		</div>
	);
}
