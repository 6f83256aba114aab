use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::User;
use crate::cluster::{Orchestrator, serve};
use crate::runtime::token::Token;

/// Variable with the token, where no file is named.
const TOKEN_VARIABLE: &str = "DP_SIMS_TOKEN";

/// Where the token of a run comes from.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TokenArgs {
    /// File with a word that all processes of the run know [default: the variable DP_SIMS_TOKEN].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Go without a token beyond this machine: whoever reaches the port can take part.
    #[arg(long)]
    insecure: bool,
}

impl TokenArgs {
    /// The token.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub(super) fn token(&self) -> Result<Token> {
        token(self.token_file.as_deref())
    }

    /// Refuses to talk to other machines without a token.
    ///
    /// # Errors
    /// When a host is another machine, or open to others, and there is no token.
    pub(super) fn check(
        &self,
        hosts: impl IntoIterator<Item = IpAddr>,
        token: &Token,
    ) -> Result<()> {
        let mut hosts = hosts.into_iter();
        let is_open = hosts.any(|host| !host.is_loopback());
        ensure!(
            !is_open || !token.is_empty() || self.insecure,
            "beyond this machine a run needs a token: put a word that only you know into a file for \
             --token-file, or into {TOKEN_VARIABLE}, on every machine (--insecure goes without one)"
        );
        Ok(())
    }
}

/// The token in a file, or else in the variable DP_SIMS_TOKEN.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn token(file: Option<&Path>) -> Result<Token> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("--token-file: cannot read {}", file.display()))?,
        None => std::env::var(TOKEN_VARIABLE).unwrap_or_default(),
    };
    Ok(Token::new(&text))
}

/// Arguments of `orchestrator`.
#[derive(Debug, Args)]
pub struct OrchestratorArgs {
    /// Address and port on which processes are waited for; 0.0.0.0 takes those of every machine.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:29500")]
    listen: String,
    #[command(flatten)]
    token: TokenArgs,
}

/// Brings the processes of runs together until it is ended.
pub fn run(args: OrchestratorArgs) -> Result<()> {
    let token = args.token.token().user()?;
    let places: Vec<_> = args
        .listen
        .to_socket_addrs()
        .with_context(|| format!("--listen: {} is no HOST:PORT", args.listen))
        .user()?
        .collect();
    args.token
        .check(places.iter().map(|place| place.ip()), &token)
        .user()?;
    let listener = TcpListener::bind(&places[..])
        .with_context(|| format!("--listen: cannot listen on {}", args.listen))
        .user()?;
    let own = listener.local_addr()?;
    tracing::info!(
        "waiting for processes on {own}; start each with --orchestrator HOST:{}",
        own.port()
    );
    serve(&listener, &token, |event| match event {
        Orchestrator::Arrived {
            node,
            host,
            here,
            nodes,
        } => tracing::info!("node {node} from {host}: {here} of {nodes} are here"),
        Orchestrator::Began { nodes, ranks } => {
            tracing::info!("a run of {nodes} processes with {ranks} ranks begins");
        }
        Orchestrator::Refused { reason } => tracing::warn!("{reason}"),
    })
}
