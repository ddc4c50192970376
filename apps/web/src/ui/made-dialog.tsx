import { type ReactNode, useState } from "react";
import { Dialog } from "./dialog.tsx";

/**
 * A sheet in two steps: a form makes something, then it is shown, once.
 * @param props.form gets what to call with the thing that was made. @param props.shown its title and what to show of it.
 */
export function MadeDialog<T>(props: {
	open: boolean;
	onClose: () => void;
	title: string;
	lead: string;
	wide?: boolean;
	form: (onMade: (made: T) => void) => ReactNode;
	shown: (made: T, close: () => void) => { title: string; lead?: string; body: ReactNode };
}) {
	const [made, setMade] = useState<{ readonly value: T }>();
	const close = () => {
		setMade(undefined);
		props.onClose();
	};
	const shown = made === undefined ? undefined : props.shown(made.value, close);
	const lead = shown === undefined ? props.lead : shown.lead;
	return (
		<Dialog
			open={props.open}
			onClose={close}
			title={shown?.title ?? props.title}
			{...(lead === undefined ? {} : { lead })}
			wide={props.wide ?? false}
		>
			{shown?.body ?? props.form((value) => setMade({ value }))}
		</Dialog>
	);
}
