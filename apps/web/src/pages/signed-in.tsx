import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { tryEnrolWithAccount } from "../api/enrolment.ts";
import { hub, useDiscovery } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { takeOverSession } from "../api/social.ts";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { Gate } from "./gate.tsx";
import { socialRefusal, t } from "./text/account-entry.ts";

/** Where another service sends people back to: signed in, or with the reason why not. */
export function SignedInPage({ onEntered }: { onEntered: () => void }) {
	const [, navigate] = useLocation();
	const [failure, setFailure] = useState<unknown>();
	const name = useDiscovery().data?.name ?? location.host;
	const [refusal] = useState(() => new URLSearchParams(location.search).get("error"));
	useEffect(() => {
		if (refusal !== null) return;
		takeOverSession(hub)
			.then(() => tryEnrolWithAccount(self, name))
			.then(() => {
				onEntered();
				navigate("/docs", { replace: true });
			}, setFailure);
		// Once: what it does is done for good.
	}, []);
	return (
		<Gate title={t.title}>
			{refusal !== null && <Notice tone="warn" title={socialRefusal(refusal)} />}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			{refusal === null && failure === undefined ? (
				<Skeletons count={1} height={96} label={t.title} />
			) : (
				<button type="button" className="button" onClick={() => navigate("/sign-in", { replace: true })}>
					{t.toSignIn}
				</button>
			)}
		</Gate>
	);
}
