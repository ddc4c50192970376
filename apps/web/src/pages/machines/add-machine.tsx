import { useState } from "react";
import { useHubRole } from "../../api/hub.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { Segments } from "../../ui/field.tsx";
import { t } from "../text/machines.ts";
import { AddByAddress } from "./add-by-address.tsx";
import { AddByCode } from "./add-by-code.tsx";

type Way = "code" | "address";

/** One more machine: into this warren by a code, or beside it by its address. */
export function AddMachine({ open, onClose }: { open: boolean; onClose: () => void }) {
	const hasHub = useHubRole() !== "none";
	const [chosen, setChosen] = useState<Way>("code");
	const way = hasHub ? chosen : "address";
	return (
		<Dialog open={open} onClose={onClose} title={t.addTitle} lead={way === "code" ? t.codeLead : t.addressLead} wide>
			{hasHub && (
				<Segments
					label={t.ways}
					value={way}
					options={[
						["code", t.byCode],
						["address", t.byAddress],
					]}
					onChange={setChosen}
				/>
			)}
			{open && (way === "code" ? <AddByCode onClose={onClose} /> : <AddByAddress onDone={onClose} />)}
		</Dialog>
	);
}
