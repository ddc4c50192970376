import { useQuery } from "@tanstack/react-query";
import { ShieldAlert } from "lucide-react";
import { useState } from "react";
import { ApiError } from "../api/exchange.ts";
import { type MachineId, self } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { toast } from "../ui/toast.tsx";
import { t } from "./text/pin.ts";

/** A full stop: the peer's certificate changed. Shows both prints and lets a person decide. */
export function PinCard({ peer, name }: { peer: MachineId; name: string }) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	// The relay's refusal is what knows both prints.
	const prints = useQuery({
		queryKey: [self, "prints", peer],
		queryFn: async ({ signal }) => {
			try {
				await api.request(peer, "/api/identify", { signal });
				return {};
			} catch (thrown) {
				if (thrown instanceof ApiError && thrown.code === "pin_mismatch") return thrown.details;
				throw thrown;
			}
		},
		retry: false,
		staleTime: 0,
	});
	const expected = text(prints.data?.expected);
	const actual = text(prints.data?.actual);

	async function decide(what: () => Promise<unknown>, done: string) {
		setBusy(true);
		setFailure(undefined);
		try {
			await what();
			await api
				.request(self, `/api/peers/${encodeURIComponent(peer)}/probe`, { method: "POST" })
				.catch(() => undefined);
			await queryClient.invalidateQueries({ queryKey: [self, "peers"] });
			await queryClient.invalidateQueries({ queryKey: [peer] });
			toast.add({ title: done, type: "info" });
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}

	const pinPath = `/api/peers/${encodeURIComponent(peer)}/pin`;
	return (
		<section className="card pin-card" aria-label={t.title(name)}>
			<header className="row">
				<ShieldAlert size={20} aria-hidden="true" />
				<h2>{t.title(name)}</h2>
			</header>
			<p className="muted small">{t.lead}</p>
			<dl className="prints">
				<dt>{t.expected}</dt>
				<dd>{expected === undefined ? t.unknown : <Copyable text={expected} label={ui.values.knownFingerprint} />}</dd>
				<dt>{t.actual}</dt>
				<dd>{actual === undefined ? t.unknown : <Copyable text={actual} label={ui.values.newFingerprint} />}</dd>
			</dl>
			{failure !== undefined && <ErrorNotice failure={failure} />}
			{prints.error !== null && <ErrorNotice failure={prints.error} />}
			<div className="row wrap">
				<button
					type="button"
					className="button danger"
					disabled={busy || actual === undefined}
					aria-busy={busy}
					onClick={() =>
						void decide(
							() => api.request(self, pinPath, { method: "PUT", body: { fingerprint: actual } }),
							t.trusted(name),
						)
					}
				>
					{t.trust}
				</button>
				<button
					type="button"
					className="button"
					disabled={busy}
					aria-busy={busy}
					onClick={() => void decide(() => api.request(self, pinPath, { method: "DELETE" }), t.forgotten(name))}
				>
					{t.forget}
				</button>
				<span className="small faint grow">{t.forgetHint}</span>
			</div>
		</section>
	);
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
