//! The URL of a callback after the receiver's path: token, submit, and what the application added.

use std::borrow::Cow;

use crate::key::SubmitId;
use crate::token::TokenPlace;
use crate::url_suffix::UrlSuffix;

/// The parts of a callback URL after the receiver's path, which is
/// `[/TOKEN][/SEGMENT]…[/SUBMIT][?QUERY]`, with or without a trailing slash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// What is where the token is expected; empty if nothing does, so that the response is 401
    /// and not 404. `None` if no token is expected.
    pub(super) token: Option<&'a str>,
    pub(super) submit: Option<SubmitId>,
    path: &'a str,
    query: Cow<'a, str>,
}

impl<'a> Address<'a> {
    /// Splits a path after the receiver's path, and the query. Returns `None` if the path is not
    /// below the receiver's path, or has an empty segment.
    pub(super) fn read(rest: &'a str, query: &'a str, place: Option<&TokenPlace>) -> Option<Self> {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut path = match rest {
            "" => "",
            rest => rest.strip_prefix('/').filter(|path| !path.is_empty())?,
        };
        if path.split('/').any(str::is_empty) && !path.is_empty() {
            return None;
        }
        let mut query = Cow::Borrowed(query);
        let token = match place {
            None => None,
            Some(TokenPlace::Path) => {
                let (token, behind) = path.split_once('/').unwrap_or((path, ""));
                path = behind;
                Some(token)
            }
            Some(TokenPlace::Query(name)) => Some(take_parameter(&mut query, name)),
        };
        let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
        // Senders may write the digits in either case.
        let submit = last.to_ascii_lowercase().parse().ok();
        Some(Self {
            token,
            submit,
            path: if submit.is_some() { before } else { path },
            query,
        })
    }

    /// What the application added; `None` if it is too long.
    pub(super) fn suffix(&self) -> Option<UrlSuffix> {
        UrlSuffix::new(self.path, &self.query)
    }
}

/// Removes every parameter of this name from a query, and returns the value of the first one.
fn take_parameter<'a>(query: &mut Cow<'a, str>, name: &str) -> &'a str {
    let Cow::Borrowed(text) = *query else {
        return "";
    };
    let value_of = |pair: &'a str| match pair.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (pair == name).then_some(""),
    };
    let Some(value) = text.split('&').find_map(value_of) else {
        return "";
    };
    let others = text.split('&').filter(|pair| value_of(pair).is_none());
    *query = others.collect::<Vec<_>>().join("&").into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBMIT: &str = "00112233445566778899aabbccddeeff";

    /// The token, whether there is a submit, and what the application added.
    fn read(target: &str, place: Option<&TokenPlace>) -> Option<(Option<String>, bool, String)> {
        let target = target.replace("SUBMIT", SUBMIT);
        let (rest, query) = target.split_once('?').unwrap_or((&target, ""));
        let address = Address::read(rest, query, place)?;
        let suffix = address.suffix()?.to_string();
        let token = address.token.map(str::to_owned);
        Some((token, address.submit.is_some(), suffix))
    }

    #[test]
    fn without_a_token_the_path_is_the_application_s_and_its_end_may_be_a_submit() {
        let found = |submit, suffix: &str| Some((None, submit, suffix.to_owned()));
        for (target, expected) in [
            ("", found(false, "")),
            ("/", found(false, "")),
            ("/SUBMIT", found(true, "")),
            ("/SUBMIT/", found(true, "")),
            ("/orders/42", found(false, "orders/42")),
            ("/orders/42/SUBMIT", found(true, "orders/42")),
            ("/orders?a=1&token=x", found(false, "orders?a=1&token=x")),
            ("?a=1", found(false, "?a=1")),
            ("/SUBMIT//", None),
            ("/a//b", None),
            ("//", None),
            ("er", None),
        ] {
            assert_eq!(read(target, None), expected, "{target}");
        }
    }

    #[test]
    fn a_token_in_the_path_comes_first_and_is_not_kept() {
        let found = |token: &str, submit, suffix: &str| {
            Some((Some(token.to_owned()), submit, suffix.to_owned()))
        };
        for (target, expected) in [
            ("", found("", false, "")),
            ("/", found("", false, "")),
            ("/tok", found("tok", false, "")),
            ("/tok/", found("tok", false, "")),
            ("/tok/SUBMIT", found("tok", true, "")),
            ("/tok/other", found("tok", false, "other")),
            ("/tok/a/b/SUBMIT/?x=y", found("tok", true, "a/b?x=y")),
            ("/tok//", None),
            ("/tok//a", None),
        ] {
            assert_eq!(read(target, Some(&TokenPlace::Path)), expected, "{target}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_taken_out_of_it() {
        let place = TokenPlace::query("secret").unwrap();
        let found =
            |token: &str, suffix: &str| Some((Some(token.to_owned()), false, suffix.into()));
        for (target, expected) in [
            ("", found("", "")),
            ("?secret=tok", found("tok", "")),
            ("/a?x=1&secret=tok&y=2", found("tok", "a?x=1&y=2")),
            ("?secret=tok&secret=other&x", found("tok", "?x")),
            ("?secret", found("", "")),
            ("?Secret=tok", found("", "?Secret=tok")),
            ("?secret=a=b", found("a=b", "")),
            ("?secretive=1", found("", "?secretive=1")),
        ] {
            assert_eq!(read(target, Some(&place)), expected, "{target}");
        }
    }

    #[test]
    fn the_digits_of_a_submit_may_be_in_either_case() {
        let submit = |rest: &str| Address::read(rest, "", None).unwrap().submit.unwrap();
        let lower = submit("/00112233445566778899aabbccddeeff");
        assert_eq!(submit("/00112233445566778899AABBCCDDEEFF"), lower);
    }

    #[test]
    fn what_is_too_long_to_be_kept_has_no_suffix() {
        let long = "x".repeat(UrlSuffix::BYTES_MAX + 1);
        assert_eq!(Address::read("", &long, None).unwrap().suffix(), None);
        assert!(
            Address::read("", &long[1..], None)
                .unwrap()
                .suffix()
                .is_some()
        );
    }
}
