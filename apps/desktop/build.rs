/// Commands are the window's own pages' alone: each needs the leave that capabilities/window.json gives.
fn main() {
    let commands = tauri_build::AppManifest::new().commands(&["watch", "sign_in", "enter", "session", "sign_out"]);
    tauri_build::try_build(tauri_build::Attributes::new().app_manifest(commands)).expect("tauri.conf.json");
}
