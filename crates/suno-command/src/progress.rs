//! Shows the progress of a job on stderr: a spinner on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use suno_client::DownloadProgress;

use crate::log;

/// The interval at which the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Shows the progress of a job.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts the display.
    pub(crate) fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}");
        let bar = ProgressBar::new_spinner();
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }

    /// Shows what the job is waiting for. Terminal only.
    pub(crate) fn wait_for(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }

    /// Returns a callback that shows the progress of a download. Terminal only.
    pub(crate) fn downloading(&self, name: &str) -> impl FnMut(DownloadProgress) + Send + use<> {
        let what = format!("downloading {name}");
        self.wait_for(&what);
        let bar = self.0.clone();
        move |fetched| {
            if let Some(bar) = &bar {
                let total = fetched.bytes_total.map_or(String::new(), |total| {
                    format!(" of {}", DecimalBytes(total))
                });
                bar.set_message(format!("{what}: {}{total}", DecimalBytes(fetched.bytes)));
            }
        }
    }

    /// Reports a finished step.
    pub(crate) fn step(&self, what: &str) {
        match &self.0 {
            Some(bar) => bar.println(what),
            None => log::line(what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
