//! An emulator beside the gateway, which people use to see what callbacks do.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Submits tasks to an emulator of the provider.
#[async_trait]
pub trait Playground: Send + Sync + 'static {
    /// Returns what can happen to a task, in the order in which it is shown.
    fn scenarios(&self) -> Vec<Scenario>;

    /// Submits a task, and returns its id.
    ///
    /// # Errors
    ///
    /// Returns a sentence for people if the emulator did not take the task.
    async fn submit(&self, task: PlaygroundTask) -> Result<String, String>;
}

/// Something that can happen to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scenario {
    /// The words for the emulator; empty for the usual course.
    pub word: String,
    /// A name of a few words.
    pub title: String,
    /// One sentence.
    pub about: String,
}

impl Scenario {
    /// Creates a scenario.
    #[must_use]
    pub fn new(word: &str, title: &str, about: &str) -> Self {
        Self {
            word: word.to_owned(),
            title: title.to_owned(),
            about: about.to_owned(),
        }
    }
}

/// A task of the form on the page. Each text can be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlaygroundTask {
    /// The title.
    #[serde(default)]
    pub title: String,
    /// The style.
    #[serde(default)]
    pub style: String,
    /// Lyrics, or an idea.
    #[serde(default)]
    pub prompt: String,
    /// [`Scenario::word`].
    #[serde(default)]
    pub scenario: String,
}
