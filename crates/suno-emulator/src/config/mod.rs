//! The settings of an emulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::observer::{Activity, Observer};
use crate::profile::Profile;
use crate::scenario::script::Script;
use crate::secret::Secret;
use crate::task::outbox::RetryRule;
use crate::task::timing::{Timing, millis};

mod check;

/// The settings of an emulator. All have defaults: kie.ai, on loopback, at a free port, with
/// generated keys, in real time.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) addr: SocketAddr,
    pub(crate) is_public_binding_allowed: bool,
    pub(crate) public_base_url: Option<String>,
    pub(crate) profile: Profile,
    pub(crate) api_key: Option<Secret>,
    pub(crate) webhook_key: WebhookKeyChoice,
    pub(crate) seed: Option<u64>,
    pub(crate) speed: f64,
    pub(crate) driven_from_unix_ms: Option<u64>,
    pub(crate) timing: Timing,
    pub(crate) answer_timeout: Duration,
    pub(crate) retry: RetryRule,
    pub(crate) user_agent: String,
    pub(crate) delivers_outside: bool,
    #[cfg(feature = "tls")]
    pub(crate) extra_roots_pem: Vec<u8>,
    pub(crate) has_documented_bodies: bool,
    pub(crate) credits: u64,
    pub(crate) has_rate_limits: bool,
    pub(crate) scenario_words: String,
    pub(crate) scripts: Vec<Script>,
    pub(crate) tasks_kept_max: usize,
    pub(crate) attempts_kept_max: usize,
    pub(crate) connections_max: usize,
    pub(crate) deliveries_at_once_max: usize,
    pub(crate) observer: Option<Observer>,
}

/// The choice of the key that signs callbacks.
#[derive(Clone, Debug)]
pub(crate) enum WebhookKeyChoice {
    /// A generated key if the provider signs callbacks, else none.
    ByProfile,
    Given(Secret),
    None,
}

/// The pauses before the three retries (`PROTOCOL.md 2.3`). Their lengths are assumed.
const RETRY_PAUSES_MS: [u64; 3] = [5_000, 15_000, 45_000];
/// The default number of credits, enough for a day of work.
const CREDITS: u64 = 10_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            is_public_binding_allowed: false,
            public_base_url: None,
            profile: Profile::default(),
            api_key: None,
            webhook_key: WebhookKeyChoice::ByProfile,
            seed: None,
            speed: 1.0,
            driven_from_unix_ms: None,
            timing: Timing::default(),
            answer_timeout: Self::ANSWER_TIMEOUT,
            retry: RetryRule {
                pauses_ms: RETRY_PAUSES_MS.to_vec(),
                is_task_silenced: true,
            },
            user_agent: concat!("suno-emulator/", env!("CARGO_PKG_VERSION")).to_owned(),
            delivers_outside: false,
            #[cfg(feature = "tls")]
            extra_roots_pem: Vec::new(),
            has_documented_bodies: false,
            credits: CREDITS,
            has_rate_limits: true,
            scenario_words: String::new(),
            scripts: Vec::new(),
            tasks_kept_max: 4096,
            attempts_kept_max: 16_384,
            connections_max: 1024,
            deliveries_at_once_max: 256,
            observer: None,
        }
    }
}

impl Config {
    /// The default answer timeout (`PROTOCOL.md 2.2`).
    pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

    /// Sets the address to listen on. The default is a free port on 127.0.0.1.
    #[must_use]
    pub fn with_addr(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// Allows an address that other machines can reach. Without this, such an address is an error.
    #[must_use]
    pub fn with_public_binding_allowed(mut self) -> Self {
        self.is_public_binding_allowed = true;
        self
    }

    /// Sets the URL by which others reach the emulator, for the media URLs in bodies. The default
    /// is the address it listens on. Requests below `/_emulator/` may have its host in `Host`, and
    /// pages of its origin may send them.
    #[must_use]
    pub fn with_public_base_url(mut self, url: impl Into<String>) -> Self {
        self.public_base_url = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// Sets the provider to emulate. The default is kie.ai.
    #[must_use]
    pub fn with_provider(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the API key that clients must send. By default it is generated.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(Secret::new(key));
        self
    }

    /// Sets the key that signs callbacks. By default it is generated for kie.ai; sunoapi.org does
    /// not sign callbacks.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl Into<String>) -> Self {
        self.webhook_key = WebhookKeyChoice::Given(Secret::new(key));
        self
    }

    /// Disables signatures, as with an account that has no webhook key.
    #[must_use]
    pub fn without_webhook_key(mut self) -> Self {
        self.webhook_key = WebhookKeyChoice::None;
        self
    }

    /// Sets the random seed of ids, times and random scenario words. By default it differs with
    /// every start. Generated keys do not depend on it.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the factor by which tasks and retries are faster than real time. The default is 1; with
    /// 20, a task of 90 seconds takes 4.5. The answer timeout is not scaled.
    #[must_use]
    pub fn with_speed(mut self, factor: f64) -> Self {
        self.speed = factor;
        self
    }

    /// Freezes the clock. It is advanced by [`Emulator::advance`](crate::Emulator::advance) and
    /// starts at this time, in milliseconds since 1970.
    #[must_use]
    pub fn with_driven_clock(mut self, from_unix_ms: u64) -> Self {
        self.driven_from_unix_ms = Some(from_unix_ms);
        self
    }

    /// Sets the usual times of the stages, counted from the submit. The default is 10, 40 and 90
    /// seconds. Each task is up to a fifth faster or slower.
    #[must_use]
    pub fn with_stage_times(mut self, text: Duration, first: Duration, complete: Duration) -> Self {
        self.timing = Timing::new(text, first, complete);
        self
    }

    /// Sets the time that a receiver has to answer, in real time. The default is 15 seconds.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Sets the pauses before the retries of a failed callback. There are as many retries as
    /// pauses. The default is 5, 15 and 45 seconds.
    #[must_use]
    pub fn with_retry_pauses(mut self, pauses: &[Duration]) -> Self {
        self.retry.pauses_ms = pauses.iter().copied().map(millis).collect();
        self
    }

    /// Sets whether later callbacks of a task are still sent after the last retry of one failed. The default
    /// is no.
    #[must_use]
    pub fn with_later_stages_after_failure(mut self, sent: bool) -> Self {
        self.retry.is_task_silenced = !sent;
        self
    }

    /// Sets the `User-Agent` of callbacks. The provider's value is not known.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets whether callbacks are sent to hosts other than this machine. By default they are not, so
    /// that a test sends nothing to other machines: such a callback is recorded with the outcome
    /// [`Withheld`](crate::AttemptOutcome::Withheld), and counts as answered with 200. This machine
    /// is `localhost`, names below it, and loopback addresses.
    #[must_use]
    pub fn with_deliver_outside(mut self, sent: bool) -> Self {
        self.delivers_outside = sent;
        self
    }

    /// Adds trusted certificates of receivers in PEM, besides the system's root certificates.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_extra_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots_pem = pem.into();
        self
    }

    /// Uses the form of the provider's pages for bodies instead of the observed one: `createTime`
    /// is text, `text` has no tracks, `first` has one.
    #[must_use]
    pub fn with_documented_bodies(mut self) -> Self {
        self.has_documented_bodies = true;
        self
    }

    /// Sets the initial credits of the account. The default is 10,000; a song costs 12.
    #[must_use]
    pub fn with_credits(mut self, credits: u64) -> Self {
        self.credits = credits;
        self
    }

    /// Disables the rate limits. The default is 20 submits in 10 seconds and 3 polls per second and
    /// task, in real time.
    #[must_use]
    pub fn without_rate_limits(mut self) -> Self {
        self.has_rate_limits = false;
        self
    }

    /// Sets the scenario of tasks that do not choose one: words, separated by commas. They are
    /// listed at `/_emulator/words`. By default nothing fails.
    #[must_use]
    pub fn with_scenario(mut self, words: impl Into<String>) -> Self {
        self.scenario_words = words.into();
        self
    }

    /// Adds a script, which tasks choose by the word `script=NAME`.
    #[must_use]
    pub fn with_script(mut self, script: Script) -> Self {
        self.scripts.push(script);
        self
    }

    /// Sets the maximum number of kept tasks. The first finished task is evicted first. If none is
    /// finished, a submit is refused. The default is 4,096.
    #[must_use]
    pub fn with_tasks_kept_max(mut self, tasks: usize) -> Self {
        self.tasks_kept_max = tasks;
        self
    }

    /// Sets the maximum number of kept attempts. The oldest is evicted first. The default is
    /// 16,384.
    #[must_use]
    pub fn with_attempts_kept_max(mut self, attempts: usize) -> Self {
        self.attempts_kept_max = attempts;
        self
    }

    /// Sets the maximum number of open connections. Further ones wait. The default is 1,024.
    #[must_use]
    pub fn with_connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections;
        self
    }

    /// Sets the maximum number of callbacks in flight. Further ones wait. The default is 256.
    #[must_use]
    pub fn with_deliveries_at_once_max(mut self, deliveries: usize) -> Self {
        self.deliveries_at_once_max = deliveries;
        self
    }

    /// Sets a function that is called with every submit, and with every attempt to deliver a
    /// callback when it has ended: for logs and metrics. It must return quickly, since the emulator
    /// waits for it. It may be called from several threads at once.
    ///
    /// ```
    /// use suno_emulator::{Activity, Config};
    ///
    /// let config = Config::default().with_observer(|activity| match activity {
    ///     Activity::Submit(submit) => eprintln!("submit: code {:?}", submit.code),
    ///     Activity::Attempt(attempt) => eprintln!("{}: {:?}", attempt.callback, attempt.outcome),
    ///     _ => {}
    /// });
    /// ```
    #[must_use]
    pub fn with_observer(mut self, observe: impl Fn(&Activity) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }
}
