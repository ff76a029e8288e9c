//! Where callbacks are received, and how their senders are verified.

use std::net::SocketAddr;

use suno_callback::{CallbackService, Receiver, Token, TokenPlace, Verification};

use crate::failure::Failure;
use crate::{address, environment};

/// The options about callbacks on their way in.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000", value_parser = address::parse)]
    pub(super) addr: SocketAddr,
    /// Path of the callback URL; a token, further segments and a query may follow it
    #[arg(long, value_name = "PATH", default_value = Receiver::PATH)]
    pub(super) path: CallbackPath,
    /// Environment variable with a webhook key; give it twice during a key rotation
    #[arg(long, value_name = "NAME")]
    pub(super) webhook_key_env: Vec<String>,
    /// Environment variable with the token in the callback URL; give it twice during a rotation
    #[arg(long, value_name = "NAME")]
    pub(super) token_env: Vec<String>,
    /// Place of the token in the callback URL: path, or query: and the name of a parameter
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "path",
        requires = "token_env"
    )]
    token_in: TokenPlace,
    /// Largest body of a callback, such as 4M; from 64K to 64M
    #[arg(long, value_name = "SIZE", default_value = "4M")]
    pub(super) body_max: BodyMax,
    /// Accept callbacks without verifying them; for experiments only
    #[arg(long, conflicts_with_all = ["webhook_key_env", "token_env"])]
    insecure_accept_unverified: bool,
}

/// A path that starts with a slash.
#[derive(Debug, Clone)]
pub(super) struct CallbackPath(pub(super) String);

impl std::str::FromStr for CallbackPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%');
        if text.starts_with('/') && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("the path must start with '/' and must not contain '?', '#', '%' or spaces")
        }
    }
}

/// The largest body of a callback, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyMax(pub(super) usize);

impl BodyMax {
    const MIN: usize = 64 << 10;
    const MAX: usize = CallbackService::LARGE_BODIES_BYTES_MAX;
}

impl std::str::FromStr for BodyMax {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
            _ => (text, 0),
        };
        let number = digits.parse::<usize>().ok();
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes
            .filter(|bytes| (Self::MIN..=Self::MAX).contains(bytes))
            .map(Self)
            .ok_or("the size must be a number of bytes, or one with K or M, from 64K to 64M")
    }
}

impl Arguments {
    /// Returns the environment variables that hold secrets.
    pub(super) fn secret_variables(&self) -> Vec<String> {
        [&self.webhook_key_env[..], &self.token_env].concat()
    }

    /// Returns how senders are verified.
    pub(super) fn verification(&self) -> Result<Verification, Failure> {
        let keys = self.webhook_key_env.iter();
        let keys = keys.map(|name| environment::named_by("--webhook-key-env", name));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let tokens = self.token_env.iter();
        let tokens = tokens.map(|name| token(&environment::named_by("--token-env", name)?));
        let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
        if self.insecure_accept_unverified {
            tracing::warn!(
                "callbacks are not verified: anyone who can reach the URL can forge them"
            );
            return Ok(Verification::dangerous_none());
        }
        let verification = Verification::new(keys, tokens);
        let verification = verification.map(|all| all.with_token_in(self.token_in.clone()));
        verification.map_err(|err| {
            Failure::usage(err).context(format!(
                "no verification method is configured; put the webhook key into an environment variable and \
                 name it with --webhook-key-env {}, or a token with --token-env NAME (for experiments, pass \
                 --insecure-accept-unverified)",
                environment::WEBHOOK_KEY
            ))
        })
    }
}

fn token(text: &str) -> Result<Token, Failure> {
    Token::new(text).map_err(|err| {
        Failure::usage(err)
            .context("the variable named by --token-env does not contain a valid token")
    })
}
