import { useEffect, useState } from "react";
import { hub } from "../../api/hub.ts";
import type { Pairing } from "../../api/hub-types.ts";
import { isLoopback, reachableOrigin } from "../../api/links.ts";
import { useBusy } from "../../ui/action-button.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { clockOf, useNow } from "../../ui/countdown.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { QrCode } from "../../ui/qr.tsx";
import { ErrorNotice, Notice, Skeletons } from "../../ui/states.tsx";
import { t as ui } from "../../ui/text.ts";
import { t } from "../text/account.ts";

interface Offer {
	id: string;
	code: string;
	url: string;
	fingerprint: string | null;
	expiresAt: number;
}

/** The hub answers a wait after 25 s at the latest. */
const waitTimeoutMs = 40_000;

/** Shows a code, waits for the device that scans it, and asks whether it is the right one. */
export function PairPhone({ open, onClose }: { open: boolean; onClose: () => void }) {
	return (
		<Dialog open={open} onClose={onClose} title={t.pairTitle} lead={t.pairLead}>
			{open && <Pairings onClose={onClose} />}
		</Dialog>
	);
}

function Pairings({ onClose }: { onClose: () => void }) {
	const [round, setRound] = useState(0);
	return <OnePairing key={round} onAgain={() => setRound((now) => now + 1)} onClose={onClose} />;
}

function OnePairing({ onAgain, onClose }: { onAgain: () => void; onClose: () => void }) {
	const [offer, setOffer] = useState<Offer>();
	const [pairing, setPairing] = useState<Pairing>();
	const [failure, setFailure] = useState<unknown>();
	const now = useNow();

	useEffect(() => {
		const gone = new AbortController();
		const { signal } = gone;
		async function follow() {
			const made = await hub.request<Offer>("/me/pairings", { method: "POST", signal });
			setOffer(made);
			// Two steps at most before it is this screen's turn; the code's own end ends the waiting.
			for (let state = "waiting"; state === "waiting"; ) {
				const next: Pairing = await hub.request(`/me/pairings/${encodeURIComponent(made.id)}?wait=waiting`, {
					signal,
					timeoutMs: waitTimeoutMs,
				});
				state = next.state;
				setPairing(next);
			}
		}
		follow().catch((thrown: unknown) => {
			if (!signal.aborted) setFailure(thrown);
		});
		return () => gone.abort();
	}, []);

	const [deciding, work] = useBusy();
	async function decide(allow: boolean) {
		if (offer === undefined) return;
		setFailure(undefined);
		try {
			setPairing(
				await hub.request<Pairing>(`/me/pairings/${encodeURIComponent(offer.id)}/confirm`, {
					method: "POST",
					body: { allow },
				}),
			);
		} catch (thrown) {
			setFailure(thrown);
		}
	}

	const state = pairing?.state ?? "waiting";
	if (state === "confirmed" || state === "denied")
		return (
			<>
				<Notice title={state === "confirmed" ? t.confirmed(pairing?.deviceName ?? "") : t.denied} />
				<div className="row end">
					<button type="button" className="button primary" onClick={onClose}>
						{t.done}
					</button>
				</div>
			</>
		);
	if (offer !== undefined && (offer.expiresAt <= now || failure !== undefined))
		return (
			<>
				{failure !== undefined && <ErrorNotice failure={failure} />}
				{failure === undefined && <Notice title={t.pairOver} />}
				<div className="row end">
					<button type="button" className="button primary" onClick={onAgain}>
						{t.pairNew}
					</button>
				</div>
			</>
		);
	if (failure !== undefined) return <ErrorNotice failure={failure} onRetry={onAgain} />;
	if (offer === undefined) return <Skeletons count={1} height={220} label={t.pairTitle} />;
	if (state === "claimed" && pairing !== undefined)
		return (
			<>
				<Notice tone="warn" title={t.claimedTitle(pairing.deviceName)}>
					<span>{t.claimedLead(pairing.address)}</span>
				</Notice>
				<div className="row end wrap">
					<button
						type="button"
						className="button"
						disabled={deciding}
						aria-busy={deciding}
						onClick={() => void work(() => decide(false))}
					>
						{t.deny}
					</button>
					<button
						type="button"
						className="button primary"
						disabled={deciding}
						aria-busy={deciding}
						onClick={() => void work(() => decide(true))}
					>
						{t.allow}
					</button>
				</div>
			</>
		);
	const link = `${reachableOrigin(location, offer.url)}/${new URL(offer.url).hash}`;
	return (
		<div className="pairing">
			<QrCode text={link} label={t.pairQr} />
			<p className="countdown muted">{t.pairLeft(clockOf(offer.expiresAt - now))}</p>
			<Copyable block text={link} label={t.pairLink} />
			{isLoopback(new URL(link).hostname) && <Notice tone="warn" title={t.pairLoopback} />}
			{offer.fingerprint !== null && (
				<div className="stack tight">
					<p className="small muted">{t.pairPrint}</p>
					<Copyable text={offer.fingerprint} label={ui.values.fingerprint} />
				</div>
			)}
		</div>
	);
}
