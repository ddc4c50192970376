import type { Clock, CredentialKind, Random } from "@warren/kernel";
import type { Route } from "@warren/net";
import { workspaceRoutes } from "@warren/sidecar";
import { syncDocumentHost } from "./document-host.ts";
import type { SidecarDocuments } from "./sidecar-listener.ts";

/** `/workspaces` over the documents of a sidecar, or of a hub that was asked to serve them too. */
export function workspacesOver(
	documents: SidecarDocuments,
	deps: { readonly clock: Clock; readonly random: Random },
	options: { readonly owner: string; readonly credentials: readonly CredentialKind[] },
): Route[] {
	return workspaceRoutes({ documents: syncDocumentHost({ ...documents, ...deps }), ...deps, ...options });
}
