//! The provider, emulated by a process of the command.

use std::process::Command;

use crate::process::{KEY, Process, suno};

/// An emulator, and the variables that it printed.
pub(crate) struct Emulator {
    pub(crate) process: Process,
    pub(crate) variables: Vec<(String, String)>,
}

impl Emulator {
    pub(crate) fn start() -> Self {
        Self::at_speed("60x")
    }

    pub(crate) fn at_speed(speed: &str) -> Self {
        let mut command = suno(&["emulate", "--speed", speed, "--webhook-key-env", "TEST_KEY"]);
        command.env("TEST_KEY", KEY);
        let process = Process::start(command);
        let variables = (0..3)
            .map(|_| {
                let line = process.line();
                let (name, value) = line.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        Self { process, variables }
    }

    pub(crate) fn with_variables(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().cloned());
        command
    }
}
