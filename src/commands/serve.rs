use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::{DescribedFolder, LabelledImages, Split};

use super::dataset_of::of_model;
use super::device::run_on;
use super::orchestrator::token;
use super::{BackendArgs, TrustArgs, User};
use crate::checkpoint::snapshot::Snapshot;
use crate::data::scenes;
use crate::runtime::memory::use_large_pages;
use crate::runtime::token::Token;
use crate::serve::{
    Access, Limits, Metrics, ModelFacts, Orders, Samples, Service, app, paint, queue, start,
};
use crate::train::Stop;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Checkpoint folder, run folder for its newest checkpoint, or model file of `dp-sims export`
    /// [default: the model inside the program].
    #[arg(long, value_name = "DIR | FILE.safetensors | NAME")]
    checkpoint: Option<PathBuf>,
    /// Address and port to serve at; port 0 is any that is free. 0.0.0.0 serves other machines too.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7860")]
    bind: String,
    /// Further name that the server answers to, such as that of a proxy before it; may be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Origin of another page that may ask, such as https://example.org; may be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    allow_origin: Vec<String>,
    /// Word that whoever asks has to know [default: the variable DP_SIMS_TOKEN]. Other users of this machine
    /// see it in the list of processes; they do not see a file.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// File with that word.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Folder of the dataset that the model was trained on, or of another one with the same classes, whose
    /// label maps the page offers.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Serves images and the page until it is ended.
pub fn run(args: ServeArgs) -> Result<()> {
    let selected = args.backend.select().user()?;
    let model = match &args.checkpoint {
        Some(place) => Snapshot::open(place),
        None => Snapshot::built_in(),
    };
    let model = model.user()?;
    let token = args.token().user()?;
    let samples = samples(&model, args.data.as_deref()).user()?;
    let device = args.trust.check(selected, None)?;
    let (listener, address) = listen(&args.bind).user()?;
    if !address.ip().is_loopback() && token.is_empty() {
        tracing::warn!(
            "whoever reaches {address} can use this server: set a token with --token-file"
        );
    }
    let limits = Limits::of(model.size);
    let metrics = Arc::new(Metrics::new());
    let (engine, orders) = queue(limits.queue, &metrics);
    let facts = ModelFacts {
        has_data: args.data.is_some(),
        ..ModelFacts::new(&model, selected.kind.name(), &device, &limits)?
    };
    let service = Service::new(
        &model,
        facts,
        samples,
        engine,
        limits.clone(),
        metrics.clone(),
    );
    let access = Access::new(address, &args.host, &args.allow_origin, token);
    let stop = Stop::listen()?;
    let stops = move || stop.reason().is_some();
    let server = start(listener, app(service, access), limits, metrics, stops)?;
    let url = format!("http://{}", reachable(address));
    println!("{} on {device}: {url}", model.name);
    if args.open {
        open(&url);
    }
    use_large_pages();
    let job = Job { model, orders };
    run_on(selected, job, "serve a smaller model")?;
    server.wait();
    Ok(())
}

impl ServeArgs {
    fn token(&self) -> Result<Token> {
        let Some(text) = &self.token else {
            return token(self.token_file.as_deref());
        };
        let token = Token::new(text);
        ensure!(
            !token.is_empty(),
            "--token: it is empty, which everybody knows"
        );
        Ok(token)
    }
}

struct Job {
    model: Snapshot,
    orders: Orders,
}

impl Task for Job {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let generator = self.model.load::<B::InnerBackend>(device).user()?;
        paint(generator, &self.model, self.orders, device)
    }
}

/// Label maps of a folder, or procedural ones where the model knows their classes.
fn samples(model: &Snapshot, data: Option<&Path>) -> Result<Samples> {
    let own = model.description.class_table();
    let Some(root) = data else {
        let is_of_scenes = scenes(Split::Validation).is_some_and(|scenes| *scenes.classes() == own);
        return Ok(match is_of_scenes {
            true => Samples::scenes(model.size),
            false => Samples::none(),
        });
    };
    let (description, _) = of_model(model, None, Some(root)).context("--data")?;
    let split = match &description.validation {
        Some(_) => Split::Validation,
        None => Split::Train,
    };
    let folder = DescribedFolder::open(&description, root, split)?;
    Ok(Samples::of(&folder, model.size)?)
}

/// Takes an address.
fn listen(bind: &str) -> Result<(TcpListener, SocketAddr)> {
    let places = bind.to_socket_addrs();
    let places: Vec<_> = places
        .with_context(|| format!("--bind: {bind} is no HOST:PORT"))?
        .collect();
    let in_vain = || format!("--bind: cannot listen on {bind}");
    let listener = TcpListener::bind(&places[..]).with_context(in_vain)?;
    let address = listener.local_addr().with_context(in_vain)?;
    Ok((listener, address))
}

/// The address as this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

/// Reads the origin of a page.
fn origin(text: &str) -> Result<String, String> {
    let schemes = ["http://", "https://"];
    let place = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_name = |place: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
        !place.is_empty() && place.chars().all(is_part)
    };
    match place {
        Some(place) if is_name(place) => Ok(text.to_ascii_lowercase()),
        _ => Err("give an origin such as https://example.org, without a path".to_string()),
    }
}

/// Opens a page in the browser.
fn open(url: &str) {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    let command = command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        tracing::warn!("--open: cannot start {program}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_host() {
        assert_eq!(
            origin("https://Example.org:8080").unwrap(),
            "https://example.org:8080"
        );
        for wrong in [
            "*",
            "example.org",
            "https://",
            "https://a/b",
            "null",
            "ftp://a",
            "http://a b",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_taken_and_shown_as_it_is_reached() {
        let (listener, address) = listen("127.0.0.1:0").unwrap();
        assert_ne!(address.port(), 0);
        let taken = listen(&address.to_string()).unwrap_err();
        assert!(
            format!("{taken:#}").contains("cannot listen on"),
            "{taken:#}"
        );
        drop(listener);
        for wrong in ["127.0.0.1", ":x", ""] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
        let shown = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(shown("[::]:1"), "[::1]:1");
        assert_eq!(shown("10.0.0.1:1"), "10.0.0.1:1");
    }
}
