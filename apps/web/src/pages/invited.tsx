import { useLocation } from "wouter";
import { tryEnrolWithAccount } from "../api/enrolment.ts";
import { useAccount, useDiscovery } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { Notice } from "../ui/states.tsx";
import { AccountSignUp } from "./account-sign-up.tsx";
import { Gate } from "./gate.tsx";
import { SocialButtons } from "./social-buttons.tsx";
import { t } from "./text/account-entry.ts";

/** What an invitation's link opens. */
export function InvitedPage({ code, onDone }: { code: string; onDone: () => void }) {
	const [, navigate] = useLocation();
	const name = useDiscovery().data?.name ?? location.host;
	const current = useAccount();
	return (
		<Gate
			title={t.invitedTitle}
			lead={t.invitedLead(name)}
			foot={
				<>
					<span className="mono clip">{location.host}</span>
					<button type="button" className="link" onClick={onDone}>
						{t.haveAccount}
					</button>
				</>
			}
		>
			{current !== undefined && <Notice tone="warn" title={t.invitedOther(current.name)} />}
			<AccountSignUp
				admission={{ invitation: code }}
				onDone={async () => {
					await tryEnrolWithAccount(self, name);
					onDone();
					navigate("/docs", { replace: true });
				}}
			/>
			<SocialButtons label={t.withService} />
		</Gate>
	);
}
