//! Warren's window: a sidecar as its child, the hub's pages in its frame. What it knows lies in one folder of its own.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]
mod desktop;
mod hub;
mod program;
mod settings;
mod sidecar;

use desktop::{Desktop, Status};
use hub::{Place, open_in_browser, place_of};
use program::Program;
use settings::{Settings, make_folder};
use std::{env, path::PathBuf, sync::Arc};
use tauri::{
    App, Manager, RunEvent, State, WebviewUrl, WebviewWindowBuilder,
    ipc::Channel,
    menu::{MenuBuilder, SubmenuBuilder},
    webview::{NewWindowResponse, PageLoadEvent},
};

type Shared<'a> = State<'a, Arc<Desktop>>;

#[tauri::command]
fn watch(desktop: Shared, page: Channel<Status>) {
    desktop.watch(page);
}

#[tauri::command]
fn sign_in(desktop: Shared, settings: Settings) {
    desktop.sign_in(settings);
}

#[tauri::command]
fn enter(desktop: Shared) {
    desktop.enter();
}

#[tauri::command]
fn session(desktop: Shared) -> Option<(String, String)> {
    desktop.session()
}

#[tauri::command]
fn sign_out(desktop: Shared) {
    desktop.sign_out();
}

fn main() {
    let app = tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![watch, sign_in, enter, session, sign_out])
        .setup(set_up)
        .build(tauri::generate_context!())
        .expect("the window's own configuration");
    app.run(|app, event| {
        if let RunEvent::Exit = event {
            app.state::<Arc<Desktop>>().stop();
        }
    });
}

fn set_up(app: &mut App) -> Result<(), Box<dyn std::error::Error>> {
    let folder = match env::var_os("WARREN_DESKTOP_DATA") {
        Some(told) => PathBuf::from(told),
        None => app.path().app_local_data_dir()?,
    };
    make_folder(&folder)?;
    let menu = SubmenuBuilder::new(app, "Warren")
        .text("home", "Hub and sidecar")
        .text("reload", "Reload")
        .separator()
        .text("sign-out", "Sign out")
        .text("quit", "Quit")
        .build()?;
    app.set_menu(MenuBuilder::new(app).item(&menu).build()?)?;
    let desktop = Desktop::open(app.handle().clone(), Program::find(folder.join("data")), cloud());
    app.manage(desktop.clone());
    open_window(app, &desktop, folder.join("pages"))?;
    app.on_menu_event(move |app, event| match event.id().as_ref() {
        "home" => desktop.home(),
        "reload" => drop(app.get_webview_window("main").map(|window| window.reload())),
        "sign-out" => desktop.sign_out(),
        _ => app.exit(0),
    });
    Ok(())
}

fn open_window(app: &App, desktop: &Arc<Desktop>, pages: PathBuf) -> tauri::Result<()> {
    let (judging, handing) = (desktop.clone(), desktop.clone());
    let window = WebviewWindowBuilder::new(app, "main", WebviewUrl::default())
        .title("Warren")
        .inner_size(1200.0, 800.0)
        .data_directory(pages)
        .on_navigation(move |url| {
            let place = place_of(url, judging.hub().as_ref());
            if place == Place::Browser {
                open_in_browser(url);
            }
            place == Place::Here
        })
        .on_new_window(|url, _| {
            if place_of(&url, None) == Place::Browser {
                open_in_browser(&url);
            }
            NewWindowResponse::Deny
        })
        .on_page_load(move |window, load| {
            let at_hub = handing.hub().is_some_and(|hub| hub.url.origin() == load.url().origin());
            if at_hub && load.event() == PageLoadEvent::Finished {
                handing.hand_over_script().map(|script| window.eval(script));
            }
        })
        .build()?;
    #[cfg(target_os = "linux")]
    trust(&window, desktop)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn trust(window: &tauri::WebviewWindow, desktop: &Arc<Desktop>) -> tauri::Result<()> {
    use webkit2gtk::{NetworkError, WebViewExt};
    let (knowing, refusing, losing) = (desktop.clone(), desktop.clone(), desktop.clone());
    window.with_webview(move |view| {
        let refused = move |url| {
            let fault =
                format!("The certificate of {url} is not one that its CA vouches for. Somebody may be in between.");
            refusing.lost(Some(fault));
        };
        hub::trust(&view.inner(), move || knowing.hub(), refused);
        view.inner().connect_load_failed(move |_, _, uri, fault| {
            let hub = losing.hub().filter(|hub| uri.starts_with(hub.url.as_str()));
            let is_lost = hub.is_some() && !fault.matches(NetworkError::Cancelled);
            if is_lost {
                losing.lost(None);
            }
            is_lost
        });
    })
}

/** The one constant of a build, as the command line has it, unless WARREN_CLOUD_URL says another. */
fn cloud() -> Option<String> {
    let package: serde_json::Value =
        serde_json::from_str(include_str!("../../warren/package.json")).unwrap_or_default();
    let built_in = package["config"]["cloudUrl"].as_str().unwrap_or_default().to_owned();
    Some(env::var("WARREN_CLOUD_URL").unwrap_or(built_in)).filter(|url| !url.is_empty())
}
