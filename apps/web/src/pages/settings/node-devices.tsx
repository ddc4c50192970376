import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { self } from "../../api/machine.ts";
import type { Device } from "../../api/types.ts";
import { api, credentials, queryClient, useCredential, useMachineName } from "../../api/warren.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { agoOf, dayOf } from "../../ui/time.ts";
import { t } from "../text/settings.ts";

/** Who holds a token of this very node. */

export function NodeDevices() {
	const name = useMachineName(self);
	const [revoking, setRevoking] = useState<Device>();
	const own = useCredential(self)?.deviceId;
	const devices = useQuery({
		queryKey: [self, "devices"],
		queryFn: ({ signal }) => api.request<{ devices: Device[] }>(self, "/api/devices", { signal }),
	});
	const isOwn = (device: Device) => device.current ?? device.id === own;
	return (
		<section className="section" aria-labelledby="devices">
			<header>
				<h2 id="devices">{t.devices}</h2>
				<p>{t.devicesLead(name)}</p>
			</header>
			{devices.isError && <ErrorNotice failure={devices.error} onRetry={() => void devices.refetch()} />}
			{devices.isPending && <Skeletons count={2} height={52} label={t.devices} />}
			{devices.data !== undefined && (
				<ul className="card list">
					{devices.data.devices.map((device) => (
						<li key={device.id}>
							<div className="grow">
								<div className="row wrap">
									<span>{device.name}</span>
									{isOwn(device) && <span className="tag live">{t.thisDevice}</span>}
								</div>
								<span className="small faint">
									{t.deviceMade(dayOf(device.createdAt))}
									{device.lastSeenAt !== undefined &&
										device.lastSeenAt !== null &&
										` · ${t.deviceSeen(agoOf(device.lastSeenAt))}`}
								</span>
							</div>
							<button
								type="button"
								className="button danger"
								aria-label={`${t.revoke} ${device.name}`}
								onClick={() => setRevoking(device)}
							>
								{t.revoke}
							</button>
						</li>
					))}
				</ul>
			)}
			<Confirm
				open={revoking !== undefined}
				onClose={() => setRevoking(undefined)}
				title={t.revokeTitle(revoking?.name ?? "")}
				action={t.revoke}
				onConfirm={async () => {
					if (revoking === undefined) return;
					await api.request(self, `/api/devices/${encodeURIComponent(revoking.id)}`, { method: "DELETE" });
					if (isOwn(revoking)) credentials.drop(self);
					await queryClient.invalidateQueries({ queryKey: [self, "devices"] });
				}}
			>
				{revoking !== undefined && isOwn(revoking) ? t.revokeSelfBody : t.revokeBody}
			</Confirm>
		</section>
	);
}
