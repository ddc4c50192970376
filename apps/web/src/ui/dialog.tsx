import { AlertDialog as BaseAlert } from "@base-ui/react/alert-dialog";
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import { ErrorNotice } from "./states.tsx";
import { t } from "./text.ts";

export function Dialog(props: {
	open: boolean;
	onClose: () => void;
	title: string;
	lead?: ReactNode;
	wide?: boolean;
	/** For a list with a view beside it. */
	large?: boolean;
	children: ReactNode;
}) {
	const popup = useRef<HTMLDivElement>(null);
	return (
		<Base.Root open={props.open} onOpenChange={(open) => !open && props.onClose()}>
			<Base.Portal>
				<Base.Backdrop className="backdrop" />
				<Base.Popup
					ref={popup}
					className={props.large ? "dialog large" : props.wide ? "dialog wide" : "dialog"}
					// The first field, where that opens no keyboard over the dialog.
					initialFocus={() => (isCoarse ? popup.current : popup.current?.querySelector("input")) ?? true}
				>
					<div className="row">
						<Base.Title className="grow">{props.title}</Base.Title>
						<Base.Close className="icon-button" aria-label={t.close}>
							<X size={18} />
						</Base.Close>
					</div>
					{props.lead !== undefined && <Base.Description className="lead">{props.lead}</Base.Description>}
					{props.children}
				</Base.Popup>
			</Base.Portal>
		</Base.Root>
	);
}

const isCoarse = matchMedia("(pointer: coarse)").matches;

/** Asks before something that cannot be undone, and names what it touches. */
export function Confirm(props: {
	open: boolean;
	onClose: () => void;
	title: string;
	children: ReactNode;
	action: string;
	onConfirm: () => Promise<unknown>;
}) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function confirm() {
		setBusy(true);
		setFailure(undefined);
		try {
			await props.onConfirm();
			props.onClose();
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return (
		<BaseAlert.Root open={props.open} onOpenChange={(open) => !open && props.onClose()}>
			<BaseAlert.Portal>
				<BaseAlert.Backdrop className="backdrop" />
				<BaseAlert.Popup className="dialog">
					<BaseAlert.Title>{props.title}</BaseAlert.Title>
					<BaseAlert.Description className="lead">{props.children}</BaseAlert.Description>
					{failure !== undefined && <ErrorNotice failure={failure} />}
					<div className="row end">
						<BaseAlert.Close className="button">{t.keep}</BaseAlert.Close>
						<button
							type="button"
							className="button danger solid"
							disabled={busy}
							aria-busy={busy}
							onClick={() => void confirm()}
						>
							{props.action}
						</button>
					</div>
				</BaseAlert.Popup>
			</BaseAlert.Portal>
		</BaseAlert.Root>
	);
}
