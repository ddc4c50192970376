import { type ButtonHTMLAttributes, useState } from "react";

/** Whether something that was asked for is under way, and what runs it: nothing is asked for twice at a time. */
export function useBusy(): readonly [busy: boolean, work: (act: () => Promise<unknown>) => Promise<void>] {
	const [busy, setBusy] = useState(false);
	async function work(act: () => Promise<unknown>) {
		setBusy(true);
		try {
			await act();
		} finally {
			setBusy(false);
		}
	}
	return [busy, work];
}

/** A button that waits for what it does. @param act tells of its own failures. */
export function ActionButton(
	props: { act: () => Promise<unknown> } & Omit<ButtonHTMLAttributes<HTMLButtonElement>, "onClick" | "type">,
) {
	const { act, className = "button", disabled = false, children, ...rest } = props;
	const [busy, work] = useBusy();
	return (
		<button
			{...rest}
			type="button"
			className={className}
			disabled={disabled || busy}
			aria-busy={busy}
			onClick={() => void work(act)}
		>
			{children}
		</button>
	);
}
