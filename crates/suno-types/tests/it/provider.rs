//! The two names under which the platform is sold.

use suno_types::Provider;

#[test]
fn each_name_has_its_own_host_and_path_of_credits() {
    let both = [Provider::Kie, Provider::SunoApi];
    let facts = both.map(|it| (it.to_string(), it.base_url(), it.credits_path()));
    let expected = [
        ("kie.ai", "https://api.kie.ai", "/api/v1/chat/credit"),
        (
            "sunoapi.org",
            "https://api.sunoapi.org",
            "/api/v1/generate/credit",
        ),
    ];
    assert_eq!(
        facts,
        expected.map(|(name, url, path)| (name.to_owned(), url, path))
    );
}
