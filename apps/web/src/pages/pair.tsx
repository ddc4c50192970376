import { useEffect, useRef, useState } from "react";
import { tryEnrolWithAccount } from "../api/enrolment.ts";
import { ApiError } from "../api/exchange.ts";
import { hub, useDiscovery } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { guessDeviceName } from "../shell/device-name.ts";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { Gate } from "./gate.tsx";
import { t } from "./text/account-entry.ts";

/** The server answers after 25 s at the latest. */
const pairTimeoutMs = 40_000;
/** As the hub makes them. */
const codeLength = 43;
const pairingCode = /^[A-Za-z0-9_-]{43}$/;

/** What a pairing's QR code opens: this device asks, the other screen confirms. */
export function PairPage({ code, onDone }: { code: string; onDone: () => void }) {
	const name = useDiscovery().data?.name ?? location.host;
	const [waitingAs, setWaitingAs] = useState<string>();
	const gone = useRef(new AbortController());
	useEffect(() => {
		const controller = new AbortController();
		gone.current = controller;
		return () => controller.abort();
	}, []);
	const submission = useSubmit(async (form) => {
		const deviceName = textOf(form, "device");
		setWaitingAs(deviceName);
		try {
			const token = await waitForConsent(code, deviceName, gone.current.signal);
			await hub.adopt(token);
			await tryEnrolWithAccount(self, name);
			onDone();
		} finally {
			setWaitingAs(undefined);
		}
	});
	if (!pairingCode.test(code)) {
		const isCut = /^[\w-]*$/.test(code) && code.length < codeLength;
		return (
			<Gate
				title={isCut ? t.pairCut : t.pairBad}
				lead={isCut ? t.pairCutLead(code.length, codeLength) : t.pairBadLead(codeLength)}
			>
				<button type="button" className="button primary" onClick={onDone}>
					{t.toSignIn}
				</button>
			</Gate>
		);
	}
	const over = submission.failure instanceof ApiError && submission.failure.code === "bad_code";
	if (over)
		return (
			<Gate title={t.pairOver} lead={t.pairOverLead}>
				<button type="button" className="button primary" onClick={onDone}>
					{t.toSignIn}
				</button>
			</Gate>
		);
	return (
		<Gate
			title={waitingAs === undefined ? t.pairTitle : t.pairWaiting}
			lead={waitingAs === undefined ? t.pairLead(name) : t.pairWaitingLead(waitingAs)}
			foot={<span className="mono clip">{location.host}</span>}
		>
			<div hidden={waitingAs !== undefined}>
				<Form submission={submission} action={<SubmitButton submission={submission}>{t.pair}</SubmitButton>}>
					<TextField
						label={t.pairName}
						name="device"
						defaultValue={guessDeviceName(navigator.userAgent)}
						maxLength={64}
						required
					/>
				</Form>
			</div>
			{waitingAs !== undefined && <span className="skeleton bar" role="status" aria-label={t.pairWaiting} />}
		</Gate>
	);
}

/** Asks again while the other screen has not answered; the code's three minutes end it. @returns the session's token. */
async function waitForConsent(code: string, deviceName: string, signal: AbortSignal): Promise<string> {
	for (;;) {
		const answer = await hub.request<{ token?: string; state?: string }>("/auth/pair", {
			method: "POST",
			body: { code, deviceName },
			token: null,
			signal,
			timeoutMs: pairTimeoutMs,
		});
		if (typeof answer.token === "string") return answer.token;
	}
}
