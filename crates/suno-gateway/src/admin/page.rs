//! The files of the page, which are part of the program.

use super::Asset;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident $name:literal;)*) => {
        /// The path, the type and the content of each file.
        const FILES: &[(&str, &str, &[u8])] =
            &[$(($path, $kind, include_bytes!(concat!("page/", $name)))),*];
    };
}

files! {
    "/" HTML "index.html";
    "/style.css" CSS "style.css";
    "/api.js" SCRIPT "api.js";
    "/board.js" SCRIPT "board.js";
    "/chart.js" SCRIPT "chart.js";
    "/diff.js" SCRIPT "diff.js";
    "/dom.js" SCRIPT "dom.js";
    "/emulator.js" SCRIPT "emulator.js";
    "/health.js" SCRIPT "health.js";
    "/json.js" SCRIPT "json.js";
    "/keys.js" SCRIPT "keys.js";
    "/list.js" SCRIPT "list.js";
    "/live.js" SCRIPT "live.js";
    "/main.js" SCRIPT "main.js";
    "/player.js" SCRIPT "player.js";
    "/route.js" SCRIPT "route.js";
    "/story.js" SCRIPT "story.js";
    "/table.js" SCRIPT "table.js";
    "/task.js" SCRIPT "task.js";
    "/wave.js" SCRIPT "wave.js";
    "/words.js" SCRIPT "words.js";
}

/// Returns the files.
pub(super) fn assets() -> impl Iterator<Item = Asset> {
    FILES
        .iter()
        .map(|(path, kind, body)| Asset::new(path, kind, *body))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_in_the_folder_is_served_and_all_together_are_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        let found: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("/{}", file.unwrap().file_name().into_string().unwrap()))
            .map(|path| path.replace("/index.html", "/"))
            .collect();
        let served = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(found, served);
        let bytes: usize = FILES.iter().map(|(_, _, body)| body.len()).sum();
        assert!(bytes < 100_000, "{bytes} bytes");
    }
}
