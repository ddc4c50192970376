import { Toast } from "@base-ui/react/toast";
import { X } from "lucide-react";
import { useLocation } from "wouter";
import { describe } from "./describe.ts";
import { t } from "./text.ts";

interface ToastData {
	/** Where a tap on the toast leads. */
	readonly href?: string;
}

export const toast = Toast.createToastManager<ToastData>();

/** A failure that has no place of its own on the page. */
export function toastError(what: string, failure: unknown): void {
	const { message, fix } = describe(failure);
	toast.add({
		title: what,
		description: fix === "" ? message : `${message} ${fix}`,
		type: "error",
		priority: "high",
		timeout: 9000,
	});
}

export function Toasts() {
	return (
		<Toast.Provider toastManager={toast} limit={3} timeout={5000}>
			<Toast.Portal>
				<Toast.Viewport className="toasts" aria-label={t.notices}>
					<ToastList />
				</Toast.Viewport>
			</Toast.Portal>
		</Toast.Provider>
	);
}

function ToastList() {
	const { toasts, close } = Toast.useToastManager<ToastData>();
	const [, navigate] = useLocation();
	return toasts.map((each) => (
		<Toast.Root key={each.id} toast={each} className="toast" swipeDirection={["right", "down"]}>
			<Toast.Content className="toast-content">
				<div className="grow">
					<Toast.Title className="toast-title" />
					<Toast.Description className="toast-description" />
				</div>
				{each.data?.href !== undefined && (
					<button
						type="button"
						className="toast-action"
						onClick={() => {
							navigate(each.data?.href ?? "/");
							close(each.id);
						}}
					>
						{t.open}
					</button>
				)}
				<Toast.Close className="icon-button" aria-label={t.dismiss}>
					<X size={16} />
				</Toast.Close>
			</Toast.Content>
		</Toast.Root>
	));
}
