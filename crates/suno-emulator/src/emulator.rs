//! The handle of a running emulator.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::header::HeaderValue;
use tokio::net::TcpListener;

use crate::background::BackgroundTasks;
use crate::body::BodyStyle;
use crate::clock::Clock;
use crate::config::{Config, WebhookKeyChoice};
use crate::error::EmulatorError;
use crate::http::{self, Guard, Router};
use crate::profile::Profile;
use crate::provider::{DefaultScenario, Provider, ProviderSettings, TaskSummary};
use crate::runner::Runner;
use crate::scenario::Scenario;
use crate::scenario::script::Script;
use crate::secret::Secret;
use crate::seed::Seed;
use crate::sender::Sender;
#[cfg(feature = "tls")]
use crate::sender::tls::Tls;
use crate::task::attempt::Attempt;

/// An emulated provider. It listens, keeps tasks and delivers callbacks until it is dropped or
/// [shut down](Self::shutdown). Several can run in one process.
#[derive(Debug)]
pub struct Emulator {
    runner: Arc<Runner>,
    addr: SocketAddr,
    base_url: String,
    api_key: Secret,
    webhook_key: Option<Secret>,
    profile: Profile,
}

impl Emulator {
    /// Starts an emulator on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid or the address cannot be bound.
    pub async fn start(config: Config) -> Result<Self, EmulatorError> {
        config.check()?;
        let listener = listen(config.addr).await?;
        let addr = listener
            .local_addr()
            .map_err(|source| EmulatorError::Listen {
                addr: config.addr,
                source,
            })?;
        let base_url = format!("http://{}", reachable(addr));
        let api_key = config.api_key.clone();
        let api_key = api_key.unwrap_or_else(|| Secret::generate("sk_"));
        let webhook_key = webhook_key(&config);
        let profile = config.profile;
        let connections_max = config.connections_max;
        let guard = Guard::new(!addr.ip().is_loopback(), config.public_base_url.as_deref());

        let runner = Arc::new(runner(config, &base_url, webhook_key.clone())?);
        let router = Router::new(Arc::clone(&runner), api_key.clone(), guard);
        let server = http::serve(Arc::new(router), listener, connections_max);
        runner.tasks.spawn(server);
        if !runner.clock.is_driven() {
            runner.tasks.spawn(Arc::clone(&runner).run());
        }
        tracing::info!(%addr, %profile, "the emulator is listening");
        Ok(Self {
            runner,
            addr,
            base_url,
            api_key,
            webhook_key,
            profile,
        })
    }

    /// Returns the base URL, such as `http://127.0.0.1:40123`, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the address that the emulator is listening on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the provider that is emulated.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Returns the API key that clients must send.
    #[must_use]
    pub fn api_key(&self) -> &str {
        self.api_key.reveal()
    }

    /// Returns the key that signs callbacks, or `None` if they are not signed.
    #[must_use]
    pub fn webhook_key(&self) -> Option<&str> {
        self.webhook_key.as_ref().map(Secret::reveal)
    }

    /// Returns the attempts to deliver callbacks, in the order in which they ended. Old attempts
    /// are evicted; see [`Config::with_attempts_kept_max`].
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.runner.provider().attempts()
    }

    /// Returns the tasks that are kept, in the order in which they were created.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskSummary> {
        self.runner.provider().tasks_after(0, usize::MAX)
    }

    /// Returns the true state of a task, to compare with the results of a client.
    /// `None` if the task is not found.
    #[must_use]
    pub fn task(&self, task_id: &str) -> Option<TaskSummary> {
        self.runner.provider().task_summary(task_id)
    }

    /// Sets the scenario of tasks that do not name one: of the next `tasks` tasks, or of all if
    /// `tasks` is `None`.
    ///
    /// # Errors
    ///
    /// Returns [`EmulatorError::Scenario`] if a word is unknown or its value is invalid.
    pub fn set_scenario(&self, words: &str, tasks: Option<u32>) -> Result<(), EmulatorError> {
        let set = self.runner.provider().set_default_scenario(words, tasks);
        set.map_err(|reason| EmulatorError::Scenario { reason })
    }

    /// Adds a script, which tasks choose by the word `script=NAME`. It replaces a script of the
    /// same name.
    ///
    /// # Errors
    ///
    /// Returns [`EmulatorError::Script`] if too many scripts are kept.
    pub fn add_script(&self, script: Script) -> Result<(), EmulatorError> {
        if self.runner.provider().add_script(script) {
            return Ok(());
        }
        Err(EmulatorError::Script {
            reason: "too many scripts are kept".to_owned(),
        })
    }

    /// Delivers the latest callback of this name (`complete`, for example) again. With a driven
    /// clock it is sent by the next [`advance`](Self::advance).
    ///
    /// # Errors
    ///
    /// Returns [`EmulatorError::Unknown`] if the task is not found, if it had no such callback, or
    /// if too many of its callbacks wait.
    pub fn deliver_again(&self, task_id: &str, callback: &str) -> Result<(), EmulatorError> {
        let repeated = self.runner.provider().deliver_again(task_id, callback);
        self.runner.notify_changed();
        match repeated {
            Some(true) => Ok(()),
            Some(false) => Err(EmulatorError::Unknown { what: "callback" }),
            None => Err(EmulatorError::Unknown { what: "task" }),
        }
    }

    /// Removes all tasks and attempts and restarts with the same seed and full credits.
    pub fn reset(&self) {
        self.runner.provider().reset();
        self.runner.notify_changed();
    }

    /// Waits until no task has further steps or callbacks. With a driven clock, this needs concurrent
    /// calls of [`advance`](Self::advance).
    pub async fn idle(&self) {
        self.runner.idle().await;
    }

    /// Advances the driven clock. Everything that becomes due happens in order, and each callback
    /// is answered before the next one is sent. All of it is done when this returns.
    ///
    /// # Errors
    ///
    /// Returns [`EmulatorError::NotDriven`] if the emulator runs in real time.
    pub async fn advance(&self, by: Duration) -> Result<(), EmulatorError> {
        if !self.runner.clock.is_driven() {
            return Err(EmulatorError::NotDriven);
        }
        self.runner.advance(by).await;
        Ok(())
    }

    /// Stops the emulator and waits until its port is free. Callbacks in flight are aborted.
    pub async fn shutdown(self) {
        self.runner.tasks.close().shutdown().await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The set aborts its tasks when it is dropped.
        drop(self.runner.tasks.close());
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, EmulatorError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => EmulatorError::AddressInUse { addr },
            _ => EmulatorError::Listen { addr, source },
        })
}

/// Returns the key that signs callbacks, if they are signed.
fn webhook_key(config: &Config) -> Option<Secret> {
    match &config.webhook_key {
        WebhookKeyChoice::Given(key) => Some(key.clone()),
        WebhookKeyChoice::ByProfile if config.profile.is_signing() => {
            Some(Secret::generate("whk_"))
        }
        WebhookKeyChoice::ByProfile | WebhookKeyChoice::None => None,
    }
}

/// Builds the runner from the settings.
fn runner(
    config: Config,
    base_url: &str,
    webhook_key: Option<Secret>,
) -> Result<Runner, EmulatorError> {
    let tasks = BackgroundTasks::default();
    let sender = sender(&config, &tasks)?;
    let clock = match config.driven_from_unix_ms {
        Some(from_unix_ms) => Clock::driven(from_unix_ms),
        None => Clock::real(config.speed),
    };
    let deliveries_max = config.deliveries_at_once_max;
    let observer = config.observer.clone();
    let scripts = config.scripts.iter().cloned();
    let scripts = scripts.map(|script| (script.name().to_owned(), Arc::new(script)));
    let scripts = scripts.collect();
    let provider = Provider::new(settings(config, base_url, webhook_key)?, scripts);
    let runner = Runner::new(provider, clock, sender, tasks, deliveries_max);
    Ok(runner.with_observer(observer))
}

/// Builds the sender from the settings.
fn sender(config: &Config, tasks: &BackgroundTasks) -> Result<Sender, EmulatorError> {
    let user_agent = HeaderValue::from_str(&config.user_agent);
    let user_agent = user_agent.map_err(|_| EmulatorError::Setting {
        name: "user agent",
        rule: "must be printable text without line breaks",
    })?;
    #[cfg(feature = "tls")]
    let tls = Tls::new(tasks.clone(), &config.extra_roots_pem).ok_or(EmulatorError::Setting {
        name: "extra roots",
        rule: "must be up to 256 certificates in PEM",
    })?;
    Ok(Sender::new(
        tasks.clone(),
        #[cfg(feature = "tls")]
        tls,
        user_agent,
        config.answer_timeout,
        config.delivers_outside,
    ))
}

/// Replaces an unspecified address, such as `0.0.0.0`, by loopback.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

fn settings(
    config: Config,
    base_url: &str,
    webhook_key: Option<Secret>,
) -> Result<ProviderSettings, EmulatorError> {
    let scenario = Scenario::parse(&config.scenario_words)
        .map_err(|reason| EmulatorError::Scenario { reason })?;
    if let Some(name) = &scenario.script
        && !config.scripts.iter().any(|script| script.name() == name)
    {
        let names: Vec<&str> = config.scripts.iter().map(Script::name).collect();
        let reason = format!("there is no script {name:?} among [{}]", names.join(", "));
        return Err(EmulatorError::Scenario { reason });
    }
    Ok(ProviderSettings {
        profile: config.profile,
        webhook_key,
        seed: config.seed.map_or_else(Seed::from_system, Seed::new),
        timing: config.timing,
        retry: config.retry,
        style: BodyStyle {
            is_documented: config.has_documented_bodies,
            profile: config.profile,
            media_base: config
                .public_base_url
                .unwrap_or_else(|| base_url.to_owned()),
        },
        credits: config.credits,
        has_rate_limits: config.has_rate_limits,
        default_scenario: DefaultScenario {
            words: config.scenario_words,
            scenario,
            tasks_left: None,
        },
        tasks_kept_max: config.tasks_kept_max,
        attempts_kept_max: config.attempts_kept_max,
        is_observed: config.observer.is_some(),
    })
}
